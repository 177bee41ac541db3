"""Comparison of a run with the results of the original study and of a reference run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemotion.faces import EMOTIONS
from training.expression.config import PRESETS

# The reference run: the study's recipe (SimpleCNN, cross entropy, Adam at 0.0001, 50 epochs, the Kaggle split), run by
# others. Lowest and highest validation accuracy of its last five epochs, and its loss on the training pictures then.
REFERENCE_LAST_FIVE = (0.635, 0.654)
REFERENCE_TRAIN_LOSS = 0.29
# Below this at best, something differs from the study: its own best lies around 65 %.
LEAST_BEST = 0.643
# What does not make another recipe of the study's: it states no batch size and no seed, and votes alone change nothing.
FREE = {"batch_size", "seed", "votes"}
# The study's own words on its confusion matrices: these two are what sad was confused with in the end ...
CONFUSED, CONFUSED_WITH = "sad", ("angry", "neutral")
# ... and these were said too often after the first epoch.
OVER_PREDICTED = ("happy", "neutral")

Counts = NDArray[np.int64]
History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Finding:
    """A statement of the study, whether our numbers bear it out ("yes", "in part" or "no"), and those numbers."""

    statement: str
    holds: str
    numbers: str


def findings(first: Counts, last: Counts, epoch: int) -> list[Finding]:
    """Compare the statements of the study with our confusion matrices.

    Args:
        first: counts [7, 7] after epoch 1, a row per true class.
        last: the same after the last epoch that was run.
        epoch: the number of that epoch.
    """
    index, others = EMOTIONS.index(CONFUSED), " and ".join(CONFUSED_WITH)
    return [
        Finding(
            f"{CONFUSED} is confused with {others}: what pictures labelled {CONFUSED} are called, epoch {epoch}",
            *confused(last[index], index, "labelled"),
        ),
        Finding(
            f"the same the other way: how pictures called {CONFUSED} are labelled, epoch {epoch}",
            *confused(last[:, index], index, "called"),
        ),
        Finding(f"{' and '.join(OVER_PREDICTED)} are over-predicted after epoch 1", *over_predicted(first)),
    ]


def confused(mixed: Counts, index: int, what: str) -> tuple[str, str]:
    """Whether `CONFUSED_WITH` are the two that `CONFUSED` is mixed up with most, and the three most frequent.

    Args:
        mixed: the row or the column of the confusion matrix, [7].
        index: where in it the right ones are.
        what: "labelled" or "called", for the text.
    """
    total = int(mixed.sum())
    wrong = np.where(np.arange(len(mixed)) == index, 0, mixed)
    order = [int(i) for i in np.argsort(-wrong, kind="stable")[:3] if wrong[i]]
    holds = answer(sum(EMOTIONS[i] in CONFUSED_WITH for i in order[: len(CONFUSED_WITH)]), len(CONFUSED_WITH))
    listed = ", ".join(f"{EMOTIONS[i]} {wrong[i]:,} ({percent(wrong[i] / total, 1)})" for i in order) or "no mistakes"
    return holds, f"of {total:,} {what} {CONFUSED}: {listed}"


def over_predicted(counts: Counts) -> tuple[str, str]:
    """Whether `OVER_PREDICTED` are answered more often than they are labelled, and how often each expression is."""
    said, labelled = counts.sum(0), counts.sum(1)
    ratios = {e: said[i] / max(int(labelled[i]), 1) for i, e in enumerate(EMOTIONS)}
    holds = answer(sum(ratios[e] > 1 for e in OVER_PREDICTED), len(OVER_PREDICTED))
    listed = ", ".join(f"{e} {ratio:.2f}" for e, ratio in sorted(ratios.items(), key=lambda item: -item[1]))
    return holds, f"answers per picture with that label: {listed}"


def answer(fulfilled: int, of: int) -> str:
    return "yes" if fulfilled == of else "in part" if fulfilled else "no"


def deviations(config: Mapping[str, Any]) -> list[str]:
    """The differences between a run's recipe, config.json, and the study's."""
    return [
        f"{name} {config[name]!r} instead of {value!r}"
        for name, value in PRESETS["study"].to_dict().items()
        if name in config and name not in FREE and config[name] != value
    ]


def verdict(history: History, config: Mapping[str, Any]) -> str:
    """Whether the study was reproduced, in one paragraph; none before the planned epochs were run.

    Args:
        history: rows of history.csv.
        config: of the run.
    """
    best = max(row["validation_accuracy"] for row in history)
    reached = f"the best epoch has {percent(best)} on the validation pictures"
    if len(history) < config["epochs"]:
        return f"None yet: {len(history)} of {config['epochs']} epochs were run. So far {reached}."
    if other := deviations(config):
        return f"None: this is not the study's recipe ({', '.join(other)}). {reached.capitalize()}."
    if best < LEAST_BEST:
        gap = f"{100 * (LEAST_BEST - best):.2f} points below the {percent(LEAST_BEST)} that the study's recipe reaches"
        return f"Something differs: {reached}, {gap}. {beside_reference(history)}"
    return f"Reproduced: {reached}; at least {percent(LEAST_BEST)} was to be expected. {beside_reference(history)}"


def beside_reference(history: History) -> str:
    """Our last five epochs and training loss beside the reference run's."""
    low, high = REFERENCE_LAST_FIVE
    last = [row["validation_accuracy"] for row in history[-5:]]
    loss = history[-1]["train_loss"]
    within = sum(low <= value <= high for value in last)
    return (
        f"The last {len(last)} epochs have {percent(min(last))} to {percent(max(last))}, the reference run's "
        f"{percent(low, 1)} to {percent(high, 1)}: {within} of ours lie within. The training loss at the end is "
        f"{loss:.2f}, the reference run's {REFERENCE_TRAIN_LOSS}."
    )


def percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"
