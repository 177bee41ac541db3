"""The inputs of a network of several heads: soft labels, sampling weights, held-out photos, losses; and its output."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor, nn

from facemotion import EMOTIONS
from tests.support.training.tree import write_photos, write_tree
from training.expression import networks
from training.expression.config import Config
from training.expression.data import epoch_data, mixture
from training.expression.data.dataset import Split, load_split
from training.expression.data.ferplus import VOTES
from training.expression.data.mixture import Batch, Mixture
from training.expression.data.run_data import load_kept_back
from training.expression.networks import HEADS

CPU = torch.device("cpu")
ANGRY, DISGUST, FEAR, HAPPY, NEUTRAL, SAD, SURPRISE = range(7)
LABELS, VOTED, PHOTOS, CONSENSUS = range(4)
SIDE = 64  # pixels of the network's input


def config(**knobs: object) -> Config:
    return Config(network="multihead", **knobs)  # type: ignore[arg-type]


def split_of(labels: list[int], side: int = 48, level: int = 0) -> Split:
    """Even pictures, the first of the grey level `level`, each next one a level lighter."""
    levels = np.arange(level, level + len(labels), dtype=np.uint8)
    pictures = np.broadcast_to(levels[:, None, None], (len(labels), side, side)).copy()
    return Split(pictures, np.array(labels), tuple(str(row) for row in range(len(labels))))


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    """Row 0: half happiness, half neutral. Row 1: nothing but contempt. Row 2: two for fear, eight for surprise."""
    rows = [{"happiness": 5, "neutral": 5}, {"contempt": 10}, {"fear": 2, "surprise": 8}]
    lines = [",".join(str(row.get(name, 0)) for name in VOTES) for row in rows]
    file = tmp_path / "votes.csv"
    file.write_text("\n".join([",".join(VOTES), *lines]) + "\n")
    return file


def distribution(**shares: float) -> list[float]:
    return [shares.get(emotion, 0.0) for emotion in EMOTIONS]


def test_fer2013_teaches_the_heads_of_labels_and_of_votes(votes: Path) -> None:
    split = split_of([ANGRY, HAPPY, SURPRISE])
    targets, weights = mixture.fer2013_targets(
        split, config(ferplus_weight=0.25, votes=str(votes), label_smoothing=0.07)
    )
    assert targets[0, LABELS].tolist() == pytest.approx([0.94, *[0.01] * 6])
    assert targets[0, VOTED].tolist() == pytest.approx(distribution(happy=0.5, neutral=0.5))
    assert targets[2, VOTED].tolist() == pytest.approx(distribution(fear=0.2, surprise=0.8))
    assert torch.equal(targets[:, CONSENSUS], targets[:, VOTED]) and not targets[:, PHOTOS].any()
    assert weights.tolist() == [[0.75, 0.25, 0, 0.5], [1, 0, 0, 0], [0.75, 0.25, 0, 0.5]]


def test_without_votes_the_labels_stand_alone() -> None:
    targets, weights = mixture.fer2013_targets(split_of([SAD, FEAR]), config())
    assert targets[:, LABELS].argmax(1).tolist() == [SAD, FEAR] and targets.sum() == 2
    assert weights.tolist() == [[1, 0, 0, 0]] * 2


def test_photos_teach_their_head_and_that_of_all_consensus_labels_and_are_not_smoothed() -> None:
    targets, weights = mixture.photo_targets(split_of([SAD, FEAR]))
    assert targets[:, PHOTOS].argmax(1).tolist() == [SAD, FEAR] and targets.sum() == 4
    assert torch.equal(targets[:, CONSENSUS], targets[:, PHOTOS])
    assert weights.tolist() == [[0, 0, 1, 0.5]] * 2


@pytest.mark.parametrize(("power", "ratio"), [(0, 1), (0.5, 2), (1, 4)])
def test_rare_classes_weigh_more_and_the_mean_stays_1(power: float, ratio: float) -> None:
    weights = epoch_data.class_sampling_weights(np.array([HAPPY] * 8 + [FEAR] * 2), power)
    assert weights.dtype == torch.float32 and weights.mean().item() == pytest.approx(1)
    assert (weights[8] / weights[0]).item() == pytest.approx(ratio)
    assert torch.equal(weights[:8], weights[:1].expand(8))


def drawn(sources: list[Split], recipe: Config, epochs: int = 40) -> Tensor:
    torch.manual_seed(0)
    made = Mixture(sources, recipe, CPU)
    return torch.stack([made.rows() for _ in range(epochs)])


def test_an_epoch_has_as_many_rows_as_pictures_drawn_by_their_weights() -> None:
    sources = [split_of([HAPPY] * 80 + [FEAR] * 20), split_of([SAD] * 100, side=96)]
    rows = drawn(sources, config(photo_weight=3.0, rare_class_sampling=0.5))
    assert rows.shape == (40, 200)
    assert (rows >= 100).float().mean().item() == pytest.approx(3 / 4, abs=0.02)
    first = rows[rows < 100]
    assert (first >= 80).float().mean().item() == pytest.approx(20 * 2 / (80 + 20 * 2), abs=0.03)


def test_equal_weights_show_every_picture_once() -> None:
    rows = drawn([split_of([HAPPY] * 8 + [FEAR] * 2), split_of([SAD] * 5, side=96)], config(), epochs=2)
    assert rows.sort(1).values.tolist() == [list(range(15))] * 2
    assert not torch.equal(rows[0], rows[1])


def test_a_batch_holds_the_pictures_of_its_rows_with_their_targets() -> None:
    sources = [split_of([HAPPY, FEAR, SAD]), split_of([ANGRY, NEUTRAL], side=96, level=100)]
    batch = Mixture(sources, config(mean=0.4, std=0.2), CPU).batch(torch.tensor([4, 1, 3]))
    assert batch.pictures.shape == (3, 1, SIDE, SIDE)
    levels = (torch.tensor([101, 1, 100]) / 255 - 0.4) / 0.2
    assert torch.allclose(batch.pictures, levels[:, None, None, None].expand(3, 1, SIDE, SIDE), atol=1e-6)
    assert batch.targets.argmax(2).gather(1, batch.weights.argmax(1, keepdim=True)).flatten().tolist() == [
        NEUTRAL,
        FEAR,
        ANGRY,
    ]
    assert batch.weights.tolist() == [[0, 0, 1, 0.5], [1, 0, 0, 0], [0, 0, 1, 0.5]]


def test_photos_are_averaged_down() -> None:
    photos = split_of([ANGRY], side=2 * SIDE)
    photos.pictures[0, :, ::2] = 200  # every second column, the others black
    batch = Mixture([split_of([HAPPY]), photos], config(mean=0.0, std=1.0), CPU).batch(torch.tensor([1]))
    assert torch.allclose(batch.pictures, torch.tensor(100 / 255), atol=1e-6)


def test_augmented_batches_are_alike_from_the_same_seed() -> None:
    random = np.random.default_rng(0)
    sources = [
        Split(random.integers(0, 256, (4, side, side), np.uint8), np.zeros(4, np.int64), tuple("abcd"))
        for side in (48, 96)
    ]
    made, rows = Mixture(sources, config(augment=True), CPU), torch.arange(8)
    torch.manual_seed(1)
    first, second = made.batch(rows), made.batch(rows)
    torch.manual_seed(1)
    assert torch.equal(first.pictures, made.batch(rows).pictures)
    assert not torch.equal(first.pictures, second.pictures) and torch.equal(first.targets, second.targets)
    assert first.pictures.shape == (8, 1, SIDE, SIDE)


def test_the_loss_of_a_picture_is_the_sum_over_its_heads() -> None:
    logits = torch.zeros(2, 4, 7)
    logits[0, :, 0] = math.log(2)  # shares of 2/8 and six times 1/8
    targets, weights = torch.zeros(2, 4, 7), torch.zeros(2, 4)
    targets[0, LABELS, 0] = 1
    targets[0, VOTED, :2] = 0.5
    targets[1, PHOTOS, 3] = 1
    weights[0, [LABELS, VOTED]] = torch.tensor([0.75, 0.25])
    weights[1, PHOTOS] = 1
    batch = Batch(torch.zeros(2, 1, 48, 48), targets, weights)
    voted = 0.5 * math.log(4) + 0.5 * math.log(8)
    assert mixture.head_losses(logits, batch).tolist() == pytest.approx(
        [0.75 * math.log(4) + 0.25 * voted, math.log(7)]
    )
    assert mixture.count_correct_of_heads(logits, batch).item() == 1  # the first picture, by both of its heads
    logits[0, VOTED, 6] = 9
    assert mixture.count_correct_of_heads(logits, batch).item() == 0.75


@pytest.mark.parametrize(
    ("rows", "moved"), [([0, 1], {"labels", "votes", "consensus"}), ([3, 4], {"photos", "consensus"})]
)
def test_a_source_moves_no_head_of_another(votes: Path, rows: list[int], moved: set[str]) -> None:
    torch.manual_seed(0)
    sources = [split_of([ANGRY, HAPPY, SURPRISE], level=90), split_of([SAD, FEAR], side=96, level=50)]
    batch = Mixture(sources, config(ferplus_weight=0.5, votes=str(votes)), CPU).batch(torch.tensor(rows))
    network = networks.MultiHeadNet().train()
    mixture.head_losses(network(batch.pictures), batch).sum().backward()
    gradients = {name: head.weight.grad for name, head in network.heads.items()}
    assert {name for name, gradient in gradients.items() if gradient.any()} == moved
    assert network.stem[0].weight.grad.any()


def test_the_network_answers_with_the_logarithm_of_its_heads_mean_probabilities() -> None:
    torch.manual_seed(0)
    network, pictures = networks.MultiHeadNet(), torch.randn(4, 1, SIDE, SIDE)
    for head in network.heads.values():
        nn.init.normal_(head.weight)
    assert network.train()(pictures).shape == (4, 4, 7)
    mix = torch.tensor([0.2, 0.4, 0.3, 0.1])
    network.eval().mix.copy_(mix)
    with torch.inference_mode():
        features = network.head(network.body(network.stem(pictures)))
        shares = torch.stack([network.heads[name](features).softmax(1) for name in HEADS])
        torch.testing.assert_close(network(pictures), (mix[:, None, None] * shares).sum(0).log())
        assert network(pictures).exp().sum(1).tolist() == pytest.approx([1] * 4)


@pytest.mark.parametrize(
    ("crowd", "photos", "mix"),
    [
        (0.0, 0, [1, 0, 0, 0]),
        (0.5, 0, [0, 1 / 2, 0, 1 / 2]),
        (0.0, 2, [0, 0, 1 / 2, 1 / 2]),
        (0.5, 1, [0, 1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_a_run_is_judged_by_the_heads_of_consensus_labels(crowd: float, photos: int, mix: list[float]) -> None:
    network = networks.MultiHeadNet()
    mixture.set_initial_head_weights(network, config(ferplus_weight=crowd, votes="votes.csv"), photos)
    assert network.mix.tolist() == pytest.approx(mix)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"))


def test_the_held_out_tenth_is_always_the_same(photos: Path) -> None:
    assert [number for number in range(80) if mixture.is_held_out(f"photo_{number}")] == [19, 29, 42, 46, 61, 63, 72]
    out, others, whole = (mixture.load_photos(photos, "train", 48, held_out=kept) for kept in (True, False, None))
    assert set(out.names) == {"photo_19", "photo_29", "photo_42", "photo_46"}
    assert not set(out.names) & set(others.names) and {*out.names, *others.names} == set(whole.names)
    assert whole.pictures.shape == (56, 48, 48) and out.labels.tolist() == [FEAR, HAPPY, SAD, SAD]


def test_photos_that_resemble_judged_ones_are_not_learned_from(photos: Path, tmp_path: Path) -> None:
    root = shutil.copytree(photos, tmp_path / "photos")
    judged = split_of([ANGRY])
    with Image.open(root / "train" / "happy" / "photo_25.png") as picture:
        judged.pictures[0] = np.asarray(picture.convert("L").resize((48, 48), Image.Resampling.BICUBIC))
    held_out = mixture.load_photos(root, "train", 64, held_out=True)
    data = write_tree(tmp_path / "data")

    def learned(validation: Split, **knobs: object) -> Split:
        apart = load_kept_back(config(), [data, root], validation)
        return mixture.load_training_photos(root, config(**knobs), apart)

    before = learned(held_out)
    assert before.pictures.shape == (52, 100, 100)
    other = learned(judged)
    assert set(before.names) - set(other.names) == {"photo_25"}  # which another source is judged on
    fresh = [name for name in (f"twin_{number}" for number in range(20)) if not mixture.is_held_out(name)]
    originals = ("train/sad/photo_42", "test/happy/photo_62", "train/happy/photo_24")
    for name, original in zip(fresh[:3], originals, strict=True):
        with Image.open(root / f"{original}.png") as picture:
            lighter = ImageEnhance.Brightness(picture).enhance(0.9).resize((120, 120), Image.Resampling.BICUBIC)
        lighter.save(root / "train" / "angry" / f"{name}.png")
    after = learned(held_out)
    assert set(after.names) - set(before.names) == {fresh[2]}  # only the twin of a picture that is learned from
    assert len(learned(held_out, limit=10)) == 10


def test_a_run_is_judged_on_consensus_labels_and_on_held_out_photos(photos: Path, votes: Path, tmp_path: Path) -> None:
    known = split_of([ANGRY, HAPPY, SAD])
    recipe = config(ferplus_weight=0.5, votes=str(votes))
    found = mixture.validation_split(mixture.validation_parts(known, [photos], recipe), recipe)
    assert found.labels.tolist() == [SURPRISE, FEAR, HAPPY, SAD, SAD]  # rows 0 and 1 have no leading expression
    assert found.names[0] == "2" and set(found.names[1:]) == {"photo_19", "photo_29", "photo_42", "photo_46"}
    assert found.pictures.shape == (5, SIDE, SIDE)
    tree = load_split(write_tree(tmp_path / "data"), "validation")
    assert mixture.validation_split(mixture.validation_parts(tree, [], Config()), Config()) is tree
    alone = mixture.validation_split(mixture.validation_parts(known, [], config()), config())
    assert alone.labels.tolist() == known.labels.tolist() and alone.pictures.shape == (3, SIDE, SIDE)
