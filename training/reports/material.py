"""Inputs of a run's report: the record of the run, its data, and what is computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.expression.data import inspect
from training.expression.data.dataset import Split
from training.expression.evaluation import evaluate, metrics
from training.expression.figures import run_figures
from training.expression.figures.run_figures import Record
from training.expression.inference import not_learned


@dataclass(frozen=True)
class Material:
    """All that the sections are written from.

    `config` is the run's config.json, `machines` its environment.json, one entry for each time it was started;
    `splits` are the first source of the data by name, `validation` what the run was validated on, of all sources,
    in the network's size; `model` is the exported configuration, and `votes` FER+'s file.
    """

    record: Record
    config: dict[str, Any]
    machines: list[dict[str, Any]]
    splits: dict[str, Split]
    validation: Split
    model: dict[str, Any]
    votes: Path | None = None

    @cached_property
    def fresh(self) -> NDArray[np.bool_]:
        """Which of the validation images are not in train, pixel for pixel: bool [N]."""
        validation = run_figures.validation_pictures(self.record, self.validation)
        return not_learned(validation.pictures, self.splits[self.config["train_split"]].pictures)

    @cached_property
    def best(self) -> dict[str, Any]:
        """The best epoch, as `evaluate.evaluate_logits` evaluates it."""
        return evaluate.evaluate_logits(self.record.logits[self.record.best], self.record.labels, fresh=self.fresh)

    @cached_property
    def data(self) -> dict[str, Any]:
        """The report of `training.expression.data.inspect` on the data."""
        return inspect.describe(self.splits, votes=self.votes)

    def counts(self, epoch: int) -> NDArray[np.int64]:
        """The confusion matrix of an epoch, [7, 7]."""
        return metrics.confusion(self.record.logits[epoch], self.record.labels)

    def accuracy_on_fresh(self, epoch: int) -> float | None:
        """Accuracy on the validation images that are not in train; None when all are."""
        if not self.fresh.any():
            return None
        return metrics.accuracy(self.record.logits[epoch][self.fresh], self.record.labels[self.fresh])
