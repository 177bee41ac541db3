"""What a label rests on: told apart on a classifier whose reasons are known, and on the real one with real faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facemotion import Analysis, EmotionClassifier, Pipeline, images, upright
from facemotion.errors import BadArray, BadOption
from facemotion.expression import crops, occlusion
from facemotion.faces import EMOTIONS, Box, Face
from facemotion.webui.components import explanation

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


class LooksAtOneCorner:
    """Calls a face the happier, the brighter its upper left quarter is, and else sad."""

    def classify(self, face_crops: Sequence[np.ndarray]) -> np.ndarray:
        rows = np.zeros((len(face_crops), len(EMOTIONS)), np.float32)
        for row, crop in zip(rows, face_crops, strict=True):
            half = len(crop) // 2
            row[HAPPY] = crop[:half, :half].mean() / 255
            row[SAD] = 1 - row[HAPPY]
        return rows


def bright_corner(side: int = 120) -> np.ndarray:
    crop = np.zeros((side, side, 3), np.uint8)
    crop[side // 6 : side // 3, side // 6 : side // 3] = 255
    return crop


def quarters(heat: np.ndarray) -> dict[str, float]:
    half = len(heat) // 2
    return {
        "upper left": float(heat[:half, :half].mean()),
        "elsewhere": max(float(heat[half:].mean()), float(heat[:half, half:].mean())),
    }


def test_the_part_that_the_label_rests_on_is_found() -> None:
    crop = bright_corner()
    classifier: EmotionClassifier = LooksAtOneCorner()  # type: ignore[assignment]
    heat = occlusion.heatmap(classifier, crop, "happy")
    assert heat.shape == crop.shape[:2] and heat.dtype == np.float32
    found = quarters(heat)
    assert found["upper left"] > 0.005 and abs(found["elsewhere"]) < 0.3 * found["upper left"]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 20 <= row <= 40 and 20 <= column <= 40


def test_the_label_is_the_classifiers_own_unless_another_is_named() -> None:
    crop = bright_corner()
    classifier: EmotionClassifier = LooksAtOneCorner()  # type: ignore[assignment]
    own = occlusion.heatmap(classifier, crop)  # sad, as the crop is dark
    assert np.allclose(own, -occlusion.heatmap(classifier, crop, "happy"), atol=1e-6)
    assert np.array_equal(own, occlusion.heatmap(classifier, crop, "sad"))


def test_unknown_expressions_and_bad_crops_are_refused() -> None:
    with pytest.raises(BadOption, match="bored"):
        occlusion.heatmap(LooksAtOneCorner(), bright_corner(), "bored")  # type: ignore[arg-type]
    with pytest.raises(BadArray):
        occlusion.heatmap(EmotionClassifier.from_pretrained("simplecnn"), np.zeros((9, 9), np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["astronaut.png", "fr_obama.jpg"])
def test_a_smile_is_seen_in_the_mouth(name: str, examples: Path, pipeline: Pipeline) -> None:
    image = images.load(examples / name)
    [face] = pipeline.analyze(image).faces
    crop = crops.square(image, face.box)
    heat = occlusion.heatmap(pipeline.classifier, crop)
    assert face.expression == "happy"
    row, column = (place / len(heat) for place in np.unravel_index(heat.argmax(), heat.shape))
    assert 0.5 < row < 0.95 and 0.25 < column < 0.75


def test_hiding_what_glows_costs_more_than_hiding_what_does_not(examples: Path, pipeline: Pipeline) -> None:
    image = images.load(examples / "grace_hopper.jpg")
    [face] = pipeline.analyze(image).faces
    crop = crops.square(image, face.box)
    heat = occlusion.heatmap(pipeline.classifier, crop)
    column = EMOTIONS.index(face.expression)
    left = []
    for part in (heat >= np.quantile(heat, 0.85), heat <= np.quantile(heat, 0.15)):
        covered = np.where(part[:, :, None], crop.mean((0, 1)), crop).astype(np.uint8)
        left.append(pipeline.classifier.classify([covered])[0, column])
    assert left[0] < left[1] - 0.1


def test_the_overlay_is_grey_where_nothing_matters_and_glows_where_it_does() -> None:
    crop = np.full((40, 40, 3), (90, 120, 150), np.uint8)
    heat = np.zeros((40, 40), np.float32)
    heat[10:20, 10:20] = 0.4
    drawn = occlusion.overlay(crop, heat)
    assert drawn.dtype == np.uint8 and drawn.shape == crop.shape
    spread = drawn.max(2).astype(int) - drawn.min(2)
    assert spread[30:, 30:].max() == 0 and spread[12:18, 12:18].min() > 40
    assert (occlusion.overlay(crop, np.full((40, 40), -0.2, np.float32)) == crops.to_grey(crop)[:, :, None]).all()


@pytest.mark.parametrize(
    ("confidence", "fall", "said"),
    [(0.8, np.log(4), "by 30 points"), (0.5, 0.01, "No single part decides"), (0.99, 0.5, "No single part decides")],
)
def test_the_page_says_it_in_words(confidence: float, fall: float, said: str) -> None:
    """Odds of 4 to 1 that fall to a quarter are even: 80 percent become 50."""
    face = SimpleNamespace(expression="happy", confidence=confidence)
    assert said in explanation.sentence(face, fall)  # type: ignore[arg-type]


def test_a_sure_label_is_explained_too() -> None:
    class Sure:
        def classify(self, face_crops: Sequence[np.ndarray]) -> np.ndarray:
            contrast = np.array([crop[: len(crop) // 2, : len(crop) // 2].std() for crop in face_crops])
            happy = 1 / (1 + np.exp(-5 - contrast / 25))  # 99.3 % at least
            return np.stack([happy if n == HAPPY else (1 - happy) / 6 for n in range(len(EMOTIONS))], axis=1)

    crop = bright_corner()
    heat = occlusion.heatmap(Sure(), crop, "happy")  # type: ignore[arg-type]
    drawn = occlusion.overlay(crop, heat)
    colour = (drawn.max(2).astype(int) - drawn.min(2))[20:40, 20:40]
    assert heat.max() > 0.2 and colour.max() > 40


@pytest.mark.parametrize(("detail", "turns"), [("fast", 0), ("auto", 1)])
def test_the_crop_explained_is_the_one_that_was_labelled(
    detail: str, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upright, "quarter_turns", lambda image, box: 1)
    face = Face(1, Box(0, 0, 120, 120), 0.9, tuple(float(n == HAPPY) for n in range(len(EMOTIONS))))
    pipeline = SimpleNamespace(classifier=LooksAtOneCorner())
    picture = bright_corner()
    drawn = explanation.face_heatmap(pipeline, picture, Analysis(120, 120, (120, 120), (face,)), 1, detail)  # type: ignore[arg-type]
    crop = np.rot90(crops.square(picture, face.box), turns)
    heat = occlusion.heatmap(pipeline.classifier, crop, "happy")
    assert (drawn == occlusion.overlay(crop, heat)).all()


def test_a_browser_whose_state_is_gone_is_told_so() -> None:
    face: Face | None = None
    for shown in (None, SimpleNamespace(face=face)):
        with pytest.raises(explanation.MissingInput, match="Add the photo again"):
            explanation.explanation(None, shown)  # type: ignore[arg-type]
