from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemotion.faces import EMOTIONS, Analysis, Box, Face
from tests.support.models.builders import FAILED, analysis, boxes, face

EVEN = (1 / 7,) * 7


@st.composite
def probabilities(draw: st.DrawFn) -> tuple[float, ...]:
    weights = draw(st.lists(st.floats(0.001, 1), min_size=7, max_size=7))
    return tuple(weight / sum(weights) for weight in weights)


def test_the_order_of_the_expressions_is_that_of_the_data_set() -> None:
    assert EMOTIONS == ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@pytest.mark.parametrize(
    "values",
    [
        (0, 0, 0, 5), (0, 0, 5, 0), (5, 0, 0, 5), (0, 5, 5, 0),
        (math.nan, 0, 5, 5), (0, 0, math.inf, 5), (0, -math.inf, 5, 5),
    ],
)  # fmt: skip
def test_a_box_without_area_or_with_odd_numbers_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="a box must"):
        Box(*values)


def test_a_box_measures_itself() -> None:
    box = Box(10, 20, 40, 60)
    assert (box.width, box.height, box.area, box.center) == (30, 40, 1200, (25, 40))
    assert tuple(box) == (10, 20, 40, 60)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 0}, "count from 1"),
        ({"detection_confidence": 1.01}, "detection_confidence"),
        ({"detection_confidence": -0.1}, "detection_confidence"),
        ({"detection_confidence": math.nan}, "detection_confidence"),
        ({"probabilities": EVEN[:6]}, "7 numbers"),
        ({"probabilities": (1.2, -0.2, 0, 0, 0, 0, 0)}, "in 0..1"),
        ({"probabilities": (math.nan, *EVEN[1:])}, "in 0..1"),
        ({"probabilities": (0.5,) * 7}, "sum to 1"),
        ({"quality": ("ugly",)}, "quality"),
    ],
)
def test_a_face_refuses_numbers_outside_their_range(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(face(), **change)


@given(probabilities(), boxes())
def test_expression_is_the_top_class_and_confidence_its_probability(values: tuple[float, ...], box: Box) -> None:
    one = Face(1, box, 0.5, values)
    assert one.confidence == max(values)
    assert values[EMOTIONS.index(one.expression)] == one.confidence
    plain = one.to_dict()
    assert list(plain["probabilities"]) == list(EMOTIONS)
    assert sum(plain["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert plain["box"] == pytest.approx(list(box), abs=0.01)


def test_an_uncertain_face_still_has_its_top_class() -> None:
    assert face(expression="fear", p=0.2, uncertain=True).expression == "fear"


def test_results_cannot_be_changed() -> None:
    for thing, name in ((face(), "id"), (face().box, "x0"), (analysis(), "faces")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, 1)


def test_the_one_json_has_exactly_these_keys() -> None:
    plain = analysis(face(quality=("small", "blurred"), uncertain=True)).to_dict()
    assert list(plain) == ["image", "faces", "models", "timings_ms", "error"]
    assert plain["image"] == {"width": 200, "height": 100, "source_size": [200, 100]}
    assert plain["timings_ms"] == {"total": 1.23}
    assert plain["error"] is None
    (one,) = plain["faces"]
    assert list(one) == [
        "id", "box", "detection_confidence", "expression", "confidence", "probabilities", "uncertain", "quality",
    ]  # fmt: skip
    assert one["quality"] == ["small", "blurred"]
    assert one["uncertain"] is True
    assert json.loads(json.dumps(plain)) == plain


def test_no_faces_and_a_failure_are_ordinary_values() -> None:
    assert analysis().to_dict()["faces"] == []
    assert FAILED.to_dict()["error"] == {"code": "corrupt", "message": "This JPEG picture is damaged."}
    assert Analysis(1, 1, (1, 1)).models == {}
