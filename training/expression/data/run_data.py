"""Training and validation images of a run, selected by its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from training.common.constants import SIDE
from training.common.errors import DataError
from training.expression.config import Config
from training.expression.data import mixture
from training.expression.data.dataset import Split, leave_out, limited, load_split, others
from training.expression.data.epoch_data import EpochData
from training.expression.data.sources import available
from training.expression.inference import resized_split
from training.expression.networks import MULTI_HEAD

MIN_VALIDATION = 2  # validation pictures


def load_validation(config: Config, data: Path, photos: Sequence[Path] = ()) -> Split:
    """The validation images: all of them up to the limit; `drop` does not apply.

    Raises:
        DataError: there are fewer than two, too few to fit a temperature on one half and evaluate on the other.
    """
    parts = mixture.validation_parts(load_split(data, config.validation_split), photos, config)
    whole = mixture.validation_split(parts, config)
    split = limited(whole, config.limit, config.seed)
    if len(split) < MIN_VALIDATION:
        raise DataError(
            f"{data} holds {len(split)} image in {config.validation_split}: validation needs {MIN_VALIDATION}"
        )
    return split


def load_kept_back(config: Config, roots: Sequence[Path], validation: Split) -> list[Split]:
    """The pictures that must not be learned from, in FER2013's size: `validation`, which holds the held-out photos, and
    the parts of every source but the one for training. None where the recipe compares with none: that of a single head
    without "other_splits".

    Args:
        config: the recipe.
        roots: the sources, of `--data`.
        validation: from `load_validation`.

    Raises:
        DataError: a picture cannot be read.
    """
    if config.network != MULTI_HEAD and "other_splits" not in config.drop:
        return []
    photos = [
        mixture.load_photos(root, name, SIDE)
        for root in roots[1:]
        for name in available(root)
        if name != config.train_split
    ]
    return [resized_split(validation, SIDE), *others(roots[0], config.train_split), *photos]


def load_training(config: Config, data: Path, kept_back: Sequence[Split], quiet: bool = False) -> Split:
    """The training pictures of the first source, without those that the recipe leaves out.

    Args:
        config: the recipe.
        data: as for `training.expression.data.dataset.load_split`.
        kept_back: from `load_kept_back`; with "other_splits", pictures that resemble one of these are left out.
        quiet: do not print how many were left out.

    Raises:
        DataError: the data cannot be read, or nothing is left.
    """
    whole = load_split(data, config.train_split)
    kept = leave_out(whole, config.drop, Path(config.votes) if config.votes else None, kept_back)
    if config.drop and not quiet:
        gone = len(whole) - len(kept)
        print(f"left out {gone:,} of {len(whole):,} training pictures: {', '.join(config.drop)}", flush=True)
    return limited(kept, config.limit, config.seed)


def epoch_inputs(
    config: Config, first: Split, roots: Sequence[Path], kept_back: Sequence[Split], device: torch.device
) -> EpochData | mixture.Mixture:
    """The inputs and targets of the epochs: of all sources for a network of several heads, else of the first.

    Args:
        config: the recipe.
        first: the training pictures of the first source, from `load_training`.
        roots: the sources, of `--data`.
        kept_back: from `load_kept_back`; photos and unlabelled pictures that resemble one of these are left out.
        device: where it learns.

    Raises:
        DataError: votes, teachers, photos or unlabelled pictures cannot be read.
    """
    if config.network != MULTI_HEAD:
        return EpochData(first, config, device)
    trees = [mixture.load_training_photos(root, config, kept_back) for root in roots[1:]]
    return mixture.Mixture([first, *trees], config, device, mixture.load_training_faces(config, kept_back))
