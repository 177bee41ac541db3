"""What a run learns from: its pictures as each epoch sees them, and what they should be called."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.augment import augmented
from training.config import Config
from training.data import Split
from training.inference import normalised
from training.optimisation import prior_of
from training.targets import shares, targets
from training.votes import load_votes

WORKERS = 2  # threads that augment; OpenCV lets go of Python's lock, NumPy's small operations do not
CHUNK = 512  # pictures


class Lessons:
    """The training pictures of a run on its device.

    `targets` are labels int64 [N], or distributions float32 [N, 7] where the recipe blends labels or pictures;
    `prior` is the log share of each class among them, [7].

    Raises:
        DataError: the votes cannot be read, or are not of these pictures.
    """

    def __init__(self, split: Split, config: Config, device: torch.device) -> None:
        self.split, self.config, self.device = split, config, device
        self.targets = targets_for(split, config).to(device)
        self.prior = prior_of(torch.from_numpy(targets(split.labels, None, 0))).to(device)
        self._still = None if config.augment else normalised(split.pictures, config).to(device)

    def pictures(self, epoch: int) -> Tensor:
        """Normalised grey pictures float32 [N, 1, 48, 48], as they are or augmented anew for this epoch."""
        if self._still is not None:
            return self._still
        count = len(self.split)
        starts = range(0, count, CHUNK)
        with ThreadPoolExecutor(WORKERS) as pool:
            parts = list(
                pool.map(lambda start: self._augmented(np.arange(start, min(start + CHUNK, count)), epoch), starts)
            )
        return normalised(np.concatenate(parts), self.config).to(self.device)

    def _augmented(self, rows: np.ndarray, epoch: int) -> np.ndarray:
        return augmented(self.split.pictures[rows], rows, self.config.seed, epoch)


def targets_for(split: Split, config: Config) -> Tensor:
    """Labels where the recipe takes them as they are, else distributions."""
    if not config.crowd and not config.mixup:
        return torch.from_numpy(split.labels)
    crowd = shares(load_votes(Path(config.votes)), split.names) if config.crowd else None
    return torch.from_numpy(targets(split.labels, crowd, config.crowd))
