"""Box geometry: overlap and non-maximum suppression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facemotion.detectors.boxes import intersections, ious, suppress
from tests.support.models.builders import boxes

Box = NDArray[np.float64]
arrays = boxes().map(lambda box: np.array(list(box)))


def iou(box: Box, other: Box) -> float:
    return float(ious(box[None], other[None])[0, 0])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 10, 10), 1),
        ((5, 0, 15, 10), 1 / 3),
        ((2, 2, 7, 7), 1 / 4),
        ((10, 0, 20, 10), 0),
        ((20, 20, 30, 30), 0),
        ((5, 5, 5, 5), 0),
    ],
)
def test_overlap_by_hand(other: tuple[int, ...], expected: float) -> None:
    assert iou(np.array([0.0, 0, 10, 10]), np.array(other, float)) == pytest.approx(expected)


def test_two_boxes_without_area_do_not_overlap() -> None:
    point = np.array([[5, 5, 5, 5]], np.float32)
    assert ious(point, point).tolist() == [[0]]


def test_shapes_and_types() -> None:
    few, many = np.ones((2, 4), np.float32), np.ones((3, 4), np.float32)
    assert ious(few, many).shape == intersections(few, many).shape == (2, 3)
    assert ious(few, many[:0]).shape == (2, 0)
    assert ious(few, many).dtype == np.float32


@given(arrays, arrays)
def test_overlap_is_symmetric_and_within_0_and_1(box: Box, other: Box) -> None:
    assert 0 <= iou(box, other) <= 1 + 1e-9
    assert iou(box, other) == pytest.approx(iou(other, box))
    assert iou(box, box) == pytest.approx(1)


@given(arrays, arrays, st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_overlap_is_the_same_for_shifted_and_mirrored_boxes(box: Box, other: Box, dx: float, dy: float) -> None:
    shift, mirror = np.array([dx, dy, dx, dy]), np.array([-1, 1, -1, 1])
    mirrored = [(each * mirror)[[2, 1, 0, 3]] for each in (box, other)]
    assert iou(box + shift, other + shift) == pytest.approx(iou(box, other), abs=1e-6)
    assert iou(*mirrored) == pytest.approx(iou(box, other))


def test_suppression_keeps_the_best_of_each_cluster() -> None:
    found = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 3, 3]], np.float32)
    assert suppress(found, np.array([0.5, 0.9, 0.7, 0.6], np.float32), 0.4).tolist() == [1, 2, 3]
    assert suppress(found[:0], np.zeros(0, np.float32), 0.4).tolist() == []


def test_suppression_keeps_boxes_of_score_0_and_the_first_of_equal_ones() -> None:
    found = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], np.float32)
    assert suppress(found, np.array([0, 0, 0.7], np.float32), 0.4).tolist() == [2, 0]


@pytest.mark.parametrize(("limit", "kept"), [(0.45, [0]), (0.55, [0, 1])])
def test_suppression_drops_what_overlaps_by_more_than_its_limit(limit: float, kept: list[int]) -> None:
    half = np.array([[0, 0, 10, 20], [0, 0, 10, 10]], np.float32)  # they overlap by 0.5
    assert suppress(half, np.array([0.9, 0.8], np.float32), limit).tolist() == kept
