"""The modern recipe: how the weights move, by hand, and that such a run learns and can be resumed."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support.training.tree import write_tree
from training.expression import train
from training.expression.config import PRESETS, Config, ConfigError
from training.expression.data.dataset import load_split
from training.expression.data.epoch_data import EpochData
from training.expression.optim import (
    classification_losses,
    count_correct,
    ema_of,
    learning_rate_at,
    log_priors,
    make_optimizer,
    mixup,
)

COSINE = Config(optimizer="sgd", learning_rate=0.2, schedule="cosine", epochs=10, warmup_epochs=2.0, weight_decay=0.01)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0, 0), (0.1, 0.1), (0.2, 0.2), (0.6, 0.1), (0.4, 0.2 * (1 + math.sqrt(0.5)) / 2), (1, 0)],
)
def test_the_step_size_rises_in_a_line_and_falls_along_a_cosine(progress: float, expected: float) -> None:
    assert learning_rate_at(COSINE, progress) == pytest.approx(expected)
    assert learning_rate_at(Config(learning_rate=3e-4), progress) == 3e-4


def test_weight_decay_spares_biases_and_batch_norm() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    decayed, spared = make_optimizer(COSINE, network).param_groups
    assert [tuple(p.shape) for p in decayed["params"]] == [(2, 1, 3, 3), (2, 2)]
    assert all(p.ndim == 1 for p in spared["params"]) and len(spared["params"]) == 4
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0)
    assert type(make_optimizer(Config(), network)) is torch.optim.Adam


def test_the_average_follows_the_weights_and_at_first_closely() -> None:
    network = nn.BatchNorm1d(1)
    average = ema_of(network, decay=0.9)
    values, expected = [1.0, 2.0, 4.0], None
    for steps, value in enumerate(values):
        network.running_mean.fill_(value)
        network.num_batches_tracked.fill_(steps)
        average.update_parameters(network)
        kept = min(0.9, (1 + steps) / (10 + steps))
        expected = value if expected is None else kept * expected + (1 - kept) * value
    assert average.module.running_mean.item() == pytest.approx(expected)
    assert average.module.num_batches_tracked.item() == 2


def test_the_balance_shifts_logits_by_how_frequent_a_class_is() -> None:
    targets = torch.tensor([0, 0, 0, 1])
    prior = log_priors(functional.one_hot(targets, 2).float())
    assert prior.exp().tolist() == pytest.approx([0.75, 0.25])
    logits = torch.zeros(1, 2)
    plain, half, whole = (
        classification_losses(logits, torch.tensor([1]), Config(balance=balance), prior).item()
        for balance in (0, 0.5, 1)
    )
    assert plain == pytest.approx(math.log(2)) and whole == pytest.approx(math.log(4))
    assert plain < half < whole  # a rare class that is seen as no likelier than the other costs more


def test_losses_take_labels_and_distributions_alike() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 7), torch.tensor([0, 3, 6, 2, 2])
    sure = functional.one_hot(labels, 7).float()
    for config in (Config(), Config(label_smoothing=0.1)):
        one, other = (classification_losses(logits, t, config, torch.zeros(7)) for t in (labels, sure))
        assert torch.allclose(one, other, atol=1e-6)
    assert count_correct(sure, labels).item() == count_correct(sure, sure).item() == 5


def test_mixing_keeps_the_sums_and_the_stronger_picture_in_its_place() -> None:
    torch.manual_seed(1)
    pictures, targets = torch.eye(6), torch.eye(6)
    blended, shares = mixup(pictures, targets, alpha=1.0)
    assert torch.equal(blended, shares) and not torch.equal(blended, pictures)
    assert torch.allclose(shares.sum(1), torch.ones(6))
    assert (shares.argmax(1) == torch.arange(6)).all()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"optimizer": "lion"}, "--optimizer must be one of adam, sgd"),
        ({"schedule": "steps"}, "--schedule must be one of"),
        ({"weight_decay": 0.1}, "--weight-decay must be 0, or with --optimizer sgd"),
        ({"warmup_epochs": 50.0}, "--warmup-epochs must be 0 or more, and less than --epochs"),
        ({"ema_decay": 1.0}, "--ema-decay must be"),
        ({"balance": 1.5}, "--balance must be 0, or with a --network other than multihead at most 1"),
        ({"ferplus_weight": 0.5}, "--votes must be given for --ferplus-weight"),
        ({"label_smoothing": 1.0}, "--label-smoothing must be"),
        ({"mixup": -1.0}, "--mixup must be"),
    ],
)
def test_knobs_outside_their_range_are_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("(", r"\(")):
        Config(**values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("data"))


def test_every_batch_is_augmented_anew_and_alike_from_the_same_seed(tree: Path) -> None:
    split, rows = load_split(tree, "train"), torch.arange(42)
    epoch_data = EpochData(split, Config(augment=True), torch.device("cpu"))
    torch.manual_seed(4)
    (first, labels), (second, _) = epoch_data.batch(rows), epoch_data.batch(rows)
    assert first.shape == (42, 1, 48, 48) and first.dtype == torch.float32
    torch.manual_seed(4)
    assert torch.equal(first, epoch_data.batch(rows)[0]) and not torch.equal(first, second)
    still = EpochData(split, Config(), torch.device("cpu"))
    assert torch.equal(still.batch(rows)[0], still.batch(rows)[0])
    assert torch.equal(still.batch(rows.flip(0))[1], labels.flip(0))
    assert torch.equal(labels, torch.from_numpy(split.labels))


def test_an_epoch_shows_every_picture_once(tree: Path) -> None:
    epoch_data = EpochData(load_split(tree, "train"), Config(), torch.device("cpu"))
    first, second = epoch_data.rows(), epoch_data.rows()
    assert sorted(first.tolist()) == list(range(42)) and not torch.equal(first, second)


def test_votes_become_targets(tree: Path, tmp_path: Path) -> None:
    columns = "row,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,not_a_face"
    rows = [f"{row},0,10,0,0,0,0,0,0,0,0" for row in range(6)]
    votes = tmp_path / "votes.csv"
    votes.write_text("\n".join([columns, *rows]) + "\n")
    epoch_data = EpochData(
        load_split(tree, "train"), Config(ferplus_weight=0.25, votes=str(votes)), torch.device("cpu")
    )
    targets = epoch_data.batch(torch.arange(6))[1]
    assert targets[0].tolist() == pytest.approx([0.75, 0, 0, 0.25, 0, 0, 0])  # angry, and all saw happy


@pytest.mark.slow
def test_a_modern_run_learns(arithmetic: str, tree: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(PRESETS["modern"], epochs=5, batch_size=7, warmup_epochs=1.0, augment=False, drop=())
    history = train.train(dataclasses.replace(config, learning_rate=0.02), tree, tmp_path)["last_five"]
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
    assert history[-1]["train_accuracy"] > 0.6


@pytest.mark.slow
def test_a_modern_run_keeps_its_average_and_resumes_exactly(arithmetic: str, tree: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(
        PRESETS["modern"],
        network="emotionnet",
        epochs=2,
        batch_size=14,
        warmup_epochs=0.5,
        ema_decay=0.5,
        mixup=0.2,
        drop=(),
    )
    train.train(config, tree, tmp_path / "whole")
    original = train.train_epoch
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "train_epoch", lambda *given: stop_at_two(original, *given))
        train.train(config, tree, tmp_path / "stopped")
    train.train(config, tree, tmp_path / "stopped", resume=True)
    one, other = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "stopped"))
    for part in ("network", "ema"):
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items()), part
    best = torch.load(tmp_path / "whole" / "best.pt", weights_only=True)["network"]
    assert not torch.equal(best["stem.0.weight"], one["network"]["stem.0.weight"])  # the average is kept, not the last
    logits = np.load(tmp_path / "whole" / "predictions" / "002.npy")
    assert logits.shape == (21, 7) and np.isfinite(logits).all()


def stop_at_two(original: object, run: train.Run, epoch_data: EpochData, epoch: int) -> tuple[float, float]:
    if epoch == 2:
        raise KeyboardInterrupt
    return original(run, epoch_data, epoch)  # type: ignore[operator]
