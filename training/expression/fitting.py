"""What is fitted on validation images when a run is exported: the weights of the heads, the temperature, the thresholds
of "uncertain".

Each is chosen on a fixed half of the images, where each source of images counts alike, however many it has. The figures
on calibration and coverage are from the other half, the accuracy is over all. The best epoch was chosen on the same
images, as in the study, which flatters it a little; the exported config says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from training.expression.evaluation import metrics

MIX_STEP = 0.05  # of a head's weight


def sources_of_rows(parts: Sequence[int], count: int) -> np.ndarray:
    """The number of the source that each of the `count` validation rows comes from, int [N].

    `parts` are the sizes of the sources, whose rows follow each other. The rows of a run with a limit are drawn at
    random, and count as one source.
    """
    return np.repeat(np.arange(len(parts)), parts) if sum(parts) == count else np.zeros(count, int)


def weights_of_rows(sources: np.ndarray) -> np.ndarray:
    """Weights [N] by which each of the `sources`, int [N], counts alike."""
    return np.asarray(1 / np.bincount(sources)[sources])


def fit_mix(
    log_probabilities: np.ndarray, labels: np.ndarray, active: np.ndarray, row_weights: np.ndarray | None = None
) -> np.ndarray:
    """The weights of the heads, float32 [H], that give the labels the smallest cross entropy; in steps of `MIX_STEP`.

    Args:
        log_probabilities: of each head, [N, H, 7].
        labels: int [N].
        active: bool [H]: which heads may get a weight.
        row_weights: how much each row counts, [N]; all alike without it.
    """
    rows = np.arange(len(labels))
    steps = round(1 / MIX_STEP)
    grid = [np.array(parts) / steps for parts in product(range(steps + 1), repeat=len(active)) if sum(parts) == steps]
    grid = [weights for weights in grid if not weights[~active].any()]
    right = np.exp(log_probabilities[rows, :, labels])
    losses = [np.average(-np.log(np.maximum(right @ weights, 1e-9)), weights=row_weights) for weights in grid]
    return np.asarray(grid[int(np.argmin(losses))], np.float32)


def calibrate_and_measure(
    logits: np.ndarray, labels: np.ndarray, sources: np.ndarray, fresh: np.ndarray
) -> dict[str, Any]:
    """Fit temperature and thresholds on one half of the rows, and measure on the other and on all. In what is fitted
    and in the figures on doubt each of the `sources` counts alike."""
    chosen_on, reported_on = metrics.halves(len(labels))
    weights = weights_of_rows(sources)
    temperature = metrics.fit_temperature(logits[chosen_on], labels[chosen_on], weights[chosen_on])
    probabilities = metrics.softmax(logits, temperature)
    thresholds = metrics.choose_thresholds(probabilities[chosen_on], labels[chosen_on], weights[chosen_on])
    kept = metrics.certain(probabilities, thresholds["min_confidence"], thresholds["min_lead"]) & reported_on
    right = probabilities.argmax(1) == labels

    def calibration_error(of: np.ndarray) -> float:
        parts = [reported_on & (sources == source) for source in np.unique(sources[reported_on])]
        return float(np.mean([metrics.calibration_error(of[part], labels[part]) for part in parts]))

    return metrics.summary(probabilities, labels) | {
        "intervals": intervals(probabilities, labels, fresh),
        "temperature": round(temperature, 4),
        "uncertain": thresholds,
        **({"accuracy_not_in_train": metrics.accuracy(probabilities[fresh], labels[fresh])} if fresh.any() else {}),
        **({"rows_not_in_train": int(fresh.sum())} if len(fresh) else {}),
        "ece": calibration_error(probabilities),
        "ece_before_temperature": calibration_error(metrics.softmax(logits)),
        "coverage": float(weights[kept].sum() / weights[reported_on].sum()),
        "accuracy_when_certain": float((right * weights)[kept].sum() / max(weights[kept].sum(), 1e-9)),
    }


def intervals(probabilities: np.ndarray, labels: np.ndarray, fresh: np.ndarray) -> dict[str, list[float]]:
    """Bootstrap 95 % intervals, [low, high], of the figures over all rows, and of the accuracy on the `fresh` ones."""
    found = metrics.bootstrap(probabilities, labels)
    if fresh.any():
        found["accuracy_not_in_train"] = metrics.bootstrap(probabilities[fresh], labels[fresh])["accuracy"]
    return found
