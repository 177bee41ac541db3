"""Distillation: teacher networks from finished runs, and their mean probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from facemotion import weights
from training.expression import ablation_networks, networks
from training.expression.config import Config, ConfigError
from training.expression.inference import predict

BATCH = 1024  # pictures


@dataclass(frozen=True)
class Teacher:
    """A trained network, its recipe, and the pin `folder#sha256`."""

    network: nn.Module
    config: Config
    pin: str


def load(run: Path, device: torch.device) -> Teacher:
    """The best weights of a run of training.expression.train.

    Raises:
        ConfigError: it is no run with an epoch in it.
    """
    config = Config.of_run(run)
    file = run / "best.pt"
    if not file.is_file():
        raise ConfigError(f"--teachers names {run}, which holds no best.pt: it is no run with an epoch in it")
    network = ablation_networks.build(config.network)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["network"])
    ready = networks.channels_last(network, device).eval()
    return Teacher(ready, config, f"{run.absolute().name}#{weights.sha256(file)}")


def teacher_probabilities(teachers: Sequence[Teacher], pictures: Tensor, prior: Tensor, bf16: bool) -> Tensor:
    """The mean of the teachers' probabilities, float32 [N, 7].

    A teacher that learned with `balance` has logits that are to be shifted by as much of the log shares before they
    answer for these pictures (`optim.classification_losses`).

    Args:
        teachers: one or more.
        pictures: grey float32 [N, 1, S, S], 0..1, where the teachers are.
        prior: log share of each class among the pictures, [7].
        bf16: whether they compute in bfloat16.
    """
    mean = torch.zeros(len(pictures), len(prior), device=pictures.device)
    for teacher in teachers:
        logits = predict(teacher.network, (pictures - teacher.config.mean) / teacher.config.std, bf16, BATCH)
        mean += (logits + teacher.config.balance * prior).softmax(1) / len(teachers)
    return mean
