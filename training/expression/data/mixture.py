"""Inputs and targets for `MultiHeadNet`: several sources of pictures, soft labels for each head, sampling weights.

The first source is FER2013 or a tree in its form: its labels train the head "labels", FER+'s votes the head "votes".
Further sources are trees of photos that many people labelled, in colour and of any size: they train the head "photos".
The head "consensus" learns from votes and photos alike. With teachers a head learns from every picture, also from
unlabelled ones, what the same heads of the teachers say, where one of them learned it from labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from facemotion.faces import EMOTIONS
from training.common import duplicates
from training.common.constants import SIDE
from training.common.devices import precision_of
from training.common.errors import DataError
from training.expression import distill, networks
from training.expression.config import Config
from training.expression.data.augment import augment
from training.expression.data.dataset import Split, collect, limited
from training.expression.data.epoch_data import class_sampling_weights, sampled
from training.expression.data.ferplus import load_votes
from training.expression.data.soft_labels import plurality_label, soft_targets, vote_distributions
from training.expression.data.sources import PHOTO_SIDE
from training.expression.data.unlabelled import load_unlabelled
from training.expression.inference import resized, resized_pictures
from training.expression.networks import HEADS, MULTI_HEAD, MultiHeadNet

CONSENSUS_WEIGHT = 0.5  # of the head that learns from both sources, beside the heads of each
HELD_OUT = 10  # one photo in so many of a tree's training part


@dataclass(frozen=True)
class Batch:
    """Inputs and targets of a step: `pictures` float32 [n, 1, side, side], normalised; `targets` float32
    [n, 4, 7], distributions for each head; `weights` float32 [n, 4], how much each head learns from the picture."""

    pictures: Tensor
    targets: Tensor
    weights: Tensor


class Mixture:
    """Training pictures of several sources with the targets of every head.

    Args:
        sources: FER2013's split first, then photos, whose pictures may have another side.
        config: the recipe.
        device: where the network learns; augmentation runs on the CPU.
        unlabelled: pictures that only teachers name.

    Raises:
        DataError: the votes cannot be read or are not of these pictures, or a teacher cannot be loaded.
    """

    def __init__(
        self, sources: Sequence[Split], config: Config, device: torch.device, unlabelled: Split | None = None
    ) -> None:
        self.sources = [*sources, *([] if unlabelled is None else [unlabelled])]
        self.config, self.device = config, device
        self.digest = " ".join(source.digest() for source in self.sources)
        self.side = networks.input_size(config.network)
        self.starts = np.cumsum([0, *(len(source) for source in self.sources)])
        teachers = [distill.load(Path(run), device) for run in config.teachers]
        self.teacher_pins = [teacher.pin for teacher in teachers]
        pairs = [fer2013_targets(sources[0], config), *(photo_targets(source) for source in sources[1:])]
        pairs += [] if unlabelled is None else [empty(len(unlabelled))]
        if teachers:
            bf16 = precision_of(device).dtype is torch.bfloat16
            taught = [distill.head_probabilities(teachers, source, bf16) for source in self.sources]
            pairs = [
                distill.blended(*pair, probabilities, config.distillation_weight)
                for pair, probabilities in zip(pairs, taught, strict=True)
            ]
        self.targets, self.weights = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        often = [1.0, *[config.photo_weight] * (len(sources) - 1), *([] if unlabelled is None else [1.0])]
        self.sampling = torch.cat(
            [
                weight * class_sampling_weights(source.labels, config.rare_class_sampling)
                for source, weight in zip(self.sources, often, strict=True)
            ]
        )

    def __len__(self) -> int:
        return int(self.starts[-1])

    def rows(self) -> Tensor:
        """The rows of an epoch, in random order: as many as there are pictures, drawn by their sampling weights."""
        return sampled(self.sampling)

    def batch(self, rows: Tensor) -> Batch:
        """Pictures of the rows, augmented where the recipe says so, with their targets; draws from torch's global
        generator."""
        normal = (self.grey(rows) - self.config.mean) / self.config.std
        return Batch(*(part.to(self.device) for part in (normal, self.targets[rows], self.weights[rows])))

    def grey(self, rows: Tensor) -> Tensor:
        """The pictures of the rows, float32 [n, 1, side, side], 0..1, on the CPU."""
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        grey = torch.empty(len(rows), 1, self.side, self.side)
        for start, source in zip(self.starts[:-1].tolist(), self.sources, strict=True):
            inside = torch.nonzero((rows >= start) & (rows < start + len(source))).flatten()
            if len(inside):
                stored = torch.from_numpy(source.pictures[(rows[inside] - start).numpy()]).unsqueeze(1).float() / 255
                augmented = self.config.augment
                grey[inside] = augment(stored, self.side, generator) if augmented else resized(stored, self.side)
        return grey


def fer2013_targets(split: Split, config: Config) -> tuple[Tensor, Tensor]:
    """Targets [N, 4, 7] and weights [N, 4] of FER2013's pictures: its labels, smoothed, and FER+'s votes."""
    own = smoothed(soft_targets(split.labels, None, 0), config.label_smoothing)
    blocks, weights = empty(len(split))
    blocks[:, HEADS.index("labels")] = torch.from_numpy(own)
    weights[:, HEADS.index("labels")] = 1.0
    if config.ferplus_weight:
        voted = vote_distributions(load_votes(Path(config.votes)), split.names)
        has_votes = voted.sum(1) > 0
        for head in ("votes", "consensus"):
            blocks[:, HEADS.index(head)] = torch.from_numpy(voted)
        weights[:, HEADS.index("labels")] = torch.from_numpy(
            np.where(has_votes, 1 - config.ferplus_weight, 1.0).astype(np.float32)
        )
        weights[:, HEADS.index("votes")] = torch.from_numpy((has_votes * config.ferplus_weight).astype(np.float32))
        weights[:, HEADS.index("consensus")] = torch.from_numpy((has_votes * CONSENSUS_WEIGHT).astype(np.float32))
    return blocks, weights


def photo_targets(split: Split) -> tuple[Tensor, Tensor]:
    """Likewise of photos, whose labels are what many people agree on: they are not smoothed."""
    blocks, weights = empty(len(split))
    for head, weight in (("photos", 1.0), ("consensus", CONSENSUS_WEIGHT)):
        blocks[:, HEADS.index(head)] = torch.from_numpy(soft_targets(split.labels, None, 0))
        weights[:, HEADS.index(head)] = weight
    return blocks, weights


def empty(count: int) -> tuple[Tensor, Tensor]:
    """Targets [N, 4, 7] and weights [N, 4] of 0."""
    return torch.zeros(count, len(HEADS), len(EMOTIONS)), torch.zeros(count, len(HEADS))


def smoothed(distributions: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """With `share` of each spread over all classes (Szegedy et al., "Rethinking the Inception Architecture", 2016)."""
    return np.asarray((1 - share) * distributions + share / distributions.shape[1], np.float32)


def head_losses(logits: Tensor, batch: Batch) -> Tensor:
    """Cross entropy of each picture, summed over the heads by their weights: [n].

    Args:
        logits: float [n, 4, 7].
        batch: targets and weights.
    """
    entropies = -(batch.targets * functional.log_softmax(logits.float(), 2)).sum(2)
    return (entropies * batch.weights).sum(1)


def count_correct_of_heads(logits: Tensor, batch: Batch) -> Tensor:
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


def load_training_photos(root: Path, config: Config, kept_back: Sequence[Split]) -> Split:
    """Photos to learn from: without the tree's held-out tenth, and without those that resemble a picture `kept_back`.

    Raises:
        DataError: no such part, or a picture that cannot be read.
    """
    photos = load_photos(root, config.train_split, PHOTO_SIDE, held_out=False)
    return limited(unlike(photos, kept_back), config.limit, config.seed)


def load_training_faces(config: Config, kept_back: Sequence[Split]) -> Split | None:
    """The unlabelled pictures of the recipe, without those that resemble one `kept_back`; None where it has none.

    Raises:
        DataError: a picture cannot be read, or none is left.
    """
    if not config.unlabelled:
        return None
    fresh = unlike(load_unlabelled(Path(config.unlabelled)), kept_back)
    if not len(fresh):
        raise DataError(
            f"every picture in {config.unlabelled} resembles one kept back for validation or test: use others"
        )
    return limited(fresh, config.limit, config.seed)


def unlike(split: Split, kept_back: Sequence[Split]) -> Split:
    """The pictures that resemble none of those kept back, which are in FER2013's size."""
    known = np.concatenate([part.pictures for part in kept_back])
    return split.where(~duplicates.near_matches(resized_pictures(split.pictures, SIDE), known))


def consensus(split: Split, votes: Path) -> Split:
    """The pictures of FER2013 on which one expression leads FER+'s votes, labelled by it."""
    leading = plurality_label(vote_distributions(load_votes(votes), split.names))
    led = Split(split.pictures, leading, split.names)
    return led.where(leading >= 0)


def validation_parts(split: Split, photos: Sequence[Path], config: Config) -> list[Split]:
    """What epochs are chosen by, a part for each source: FER2013's validation part by its vote, and the held-out tenth
    of each tree of photos. Of a network of a single head, the validation part with its own labels."""
    if config.network != MULTI_HEAD:
        return [split]
    first = consensus(split, Path(config.votes)) if config.ferplus_weight else split
    side = networks.input_size(config.network)
    return [first, *(load_photos(root, config.train_split, side, held_out=True) for root in photos)]


def validation_split(parts: Sequence[Split], config: Config) -> Split:
    """The parts as one; for a network of several heads in its size."""
    if config.network != MULTI_HEAD:
        return parts[0]
    side = networks.input_size(config.network)
    return Split(
        np.concatenate([resized_pictures(part.pictures, side) for part in parts]),
        np.concatenate([part.labels for part in parts]),
        tuple(name for part in parts for name in part.names),
    )


def set_initial_head_weights(network: MultiHeadNet, config: Config, photos: int) -> None:
    """Sets the heads' weights for training, before export fits them: the mean of the heads of consensus labels that
    have labels, or the head of FER2013's labels where neither has. A head that only teachers taught has no weight.
    `photos` is the number of trees of photos."""
    votes, several = bool(config.ferplus_weight), bool(photos)
    learning = [not (votes or several), votes, several, votes or several]
    with torch.no_grad():
        network.mix.copy_(torch.tensor(learning) / sum(learning))
