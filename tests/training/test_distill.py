"""Views that are made once, and networks that teach others: what a run sees, and what it is told."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training.expression.data.augmentation_cache import Views

from tests.support.arithmetic import UNIT
from tests.support.training_tree import write_tree
from training.expression import distill, train
from training.expression.config import PRESETS, Config, ConfigError
from training.expression.data import augmentation_cache
from training.expression.data.augment import augmented
from training.expression.data.dataset import load_split
from training.expression.data.epoch_data import Lessons
from training.expression.distill import Teacher
from training.expression.optim import prior_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def taught_run(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "teacher"
    train.train(Config(network="candidate-mobile", epochs=1, batch_size=16, balance=0.5), tree, run)
    return run


def test_views_come_in_turn_and_are_the_same_for_every_seed(tree: Path) -> None:
    split = load_split(tree, "train")
    lessons = Lessons(split, Config(augment=True, views=2, seed=3), CPU)
    first, second, third = (lessons.of(epoch)[0] for epoch in (1, 2, 3))
    assert torch.equal(first, third) and not torch.equal(first, second)
    assert torch.equal(first, Lessons(split, Config(augment=True, views=2, seed=9), CPU).of(1)[0])


def test_views_are_kept_by_what_they_were_made_of(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 48, 48), np.uint8)
    kept = Views(pictures, 3, tmp_path)
    np.testing.assert_array_equal(kept[1], augmented(pictures, np.arange(5), augmentation_cache.SEED, 1))
    assert [file.name for file in tmp_path.glob("*/*")] == ["001.npy"]
    kept._file(1).write_bytes(kept._file(1).read_bytes()[:-1] + b"\x07")
    assert Views(pictures, 3, tmp_path)[1][-1, -1, -1] == 7  # read, not made again
    assert Views(pictures[::-1].copy(), 3, tmp_path)[1][-1, -1, -1] != 7
    assert len(list(tmp_path.iterdir())) == 2


def test_views_are_made_ahead_as_the_run_would_make_them(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"views --data {tree} --drop blank --count 2 --out {tmp_path}"
    monkeypatch.setattr(sys, "argv", command.split())
    augmentation_cache.main()
    assert f"2 views of 42 pictures are in {tmp_path}" in capsys.readouterr().out
    files = sorted(tmp_path.glob("*/*"))
    assert [file.name for file in files] == ["000.npy", "001.npy"]
    split = load_split(tree, "train", ("blank",))
    for number, file in enumerate(files):
        np.testing.assert_array_equal(np.load(file), Views(split.pictures, 2)[number])


class Says(nn.Module):
    """The same logits for every picture."""

    input_channels = 1

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1)


def test_teachers_answer_with_the_mean_and_by_the_frequencies_they_learned_without() -> None:
    prior = torch.tensor([0.5, 0.25, 0.25]).log()
    pictures = np.zeros((4, 48, 48), np.uint8)
    plain, balanced = Teacher(Says(0, 0, 0), Config(), ""), Teacher(Says(0, 0, 0), Config(balance=1), "")
    said = distill.answers([plain], pictures, prior, CPU, bf16=False)
    assert said[3].tolist() == pytest.approx([1 / 3] * 3)
    said = distill.answers([balanced], pictures, prior, CPU, bf16=False)
    assert said[0].tolist() == pytest.approx([0.5, 0.25, 0.25])
    said = distill.answers([plain, balanced], pictures, prior, CPU, bf16=False)
    assert said[0].tolist() == pytest.approx([5 / 12, 7 / 24, 7 / 24])


@pytest.mark.slow
def test_a_run_is_taught_on_the_pictures_it_sees(tree: Path, taught_run: Path, arithmetic: str) -> None:
    """Its teachers compute in the numbers that the run computes in; what is made of their answers is float32."""
    bf16 = arithmetic == "bfloat16"
    split = load_split(tree, "train")
    config = Config(augment=True, views=2, teachers=(str(taught_run),), teaching=0.25)
    lessons = Lessons(split, config, CPU)
    teacher = distill.load(taught_run, CPU)
    assert teacher.config.balance == 0.5 and teacher.pin.startswith("teacher#")
    prior = prior_of(nn.functional.one_hot(torch.from_numpy(split.labels), 7).float())
    for epoch in (1, 2):
        shown = augmented(split.pictures, np.arange(42), augmentation_cache.SEED, epoch - 1)
        said = distill.answers([teacher], shown, prior, CPU, bf16)
        assert torch.equal(said, distill.answers([teacher], shown, prior, CPU, bf16=False)) != bf16
        own = nn.functional.one_hot(torch.from_numpy(split.labels), 7)
        blend = 0.75 * own + 0.25 * said
        torch.testing.assert_close(lessons.of(epoch)[1], blend, rtol=0, atol=4 * UNIT["float32"])  # of shares up to 1
    assert not torch.equal(lessons.of(1)[1], lessons.of(2)[1])
    still = Lessons(split, dataclasses.replace(config, augment=False, views=0, teaching=1.0), CPU)
    said = distill.answers([teacher], split.pictures, prior, CPU, bf16)
    torch.testing.assert_close(still.of(5)[1], said, rtol=0, atol=4 * UNIT["float32"])


@pytest.mark.slow
def test_a_taught_run_names_its_teachers_and_goes_on_where_they_were_moved(
    tree: Path, taught_run: Path, tmp_path: Path
) -> None:
    modern = {"drop": (), "epochs": 2, "batch_size": 16, "warm_up": 0.5, "views": 2, "teaching": 0.5}
    config = dataclasses.replace(PRESETS["modern"], teachers=(str(taught_run),), **modern)  # type: ignore[arg-type]
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    train.train(config, tree, whole)
    recipe = json.loads((whole / "config.json").read_text())
    assert [pin.split("#")[0] for pin in recipe["teachers"]] == ["teacher"]
    assert str(taught_run) not in (whole / "config.json").read_text()
    train.train(dataclasses.replace(config, epochs=1), tree, halved)
    moved = dataclasses.replace(config, teachers=(str(taught_run.rename(tmp_path / "moved")),))
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        train.train(config, tree, halved, resume=True)
    train.train(moved, tree, halved, resume=True)
    assert len((halved / "history.csv").read_text().splitlines()) == 3
    (tmp_path / "moved").rename(taught_run)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"views": -1}, "--views must be 0 or more"),
        ({"teaching": 0.5}, "--teaching must be 0, or with --teachers"),
        ({"teachers": ("run",)}, "--teaching must be 0, or with --teachers"),
        ({"teachers": ("run",), "teaching": 1.5}, "at most 1"),
    ],
)
def test_knobs_that_do_not_go_together(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(**wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_run_without_an_epoch_cannot_teach(taught_run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((taught_run / "config.json").read_text())
    with pytest.raises(ConfigError, match=r"which holds no best\.pt: it is no run with an epoch in it"):
        distill.load(tmp_path, CPU)
