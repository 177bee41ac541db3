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
from training.expression.inference import resized_split
from training.expression.networks import MULTI_HEAD

MIN_VALIDATION = 2  # validation pictures


def load_training(config: Config, data: Path, validation: Split, quiet: bool = False) -> Split:
    """The training pictures of the first source, without those that the recipe leaves out.

    Args:
        config: the recipe.
        data: as for `training.expression.data.dataset.load_split`.
        validation: from `load_validation`; with "other_splits", pictures that resemble one of it are left out too.
        quiet: do not print how many were left out.

    Raises:
        DataError: the data cannot be read, or nothing is left.
    """
    whole = load_split(data, config.train_split)
    apart = "other_splits" in config.drop
    other_splits = (*others(data, config.train_split), resized_split(validation, SIDE)) if apart else ()
    kept = leave_out(whole, config.drop, Path(config.votes) if config.votes else None, other_splits)
    if config.drop and not quiet:
        gone = len(whole) - len(kept)
        print(f"left out {gone:,} of {len(whole):,} training pictures: {', '.join(config.drop)}", flush=True)
    return limited(kept, config.limit, config.seed)


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


def epoch_inputs(
    config: Config, first: Split, roots: Sequence[Path], validation: Split, device: torch.device
) -> EpochData | mixture.Mixture:
    """The inputs and targets of the epochs: of all sources for a network of several heads, else of the first. Pictures
    that resemble one of `validation`, or of another part of any source, are left out; of the first source only where
    the recipe drops "other_splits".

    Args:
        config: the recipe.
        first: the training pictures of the first source.
        roots: the sources, of `--data`.
        validation: the pictures that epochs are chosen by.
        device: where it learns.

    Raises:
        DataError: votes, teachers, photos or unlabelled pictures cannot be read.
    """
    if config.network != MULTI_HEAD:
        return EpochData(first, config, device)
    apart = mixture.load_kept_back(roots, config, validation)
    trees = [mixture.load_training_photos(root, config, apart) for root in roots[1:]]
    fresh = mixture.unlike(first, apart) if "other_splits" in config.drop else first
    return mixture.Mixture([fresh, *trees], config, device, mixture.load_training_faces(config, apart))
