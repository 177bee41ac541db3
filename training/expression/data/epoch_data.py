"""Inputs and targets of each step of an epoch, for networks of a single head; `mixture` has those of several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facemotion.faces import EMOTIONS
from training.common.constants import SIDE
from training.common.devices import precision_of
from training.expression import distill
from training.expression.config import Config
from training.expression.data.augment import augment
from training.expression.data.dataset import Split
from training.expression.data.ferplus import load_votes
from training.expression.data.soft_labels import soft_targets, vote_distributions
from training.expression.optim import log_priors


class EpochData:
    """Inputs and targets of the training images for each epoch.

    `labels` are int64 [N], or distributions float32 [N, 7] where the recipe blends labels, pictures or teachers;
    `prior` is the log share of each class among them, [7].

    Args:
        split: the pictures.
        config: the recipe.
        device: where it learns.

    Raises:
        DataError: the votes or a teacher cannot be read, or the votes are not of these pictures.
    """

    def __init__(self, split: Split, config: Config, device: torch.device) -> None:
        self.config, self.device = config, device
        self.pictures = torch.from_numpy(split.pictures).unsqueeze(1)
        if not config.augment:
            self.pictures = self.pictures.to(device)  # as bytes: a quarter of what float32 takes
        self.labels = labels_for(split, config).to(device)
        self.sampling = class_sampling_weights(split.labels, config.rare_class_sampling)
        self.prior = log_priors(torch.from_numpy(soft_targets(split.labels, None, 0))).to(device)
        self.teachers = [distill.load(Path(run), device) for run in config.teachers]
        self.teacher_pins = [teacher.pin for teacher in self.teachers]
        self.digest = split.digest()

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self) -> Tensor:
        """The rows of an epoch in random order, as `sampled` draws them."""
        return sampled(self.sampling)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised grey pictures float32 [n, 1, 48, 48], augmented anew where the recipe says so, and their targets:
        as `labels`. Draws from torch's global generator."""
        if self.config.augment:
            generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
            grey = augment(self.pictures[rows].float().div_(255), SIDE, generator).to(self.device)
        else:
            grey = self.pictures[rows.to(self.device)].float().div_(255)
        labels = self.labels[rows.to(self.device)]
        if self.teachers:
            bf16 = precision_of(self.device).dtype is torch.bfloat16
            labels = torch.lerp(
                labels,
                distill.teacher_probabilities(self.teachers, grey, self.prior, bf16),
                self.config.distillation_weight,
            )
        return (grey - self.config.mean) / self.config.std, labels


def sampled(weights: Tensor) -> Tensor:
    """As many rows as there are `weights` [N], drawn by them; each once where all are equal."""
    if bool((weights == weights[0]).all()):
        return torch.randperm(len(weights))  # which drawing with replacement would not give
    return torch.multinomial(weights, len(weights), replacement=True)


def class_sampling_weights(labels: NDArray[np.int64], power: float) -> Tensor:
    """Sampling weights of pictures: the share of each picture's class to the power of -`power`, scaled to a mean of 1
    over the pictures. float32 [N]."""
    counts = np.bincount(labels, minlength=len(EMOTIONS)).clip(1)
    weights = (counts / len(labels)) ** -power
    of_pictures = weights[labels]
    return torch.from_numpy((of_pictures / of_pictures.mean()).astype(np.float32))


def labels_for(split: Split, config: Config) -> Tensor:
    """Labels where the recipe takes them as they are, else distributions."""
    if not config.ferplus_weight and not config.mixup and not config.teachers:
        return torch.from_numpy(split.labels)
    voted = vote_distributions(load_votes(Path(config.votes)), split.names) if config.ferplus_weight else None
    return torch.from_numpy(soft_targets(split.labels, voted, config.ferplus_weight))
