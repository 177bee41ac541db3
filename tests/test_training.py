"""The training kit on a few small pictures: metrics worked out by hand, fast convolutions, runs that can be resumed."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from facemotion import EMOTIONS, EmotionClassifier, crops, images
from facemotion.faces import Box
from training import data, export, metrics, train, winograd
from training.train import Config

FACE = Box(183, 120, 353, 333)  # in grace_hopper.jpg


def test_confusion_and_what_follows_from_it():
    labels = np.array([0, 0, 0, 3, 3, 6])
    predicted = np.array([0, 0, 3, 3, 3, 0])
    counts = metrics.confusion(np.eye(7)[predicted], labels)
    assert counts[0, 0] == 2
    assert counts[0, 3] == 1
    assert counts[6, 0] == 1
    rows = metrics.per_class(counts)
    assert rows["angry"] == {
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "support": 3,
    }
    assert rows["happy"]["precision"] == pytest.approx(2 / 3)
    assert rows["happy"]["recall"] == 1
    assert rows["surprise"]["f1"] == 0
    assert metrics.accuracy(np.eye(7)[predicted], labels) == pytest.approx(4 / 6)
    assert metrics.macro_f1(counts) == pytest.approx((2 / 3 + 0.8) / 7)
    assert metrics.balanced_accuracy(counts) == pytest.approx((2 / 3 + 1) / 7)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.full((10, 7), 0.05)
    probabilities[:, 0] = 0.7
    labels = np.array([0] * 4 + [1] * 6)  # right in 40 % of the cases, at a confidence of 70 %
    assert metrics.calibration_error(probabilities, labels) == pytest.approx(0.3)


def test_temperature_undoes_overconfidence():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, 7)) * 2
    chances = metrics.softmax(logits)
    labels = np.array([generator.choice(7, p=row) for row in chances])
    assert metrics.fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.1)


def test_thresholds_keep_enough_and_help():
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(3000, 7)) * 1.5
    probabilities = metrics.softmax(logits)
    labels = np.array([generator.choice(7, p=row) for row in probabilities])
    chosen = metrics.choose_thresholds(probabilities, labels)
    kept = metrics.certain(probabilities, **chosen)
    assert kept.mean() >= metrics.MIN_COVERAGE
    assert metrics.accuracy(probabilities[kept], labels[kept]) > metrics.accuracy(probabilities, labels)


def test_the_halves_are_fixed_and_split_everything():
    first, second = metrics.halves(101)
    assert first.sum() == 50
    assert (first ^ second).all()
    assert (metrics.halves(101)[0] == first).all()


@pytest.mark.parametrize(
    ("channels", "outputs", "side", "kernel"), [(16, 20, 24, 5), (16, 20, 12, 3), (16, 20, 6, 3), (16, 8, 7, 3)]
)
def test_winograd_convolution_equals_the_direct_one_with_its_gradients(channels, outputs, side, kernel):
    torch.manual_seed(0)
    images_ = torch.randn(3, channels, side, side, requires_grad=True)
    weights = torch.randn(outputs, channels, kernel, kernel, requires_grad=True)
    gradient = torch.randn(3, outputs, side, side)
    for tile in winograd.TILES[kernel]:
        fast = winograd.convolve(images_, weights, tile)
        slow = functional.conv2d(images_, weights, padding="same")
        assert torch.allclose(fast, slow, rtol=1e-3, atol=1e-3)
        for one, other in zip(
            torch.autograd.grad(fast, (images_, weights), gradient),
            torch.autograd.grad(slow, (images_, weights), gradient),
            strict=True,
        ):
            assert (one - other).norm() / other.norm() < 1e-4


def test_winograd_keeps_the_parameters_names():
    network = torch.nn.Sequential(torch.nn.Conv2d(16, 32, 3, padding="same"))
    before = network(torch.ones(1, 16, 8, 8))
    winograd.use_winograd(network)
    assert type(network[0]) is winograd.WinogradConv2d
    assert list(network.state_dict()) == ["0.weight", "0.bias"]
    assert torch.allclose(network(torch.ones(1, 16, 8, 8)), before, atol=1e-4)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, examples):
    """A data set of the usual form: variants of one face, told apart by a pattern that a network learns quickly."""
    root = tmp_path_factory.mktemp("data")
    face = crops.resize(crops.square(images.load(examples / "grace_hopper.jpg"), FACE)[..., 0], data.SIDE)
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("validation", 3)):
        for label, emotion in enumerate(EMOTIONS):
            folder = root / "images" / split / emotion
            folder.mkdir(parents=True)
            for number in range(count):
                picture = face.astype(int) + generator.integers(-20, 20, face.shape)
                picture[label * 6 : label * 6 + 6] = 255
                Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return root


def test_loads_a_tree_in_order(tree):
    split = data.load_split(tree, "train")
    assert split.pictures.shape == (42, 48, 48)
    assert split.labels.tolist() == sorted([*range(7)] * 6)
    assert split.names[:2] == ("0", "1")


def test_refuses_wrong_trees_with_a_sentence(tree, tmp_path):
    with pytest.raises(data.DataError, match="no folder 'test'"):
        data.load_split(tree, "test")
    (tmp_path / "train" / "joy").mkdir(parents=True)
    with pytest.raises(data.DataError, match="holds joy, but the folders must be named angry"):
        data.load_split(tmp_path, "train")


def test_refuses_a_picture_of_another_size(tmp_path):
    (tmp_path / "train" / "happy").mkdir(parents=True)
    Image.new("L", (64, 48)).save(tmp_path / "train" / "happy" / "1.png")
    with pytest.raises(data.DataError, match="64 x 48, but the pictures must be 48 x 48"):
        data.load_split(tmp_path, "train")


@pytest.fixture(scope="module")
def runs(tree, tmp_path_factory):
    """Two epochs straight through, and the same with a stop in between."""
    folder = tmp_path_factory.mktemp("runs")
    config = Config(epochs=2, batch_size=14, seed=7, mean=0.4, limit=40)
    train.train(config, tree, folder / "straight")
    train.train(replace(config, epochs=1), tree, folder / "stopped")
    train.train(Config(epochs=2), tree, folder / "stopped", resume=True)  # the rest of the recipe is the checkpoint's
    return folder


def test_a_resumed_run_equals_one_straight_through(runs):
    first, second = (torch.load(runs / name / "last.pt", weights_only=True) for name in ("straight", "stopped"))
    assert first["epoch"] == second["epoch"] == 2
    assert json.loads((runs / "stopped" / "config.json").read_text())["mean"] == 0.4
    for name, tensor in first["network"].items():
        assert torch.equal(tensor, second["network"][name]), name


def test_a_run_directory_tells_everything(runs):
    run = runs / "straight"
    assert json.loads((run / "config.json").read_text())["network"] == "simplecnn"
    assert len((run / "history.csv").read_text().splitlines()) == 3
    assert np.load(run / "predictions" / "002.npy").shape == (21, 7)
    best = json.loads((run / "metrics.json").read_text())["best"]
    assert (
        best["validation_accuracy"]
        >= json.loads((run / "metrics.json").read_text())["last_five"][0]["validation_accuracy"]
    )
    assert not list(run.glob("*.tmp"))


def test_a_finished_run_is_not_overwritten(runs, tree):
    with pytest.raises(data.DataError, match="already holds a run"):
        train.train(Config(epochs=1), tree, runs / "straight")


def test_the_exported_folder_loads_and_agrees_with_the_run(runs, tree, tmp_path):
    config = export.export(runs / "straight", tree, tmp_path / "model")
    classifier = EmotionClassifier.from_pretrained(str(tmp_path / "model"))
    split = data.load_split(tree, "validation")
    probabilities = classifier.classify([np.dstack([picture] * 3) for picture in split.pictures])
    assert metrics.accuracy(probabilities, split.labels) == pytest.approx(config["metrics"]["accuracy"])
    assert config["metrics"]["rows_not_in_train"] == 21
    recorded = export.recorded_logits(runs / "straight", config["metrics"]["epoch"])
    assert np.abs(probabilities - metrics.softmax(recorded, config["temperature"])).max() < export.MAX_PARITY_ERROR
