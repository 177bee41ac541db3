"""Classification metrics: pure functions of logits or probabilities [N, 7] and labels int64 [N]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemotion.faces import EMOTIONS

BINS = 15  # of the reliability diagram and of the calibration error; Guo et al. 2017 use the same
MIN_COVERAGE = 0.8  # at least this share of the images must not be called uncertain; of several sources on average
TEMPERATURES = np.geomspace(0.25, 8, 701)  # candidates, 0.5 % apart

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Probabilities [N, 7]."""
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def accuracy(probabilities: Floats, labels: Labels) -> float:
    """Share of rows whose top class is the label."""
    return float((probabilities.argmax(1) == labels).mean())


def confusion(probabilities: Floats, labels: Labels) -> NDArray[np.int64]:
    """Counts [7, 7]: a row per true class, a column per predicted one."""
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)), np.int64)
    np.add.at(counts, (labels, probabilities.argmax(1)), 1)
    return counts


def per_class(counts: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of every class, from a confusion matrix; 0 where nothing was predicted."""
    right = np.diag(counts)
    precision = right / np.maximum(counts.sum(0), 1)
    recall = right / np.maximum(counts.sum(1), 1)
    f1 = 2 * right / np.maximum(counts.sum(0) + counts.sum(1), 1)
    figures = {"precision": precision, "recall": recall, "f1": f1}
    return {
        emotion: {name: float(values[i]) for name, values in figures.items()} | {"support": int(counts[i].sum())}
        for i, emotion in enumerate(EMOTIONS)
    }


def macro_f1(counts: NDArray[np.int64]) -> float:
    """Unweighted mean of the classes' F1."""
    return float(np.mean([row["f1"] for row in per_class(counts).values()]))


def balanced_accuracy(counts: NDArray[np.int64]) -> float:
    """Unweighted mean of the classes' recall."""
    return float(np.mean([row["recall"] for row in per_class(counts).values()]))


def calibration_error(probabilities: Floats, labels: Labels) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over `BINS` equal bins, weighted by size
    (Naeini et al. 2015; Guo et al. 2017)."""
    gaps = [bin_["count"] * abs(bin_["accuracy"] - bin_["confidence"]) for bin_ in reliability(probabilities, labels)]
    return float(sum(gaps) / len(labels))


def negative_log_likelihood(probabilities: Floats, labels: Labels, weights: Floats | None = None) -> float:
    """Mean of -log of the true class's probability, weighted by the `weights` of the rows, [N]."""
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12))
    return float(np.average(losses, weights=weights))


def fit_temperature(logits: Floats, labels: Labels, weights: Floats | None = None) -> float:
    """The divisor of the logits with the smallest negative log likelihood (temperature scaling, Guo et al. 2017);
    `weights` are those of the rows, [N]."""
    losses = [negative_log_likelihood(softmax(logits, t), labels, weights) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def certain(probabilities: Floats, min_confidence: float, min_lead: float) -> NDArray[np.bool_]:
    """Which rows are not "uncertain": the rule that `EmotionClassifier.is_uncertain` applies."""
    ranked = np.sort(probabilities, axis=1)
    return np.asarray((ranked[:, -1] >= min_confidence) & (ranked[:, -1] - ranked[:, -2] >= min_lead))


def choose_thresholds(probabilities: Floats, labels: Labels, weights: Floats | None = None) -> dict[str, float]:
    """The pair of thresholds that keeps at least `MIN_COVERAGE` of the rows and is right most often on those; `weights`
    are those of the rows, [N].

    Of equally good pairs the smaller one is taken.
    """
    counted = np.ones(len(labels)) if weights is None else weights
    right = probabilities.argmax(1) == labels
    best, chosen = -1.0, (0.0, 0.0)
    for confidence in np.arange(0.2, 0.81, 0.02):
        for lead in np.arange(0.0, 0.61, 0.02):
            kept = certain(probabilities, confidence, lead)
            if np.average(kept, weights=counted) < MIN_COVERAGE:
                continue
            right_of_kept = float(np.average(right[kept], weights=counted[kept]))
            if right_of_kept > best:
                best, chosen = right_of_kept, (float(confidence), float(lead))
    return {"min_confidence": round(chosen[0], 2), "min_lead": round(chosen[1], 2)}


def lowest_recall_of_highest(counts: NDArray[np.int64]) -> float:
    """The recall of the class that is known worst, as a share of that of the one known best; `counts` [7, 7]."""
    recalls = [row["recall"] for row in per_class(counts).values()]
    return min(recalls) / max(*recalls, 1e-9)


def halves(count: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A fixed random half of `count` rows for choosing, and the other for reporting."""
    first = np.zeros(count, bool)
    first[np.random.default_rng(2013).permutation(count)[: count // 2]] = True
    return first, ~first


def summary(probabilities: Floats, labels: Labels) -> dict[str, Any]:
    """The figures of a report, ready for JSON."""
    counts = confusion(probabilities, labels)
    return {
        "rows": len(labels),
        "accuracy": accuracy(probabilities, labels),
        "balanced_accuracy": balanced_accuracy(counts),
        "macro_f1": macro_f1(counts),
        "ece": calibration_error(probabilities, labels),
        "per_class": per_class(counts),
        "confusion": counts.tolist(),
    }


def reliability(probabilities: Floats, labels: Labels) -> list[dict[str, float]]:
    """The filled ones of `BINS` equal bins of confidence: each its "low" end, "count", mean "confidence" and
    "accuracy"."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "low": b / BINS,
            "count": int((bins == b).sum()),
            "confidence": float(confidence[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
        }
        for b in range(BINS)
        if (bins == b).any()
    ]


def accuracy_by_coverage(probabilities: Floats, labels: Labels) -> NDArray[np.float64]:
    """Accuracy on the k most confident rows, for k = 1..N: [N] (El-Yaniv and Wiener 2010, "selective
    classification"). Of equally confident rows the earlier counts first."""
    order = np.argsort(-probabilities.max(1), kind="stable")
    right = (probabilities.argmax(1) == labels)[order]
    return np.asarray(np.cumsum(right) / np.arange(1, len(right) + 1))


def bootstrap(probabilities: Floats, labels: Labels, resamples: int = 1000, seed: int = 0) -> dict[str, list[float]]:
    """95 % intervals, [low, high], of accuracy, balanced accuracy, macro-F1 and each class's F1.

    Percentiles over `resamples` draws of N rows with replacement (Efron 1979): how much the numbers would vary with
    other pictures of the same kind. How much they vary with another seed of the training is not in them.
    """
    cells = labels * len(EMOTIONS) + probabilities.argmax(1)
    generator = np.random.default_rng(seed)
    drawn = (cells[generator.integers(len(cells), size=len(cells))] for _ in range(resamples))
    counts = np.array([np.bincount(rows, minlength=len(EMOTIONS) ** 2) for rows in drawn])
    counts = counts.reshape(resamples, len(EMOTIONS), len(EMOTIONS))
    right, labelled, said = counts.diagonal(axis1=1, axis2=2), counts.sum(2), counts.sum(1)
    f1 = 2 * right / np.maximum(labelled + said, 1)
    overall = [right.sum(1) / len(cells), (right / np.maximum(labelled, 1)).mean(1), f1.mean(1)]
    names = ("accuracy", "balanced_accuracy", "macro_f1", *(f"f1_{emotion}" for emotion in EMOTIONS))
    limits = np.percentile(np.column_stack([*overall, f1]), [2.5, 97.5], axis=0)
    return {name: [float(low), float(high)] for name, low, high in zip(names, *limits, strict=True)}
