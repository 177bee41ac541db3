"""What each head of `MultiHeadNet` learns: several sources of pictures, their soft labels, and how often each is seen.

The first source is FER2013 or a tree in its form: its labels train the head "labels", FER+'s votes the head "votes".
Further sources are trees of photos that many people labelled, in colour and of any size: they train the head "photos".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from facemotion.faces import EMOTIONS
from training.common import duplicates
from training.common.constants import SIDE
from training.common.errors import DataError
from training.expression import distill
from training.expression.config import Config
from training.expression.data.augment import augment
from training.expression.data.dataset import Split, collect, limited
from training.expression.data.ferplus import load_votes
from training.expression.data.soft_labels import majority, shares, targets
from training.expression.data.sources import available
from training.expression.networks import HEADS

PHOTO_SIDE = 2 * SIDE  # of stored photos: twice the network's input, so that a smaller crop of them is still sharp
MULTI_HEAD = "multihead"  # of `networks.NETWORKS`
HELD_OUT = 10  # one photo in so many of a tree that has no validation part


@dataclass(frozen=True)
class Batch:
    """Inputs and targets of a step: `pictures` float32 [n, 1, 48, 48], normalised; `targets` float32 [n, 3, 7],
    distributions for each head; `weights` float32 [n, 3], how much each head learns from the picture."""

    pictures: Tensor
    targets: Tensor
    weights: Tensor


class Mixture:
    """Training pictures of several sources with the targets of every head.

    Args:
        sources: FER2013's split first, then photos, whose pictures may have another side.
        config: the recipe.
        device: where the network learns; augmentation runs on the CPU.

    Raises:
        DataError: the votes cannot be read or are not of these pictures.
    """

    def __init__(self, sources: Sequence[Split], config: Config, device: torch.device) -> None:
        self.sources, self.config, self.device = sources, config, device
        self.teachers: list[distill.Teacher] = []
        self.starts = np.cumsum([0, *(len(source) for source in sources)])
        made = [first_targets(sources[0], config), *(photo_targets(source, config) for source in sources[1:])]
        self.targets, self.weights = (torch.cat([pair[i] for pair in made]) for i in range(2))
        self.shares = torch.cat(
            [
                torch.full((len(source),), weight) * rare_weights(source.labels, config.rare)
                for source, weight in zip(sources, [1.0, *[config.photo_weight] * (len(sources) - 1)], strict=True)
            ]
        )

    def __len__(self) -> int:
        return int(self.starts[-1])

    def rows(self) -> Tensor:
        """The rows of an epoch, in random order: as many as there are pictures, drawn by their weights."""
        if bool((self.shares == self.shares[0]).all()):
            return torch.randperm(len(self))
        return torch.multinomial(self.shares, len(self), replacement=True)

    def batch(self, rows: Tensor) -> Batch:
        """Augmented pictures of the rows, with their targets; draws from torch's global generator."""
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        pictures = torch.empty(len(rows), 1, SIDE, SIDE)
        for number, source in enumerate(self.sources):
            here = torch.nonzero((rows >= self.starts[number]) & (rows < self.starts[number + 1])).flatten()
            if len(here):
                chosen = source.pictures[(rows[here] - self.starts[number]).numpy()]
                pictures[here] = augment(torch.from_numpy(chosen).unsqueeze(1).float() / 255, SIDE, generator)
        normal = (pictures - self.config.mean) / self.config.std
        return Batch(*(part.to(self.device) for part in (normal, self.targets[rows], self.weights[rows])))


def rare_weights(labels: NDArray[np.int64], power: float) -> Tensor:
    """How often a picture is seen beside others of its source: its class's share to the power of -`power`, with a mean
    of 1 over the pictures. float32 [N]."""
    counts = np.bincount(labels, minlength=len(EMOTIONS)).clip(1)
    weights = (counts / len(labels)) ** -power
    drawn = weights[labels]
    return torch.from_numpy((drawn / drawn.mean()).astype(np.float32))


def first_targets(split: Split, config: Config) -> tuple[Tensor, Tensor]:
    """Targets [N, 3, 7] and weights [N, 3] of FER2013's pictures: its labels, smoothed, and FER+'s votes."""
    own = smoothed(targets(split.labels, None, 0), config.label_smoothing)
    blocks, weights = empty(len(split))
    blocks[:, HEADS.index("labels")] = torch.from_numpy(own)
    weights[:, HEADS.index("labels")] = 1.0
    if config.crowd:
        voted = shares(load_votes(Path(config.votes)), split.names)
        told = voted.sum(1) > 0
        blocks[:, HEADS.index("votes")] = torch.from_numpy(voted)
        weights[:, HEADS.index("labels")] = torch.from_numpy(np.where(told, 1 - config.crowd, 1.0).astype(np.float32))
        weights[:, HEADS.index("votes")] = torch.from_numpy((told * config.crowd).astype(np.float32))
    return blocks, weights


def photo_targets(split: Split, config: Config) -> tuple[Tensor, Tensor]:
    """Likewise of photos, whose labels are what many people agree on."""
    blocks, weights = empty(len(split))
    blocks[:, HEADS.index("photos")] = torch.from_numpy(targets(split.labels, None, 0))
    weights[:, HEADS.index("photos")] = 1.0
    return blocks, weights


def empty(count: int) -> tuple[Tensor, Tensor]:
    """Targets and weights for a number of pictures that teach nothing yet."""
    return torch.zeros(count, len(HEADS), len(EMOTIONS)), torch.zeros(count, len(HEADS))


def smoothed(distributions: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """With `share` of each spread over all classes (Szegedy et al., "Rethinking the Inception Architecture", 2016)."""
    return np.asarray((1 - share) * distributions + share / distributions.shape[1], np.float32)


def losses_of_heads(logits: Tensor, batch: Batch) -> Tensor:
    """Cross entropy of each picture, summed over the heads by their weights: [n].

    Args:
        logits: float [n, 3, 7].
        batch: targets and weights.
    """
    entropies = -(batch.targets * functional.log_softmax(logits.float(), 2)).sum(2)
    return (entropies * batch.weights).sum(1)


def right_of_heads(logits: Tensor, batch: Batch) -> Tensor:
    """How many right answers, where a picture counts by the weights of its heads."""
    right = (logits.argmax(2) == batch.targets.argmax(2)).float()
    return ((right * batch.weights).sum(1) / batch.weights.sum(1)).sum()


def load_photos(root: Path, split: str, side: int, held_out: bool | None = None) -> Split:
    """A tree of photos, grey and reduced to `side`.

    Args:
        root: a tree as `training.expression.data.sources` reads it.
        split: the name of a part.
        side: pixels.
        held_out: only the fixed tenth that is held out (True), only the others (False), or all (None).

    Raises:
        DataError: no such part, or a picture that cannot be read.
    """
    loaded, problems = collect(root, split, side)
    if problems:
        raise DataError(problems[0].problem)
    if held_out is None:
        return loaded
    kept = np.array([is_held_out(name) == held_out for name in loaded.names], bool)
    return loaded.where(kept)


def is_held_out(name: str) -> bool:
    """Whether the photo of that name is one of the fixed tenth."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % HELD_OUT == 0


def training_photos(root: Path, config: Config) -> Split:
    """What is learned from: without the held-out tenth, and without what resembles that or another part's pictures."""
    photos = load_photos(root, config.train_split, PHOTO_SIDE, held_out=False)
    small = load_photos(root, config.train_split, SIDE)
    chosen = np.array([is_held_out(name) for name in small.names], bool)
    judged = [small.pictures[chosen]]
    judged += [load_photos(root, other, SIDE).pictures for other in available(root) if other != config.train_split]
    fresh = ~duplicates.resemble(small.pictures[~chosen], np.concatenate(judged))
    return limited(photos.where(fresh), config.limit, config.seed)


def consensus(split: Split, votes: Path) -> Split:
    """The pictures of FER2013 on which one expression leads FER+'s votes, labelled by it."""
    leading = majority(shares(load_votes(votes), split.names))
    led = Split(split.pictures, leading, split.names)
    return led.where(leading >= 0)


def validation_of(split: Split, photos: Sequence[Path], config: Config) -> Split:
    """Pictures to choose epochs by: FER2013's validation part by its voters' majority, and the photos' held-out tenth,
    in the network's size. Of a network of a single head, the validation part with its own labels."""
    if config.network != MULTI_HEAD:
        return split
    parts = [consensus(split, Path(config.votes)) if config.crowd else split]
    parts += [load_photos(root, config.train_split, SIDE, held_out=True) for root in photos]
    return Split(
        np.concatenate([part.pictures for part in parts]),
        np.concatenate([part.labels for part in parts]),
        tuple(name for part in parts for name in part.names),
    )


def set_mix(network: nn.Module, config: Config, photos: int) -> None:
    """Before anything is fitted: the mean of the heads of consensus labels that learn, or else the head of labels."""
    learning = [bool(not config.crowd and not photos), bool(config.crowd), bool(photos)]
    with torch.no_grad():
        network.mix.copy_(torch.tensor(learning) / sum(learning))  # type: ignore[operator, union-attr]
