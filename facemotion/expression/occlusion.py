"""Occlusion heatmaps: how much each part of a face supports its label.

Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014): a window slides over the
crop, the part under it is blurred, and the drop of the label's log odds is recorded. Log odds are used because a
probability near 1 hardly changes. The method needs the calibrated classifier only, no gradients.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from facemotion.errors import BadOption
from facemotion.expression import crops
from facemotion.expression.classifier import EmotionClassifier
from facemotion.faces import EMOTIONS

SIDE = 96  # pixels; the networks take fewer
WINDOW = 44  # pixels, a whole mouth: networks trained on covered faces need only half of it
STEPS = 9  # windows across and down
BLUR = 12.0  # pixels; no feature of a face of 96 pixels survives it
OPACITY = 0.6
MIN_DROP = 0.1  # smaller drops of the log odds are noise and not shown
MIN_PROBABILITY = 1e-4  # bounds the log odds of probabilities near 0 or 1


def heatmap(
    classifier: EmotionClassifier, crop: NDArray[np.uint8], expression: str | None = None
) -> NDArray[np.float32]:
    """Heatmap of how much each part of a face supports an expression.

    Args:
        classifier: the classifier that gave the label.
        crop: RGB uint8 [h, w, 3], as `crops.square` cuts it.
        expression: one of `EMOTIONS`; None takes the label of the crop.

    Returns:
        float32 [h, w]: by how much the expression's log odds, ln p / (1 - p), fall when that place is hidden, averaged
        over the windows that cover it. Below 0 where hiding makes the expression more probable.

    Raises:
        BadOption: there is no such expression.
        BadArray: the crop is not of that form.
        ModelFailure: the network raised, or memory ran out.
    """
    if expression is not None and expression not in EMOTIONS:
        raise BadOption(f"expression must be one of {', '.join(EMOTIONS)}, but is {expression!r}.")
    before = classifier.classify([crop])[0]
    column = EMOTIONS.index(expression) if expression else int(before.argmax())
    face = crops.resize(crop, SIDE)
    hidden = np.asarray(cv2.GaussianBlur(face, (0, 0), BLUR), np.uint8)
    places = list(_windows())
    covered = [_occlude(face, hidden, place) for place in places]
    drops = _log_odds(classifier.classify([face])[0, column]) - _log_odds(classifier.classify(covered)[:, column])
    height, width = crop.shape[:2]
    return np.asarray(
        cv2.resize(_mean_drop(drops, places), (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def overlay(crop: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The crop in grey, with the places that support the label highlighted.

    Args:
        crop: RGB uint8 [h, w, 3].
        heat: float32 [h, w], from `heatmap`.

    Returns:
        RGB uint8 [h, w, 3].
    """
    share = np.clip((heat - MIN_DROP) / max(float(heat.max()) - MIN_DROP, MIN_DROP), 0, 1)
    glow = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1].astype(np.float32)
    grey = crops.to_grey(crop)[:, :, None].astype(np.float32)
    weight = OPACITY * share[:, :, None]
    return np.asarray(np.rint((1 - weight) * grey + weight * glow).astype(np.uint8))


def reduced_probability(probability: float, drop: float) -> float:
    """The probability after its log odds drop by `drop`."""
    return float(1 / (1 + np.exp(drop - _log_odds(np.float32(probability)))))


def _log_odds(probability: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    bounded = np.clip(probability, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(np.log(bounded / (1 - bounded)), np.float32)


def _windows() -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each window; the outermost windows are centred on the border, half outside."""
    centers = np.linspace(0, SIDE, STEPS)
    spans = [slice(max(0, round(c - WINDOW / 2)), min(SIDE, round(c + WINDOW / 2))) for c in centers]
    return ((rows, columns) for rows in spans for columns in spans)


def _occlude(face: NDArray[np.uint8], hidden: NDArray[np.uint8], place: tuple[slice, slice]) -> NDArray[np.uint8]:
    covered: NDArray[np.uint8] = face.copy()
    covered[place] = hidden[place]
    return covered


def _mean_drop(drops: NDArray[np.float32], places: list[tuple[slice, slice]]) -> NDArray[np.float32]:
    """Mean drop over the windows that cover each pixel, smoothed: [SIDE, SIDE]."""
    total, count = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32)
    for drop, place in zip(drops, places, strict=True):
        total[place] += drop
        count[place] += 1
    return np.asarray(cv2.GaussianBlur(total / count, (0, 0), WINDOW / 4), np.float32)
