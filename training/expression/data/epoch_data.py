"""What a run learns from: its pictures as each epoch sees them, and what they should be called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.common.devices import precision_of
from training.expression import distill
from training.expression.config import Config
from training.expression.data.augmentation_cache import Views, augment_all
from training.expression.data.dataset import Split
from training.expression.data.ferplus import load_votes
from training.expression.data.soft_labels import shares, targets
from training.expression.inference import normalised
from training.expression.optim import prior_of


class Lessons:
    """The training pictures of a run on its device.

    `labels` are int64 [N], or distributions float32 [N, 7] where the recipe blends labels, pictures or teachers;
    `prior` is the log share of each class among them, [7].

    Args:
        split: the pictures.
        config: the recipe.
        device: where it learns.
        cache: the folder for views, for which `views.Views` says more.

    Raises:
        DataError: the votes or a teacher cannot be read, or the votes are not of these pictures.
    """

    def __init__(self, split: Split, config: Config, device: torch.device, cache: Path | None = None) -> None:
        self.split, self.config, self.device = split, config, device
        self.labels = labels_for(split, config).to(device)
        self.prior = prior_of(torch.from_numpy(targets(split.labels, None, 0))).to(device)
        self.teachers = [distill.load(Path(run), device) for run in config.teachers]
        self._views = Views(split.pictures, config.views, cache) if config.augment and config.views else None
        self._still: tuple[Tensor, Tensor] | None = None
        self._told: dict[int, Tensor] = {}  # by view, what it should be called; the pictures would fill the device

    def __len__(self) -> int:
        return len(self.split)

    def of(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Normalised grey pictures float32 [N, 1, 48, 48], as they are or augmented for this epoch, and what they
        should be called: as `labels`."""
        if not self.config.augment:
            if self._still is None:
                self._still = self._placed(self.split.pictures), self._taught(self.split.pictures)
            return self._still
        if self._views is None:
            pictures = augment_all(self.split.pictures, self.config.seed, epoch)
            return self._placed(pictures), self._taught(pictures)
        number = (epoch - 1) % self._views.count
        pictures = self._views[number]
        if number not in self._told:
            self._told[number] = self._taught(pictures)
        return self._placed(pictures), self._told[number]

    def _placed(self, pictures: NDArray[np.uint8]) -> Tensor:
        return normalised(pictures, self.config, self.device)

    def _taught(self, pictures: NDArray[np.uint8]) -> Tensor:
        """The labels, blended with what the teachers say of the pictures as they are shown."""
        if not self.teachers:
            return self.labels
        bf16 = precision_of(self.device).dtype is torch.bfloat16
        said = distill.answers(self.teachers, pictures, self.prior, self.device, bf16)
        return torch.lerp(self.labels, said, self.config.teaching)


def labels_for(split: Split, config: Config) -> Tensor:
    """Labels where the recipe takes them as they are, else distributions."""
    if not config.crowd and not config.mixup and not config.teachers:
        return torch.from_numpy(split.labels)
    crowd = shares(load_votes(Path(config.votes)), split.names) if config.crowd else None
    return torch.from_numpy(targets(split.labels, crowd, config.crowd))
