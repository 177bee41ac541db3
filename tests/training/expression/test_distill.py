"""Distillation: what teachers answer, and what a run learns from them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.training.arithmetic import UNIT
from tests.support.training.tree import write_tree
from training.expression import distill, train
from training.expression.config import PRESETS, Config, ConfigError
from training.expression.data.dataset import Split, load_split
from training.expression.data.epoch_data import EpochData
from training.expression.distill import Teacher
from training.expression.evaluation import metrics
from training.expression.evaluation.scorers import from_head
from training.expression.networks import HEADS, MultiHeadNet
from training.expression.optim import log_priors

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def taught_run(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "teacher"
    train.train(Config(network="candidate-mobile", epochs=1, batch_size=16, balance=0.5), tree, run)
    return run


class Says(nn.Module):
    """The same logits for every picture."""

    input_size, input_channels = 48, 1

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1)


def test_teachers_answer_with_the_mean_and_by_the_frequencies_they_learned_without() -> None:
    prior = torch.tensor([0.5, 0.25, 0.25]).log()
    pictures = torch.zeros(4, 1, 48, 48)
    plain, balanced = Teacher(Says(0, 0, 0), Config(), ""), Teacher(Says(0, 0, 0), Config(balance=1), "")
    said = distill.teacher_probabilities([plain], pictures, prior, bf16=False)
    assert said[3].tolist() == pytest.approx([1 / 3] * 3)
    said = distill.teacher_probabilities([balanced], pictures, prior, bf16=False)
    assert said[0].tolist() == pytest.approx([0.5, 0.25, 0.25])
    said = distill.teacher_probabilities([plain, balanced], pictures, prior, bf16=False)
    assert said[0].tolist() == pytest.approx([5 / 12, 7 / 24, 7 / 24])


@pytest.mark.slow
def test_a_run_is_taught_on_the_pictures_it_sees(tree: Path, taught_run: Path, arithmetic: str) -> None:
    """Its teachers compute in the numbers that the run computes in. The pictures that they are shown again here may
    differ by a rounding, which a teacher in bfloat16 may round to the neighbouring number, layer by layer."""
    bf16 = arithmetic == "bfloat16"
    bound = 32 * UNIT[arithmetic]
    split, rows = load_split(tree, "train"), torch.arange(42)
    config = Config(augment=True, teachers=(str(taught_run),), distillation_weight=0.25)
    epoch_data = EpochData(split, config, CPU)
    teacher = distill.load(taught_run, CPU)
    assert teacher.config.balance == 0.5 and teacher.pin.startswith("teacher#")
    own = nn.functional.one_hot(torch.from_numpy(split.labels), 7).float()
    (first, told), (second, told_then) = epoch_data.batch(rows), epoch_data.batch(rows)
    for shown, targets in ((first, told), (second, told_then)):
        said = distill.teacher_probabilities([teacher], shown * config.std + config.mean, log_priors(own), bf16)
        torch.testing.assert_close(targets, 0.75 * own + 0.25 * said, rtol=0, atol=bound)
    assert not torch.equal(told, told_then)
    still = EpochData(split, dataclasses.replace(config, augment=False, distillation_weight=1.0), CPU)
    grey = torch.from_numpy(split.pictures).unsqueeze(1).float() / 255
    said = distill.teacher_probabilities([teacher], grey, log_priors(own), bf16)
    torch.testing.assert_close(still.batch(rows)[1], said, rtol=0, atol=bound)


@pytest.mark.slow
def test_a_taught_run_names_its_teachers_and_goes_on_where_they_were_moved(
    tree: Path, taught_run: Path, tmp_path: Path
) -> None:
    modern = {
        "drop": (),
        "epochs": 2,
        "batch_size": 16,
        "warmup_epochs": 0.5,
        "distillation_weight": 0.5,
        "network": "emotionnet",
    }
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
        ({"unlabelled": "faces"}, "--unlabelled must be left out, or given with --network multihead and --teachers"),
        ({"network": "multihead", "unlabelled": "faces"}, "--unlabelled must be left out"),
        ({"distillation_weight": 0.5}, "--distillation-weight must be 0, or with --teachers"),
        ({"teachers": ("run",)}, "--distillation-weight must be 0, or with --teachers"),
        ({"teachers": ("run",), "distillation_weight": 1.5}, "at most 1"),
    ],
)
def test_knobs_that_do_not_go_together(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(**wrong)  # type: ignore[arg-type]


def test_beside_a_label_a_teacher_counts_by_its_weight_and_without_one_it_is_the_target() -> None:
    targets, weights = torch.zeros(1, 2, 2), torch.tensor([[1.5, 0.0]])
    targets[0, 0, 0] = 1
    taught = torch.tensor([[[0.2, 0.8], [0.6, 0.4]]])
    blended, counted = distill.blended(targets, weights, taught, 0.25)
    assert blended.flatten().tolist() == pytest.approx([0.8, 0.2, 0.6, 0.4])
    assert counted.tolist() == [[1.5, 0.25]]


@pytest.mark.slow
def test_heads_are_taught_by_the_heads_of_several_teachers_that_see_both_sides() -> None:
    torch.manual_seed(0)
    shades = np.linspace(0, 255, 64, dtype=np.uint8)
    pictures = np.stack([np.tile(shades, (64, 1)), np.tile(shades[:, None], (1, 64)), np.triu(np.full((64, 64), 200))])
    split = Split(pictures.astype(np.uint8), np.zeros(3, np.int64), ("0", "1", "2"))
    config = Config(network="multihead")
    teachers = [Teacher(MultiHeadNet().eval(), config, "") for _ in range(2)]
    for teacher in teachers:
        teacher.network.mix.fill_(1 / len(HEADS))  # type: ignore[union-attr, operator]
        for head in teacher.network.heads.values():  # type: ignore[union-attr, operator]
            nn.init.normal_(head.weight, std=8)  # so that heads, teachers and views differ
    said = distill.head_probabilities(teachers, split, bf16=False)
    assert said.shape == (3, len(HEADS), 7)
    torch.testing.assert_close(said.sum(2), torch.ones(3, len(HEADS)))
    for head, name in enumerate(HEADS):
        alone = [from_head(teacher.network, config, name, "").score for teacher in teachers]  # type: ignore[arg-type]
        plain = [metrics.softmax(score(split.pictures)) for score in alone]
        both = [*plain, *(metrics.softmax(score(split.pictures[..., ::-1].copy())) for score in alone)]
        assert np.abs(np.mean(plain, axis=0) - np.mean(both, axis=0)).max() > 0.002
        np.testing.assert_allclose(said[:, head].numpy(), np.mean(both, axis=0), rtol=0, atol=5e-4)


def test_a_head_counts_where_it_learned() -> None:
    config = Config(network="multihead")
    split = Split(np.zeros((2, 64, 64), np.uint8), np.zeros(2, np.int64), ("0", "1"))
    networks = [MultiHeadNet().eval() for _ in range(2)]
    for network, mix in zip(networks, ([1.0, 0, 0, 0], [0, 1.0, 0, 0]), strict=True):
        network.mix.copy_(torch.tensor(mix))
    both = distill.head_probabilities([Teacher(network, config, "") for network in networks], split, bf16=False)
    second = distill.head_probabilities([Teacher(networks[1], config, "")], split, bf16=False)
    votes = HEADS.index("votes")
    torch.testing.assert_close(both[:, votes], second[:, votes])
    assert not both[:, [HEADS.index("photos"), HEADS.index("consensus")]].any()
    targets, weights = torch.rand(2, len(HEADS), 7), torch.tensor([[1.0, 0, 1, 0]] * 2)
    blended, counted = distill.blended(targets, weights, both, 0.5)
    assert torch.equal(blended[:, HEADS.index("photos")], targets[:, HEADS.index("photos")])
    assert counted.tolist() == [[1, 0.5, 1, 0]] * 2


def test_a_teacher_of_a_single_head_cannot_teach_several() -> None:
    split = Split(np.zeros((1, 48, 48), np.uint8), np.zeros(1, np.int64), ("0",))
    with pytest.raises(ConfigError, match="names single, which has a single head: name runs of --network multihead"):
        distill.head_probabilities([Teacher(Says(0, 0, 0), Config(), "single#00")], split, bf16=False)


@pytest.mark.slow
def test_a_run_without_an_epoch_cannot_teach(taught_run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((taught_run / "config.json").read_text())
    with pytest.raises(ConfigError, match=r"which holds no best\.pt: it is no run with an epoch in it"):
        distill.load(tmp_path, CPU)
