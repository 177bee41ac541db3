from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemotion import images
from facemotion.errors import BadArray
from facemotion.faces import EMOTIONS, Face
from facemotion.output.draw import COLOURS, Pixels, annotate, contrast, text_colour
from facemotion.output.label_layout import Layout, Rect
from tests.support.models.builders import FAILED, analysis, face

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009),
# severity 1, for linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
SRGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE_POINT = np.array([0.9505, 1.0, 1.089])
DARK_PAGE = (11, 15, 25)


def lab(colour: tuple[int, int, int], sight: object) -> np.ndarray:
    """CIE L*a*b* of an sRGB colour as somebody with that sight sees it."""
    value = np.array(colour) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = SRGB_TO_XYZ @ np.clip(np.asarray(sight) @ linear, 0, 1) / WHITE_POINT
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def plain(value: int = 128, width: int = 200, height: int = 100) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


def changed(before: Pixels, after: Pixels) -> np.ndarray:
    return (before != after).any(axis=2)


def test_the_palette_has_the_seven_expressions() -> None:
    assert tuple(COLOURS) == EMOTIONS


@pytest.mark.parametrize("sight", SIGHT)
def test_every_two_colours_differ_for_every_sight(sight: str) -> None:
    seen = {name: lab(colour, SIGHT[sight]) for name, colour in COLOURS.items()}
    for one, other in itertools.combinations(EMOTIONS, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 24, (one, other)


@pytest.mark.parametrize("name", EMOTIONS)
def test_each_colour_shows_on_light_and_dark_and_carries_text(name: str) -> None:
    assert contrast(COLOURS[name], (255, 255, 255)) > 2.2
    assert contrast(COLOURS[name], DARK_PAGE) > 2.9
    assert contrast(COLOURS[name], text_colour(COLOURS[name])) > 4.5


def test_contrast_runs_from_1_to_21() -> None:
    assert contrast((9, 9, 9), (9, 9, 9)) == 1
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


def test_the_picture_itself_is_not_touched() -> None:
    picture = plain()
    picture.setflags(write=False)
    drawn = annotate(picture, analysis(face()))
    assert (picture == 128).all()
    assert drawn.shape == picture.shape
    assert drawn.dtype == np.uint8
    assert drawn.flags.writeable


@pytest.mark.parametrize("result", [analysis(), FAILED], ids=["no faces", "unreadable"])
def test_nothing_to_draw_gives_a_copy(result: object) -> None:
    picture = plain()
    drawn = annotate(picture, result)  # type: ignore[arg-type]
    assert (drawn == picture).all()
    assert not np.shares_memory(drawn, picture)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8), 1],
    ids=["grey", "four channels", "float", "empty", "no array"],
)
def test_what_cannot_be_drawn_on_is_refused(picture: object) -> None:
    with pytest.raises(BadArray, match="uint8 RGB"):
        annotate(picture, analysis(face()))  # type: ignore[arg-type]


@pytest.mark.parametrize("background", [0, 64, 128, 192, 255])
@pytest.mark.parametrize("expression", EMOTIONS)
def test_a_box_stands_out_on_any_background(background: int, expression: str) -> None:
    drawn = annotate(plain(background), analysis(face(expression=expression)), labels=False)
    row = drawn[40, 10:20]  # across the left side of the box
    assert (row == COLOURS[expression]).all(axis=1).any()
    assert max(contrast(tuple(map(int, pixel)), (background,) * 3) for pixel in row) > 4.5


def test_without_labels_only_the_boxes_are_drawn() -> None:
    picture = plain()
    marked = changed(picture, annotate(picture, analysis(face()), labels=False))
    assert marked[10:70, 10:60].any()
    marked[10:70, 10:60] = False
    assert not marked.any()
    assert not changed(picture, annotate(picture, analysis(face()), labels=False))[20:60, 20:50].any()


def test_an_uncertain_face_has_gaps_in_its_box_and_another_label() -> None:
    sure, unsure = (analysis(face(uncertain=doubt)) for doubt in (False, True))
    sides = [changed(plain(), annotate(plain(), result, labels=False))[10, 10:60] for result in (sure, unsure)]
    assert sides[0].all()
    assert 0.3 < sides[1].mean() < 0.8
    assert sides[1][0] and sides[1][-1]
    labels = [annotate(plain(), result)[:, 60:] for result in (sure, unsure)]
    assert (labels[0] != labels[1]).any()


def test_the_selected_face_is_emphasised_and_an_unknown_id_is_not_an_error() -> None:
    result = analysis(face(1), face(2, (110, 10, 160, 70)))
    usual = annotate(plain(), result, labels=False)
    marked = annotate(plain(), result, labels=False, selected=2)
    assert (usual[:, :105] == marked[:, :105]).all()
    assert changed(plain(), marked)[:, 105:].sum() > 1.5 * changed(plain(), usual)[:, 105:].sum()
    assert (annotate(plain(), result, labels=False, selected=7) == usual).all()


def test_the_selected_face_lies_on_top_and_keeps_its_full_label() -> None:
    faces = face(1, (10, 20, 90, 90), "happy"), face(2, (10, 20, 90, 90), "sad")
    for number, shown in ((1, "happy"), (2, "sad")):
        drawn = annotate(plain(), analysis(*faces), selected=number)
        assert (drawn[60, 10:20] == COLOURS[shown]).all(axis=1).any()
        assert (drawn[0:20, 10:90] == COLOURS[shown]).all(axis=2).sum() > 400


def test_boxes_follow_a_picture_of_another_size() -> None:
    half = annotate(plain(width=100, height=50), analysis(face(box=(20, 20, 180, 90))), labels=False)
    rows, columns = np.nonzero(changed(plain(width=100, height=50), half))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 10, 89, 44)


def test_lines_and_text_grow_with_picture_and_face() -> None:
    def share_of_label(scale: int) -> float:
        size = (1200 * scale, 900 * scale)
        result = analysis(face(box=tuple(scale * v for v in (200, 200, 500, 600))), size=size)
        drawn = annotate(plain(128, *size), result)
        return float(changed(plain(128, *size), drawn).mean())

    assert share_of_label(2) == pytest.approx(share_of_label(1), rel=0.1)


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    corner=st.tuples(st.floats(-20, 95), st.floats(-20, 95)),
    extent=st.tuples(st.floats(0.2, 120), st.floats(0.2, 120)),
    number=st.sampled_from([1, 42, 12345]),
    flags=st.tuples(st.booleans(), st.booleans()),
)
def test_any_box_in_any_picture_is_drawn(
    size: tuple[int, int],
    corner: tuple[float, float],
    extent: tuple[float, float],
    number: int,
    flags: tuple[bool, bool],
) -> None:
    box, (selected, uncertain) = (*corner, corner[0] + extent[0], corner[1] + extent[1]), flags
    result = analysis(face(number, box, uncertain=uncertain), size=size)
    drawn = annotate(plain(128, *size), result, selected=number if selected else None)
    assert drawn.shape == (size[1], size[0], 3)
    assert changed(plain(128, *size), drawn).any()


def crowd(count: int, pitch: int = 64, columns: int = 20) -> list[Face]:
    return [
        face(i + 1, (x, y, x + 32, y + 36), EMOTIONS[i % 7])
        for i, (y, x) in enumerate(
            (30 + pitch * row, 16 + pitch * column) for row in range(count) for column in range(columns)
        )
    ][:count]


def test_every_face_of_a_crowd_has_a_label_and_it_does_not_take_long() -> None:
    picture, faces = plain(128, 1280, 720), crowd(200)
    started = time.thread_time()
    drawn = annotate(picture, analysis(*faces, size=(1280, 720)))
    assert time.thread_time() - started < 2
    beside = changed(picture, drawn)
    for one in faces:  # the boxes lie apart, so what is marked above or below one is its label
        x0, y0, x1, y1 = map(int, one.box)
        assert beside[y0 - 8 : y0, x0:x1].any() or beside[y1 : y1 + 8, x0:x1].any(), one.id


def test_a_tiny_picture_still_shows_number_and_box(examples: Path) -> None:
    picture = np.ascontiguousarray(images.load(examples / "astronaut.png")[40:190:2, 150:300:2][:60, :60])
    drawn = annotate(picture, analysis(face(box=(10, 10, 50, 58)), size=(60, 60)))
    assert 0.05 < changed(picture, drawn).mean() < 0.45


def overlap(one: Rect, other: Rect) -> int:
    return max(0, min(one[2], other[2]) - max(one[0], other[0])) * max(0, min(one[3], other[3]) - max(one[1], other[1]))


@pytest.mark.parametrize(
    ("face_at", "form", "where"),
    [
        ((50, 50, 90, 100), 0, (50, 40, 90, 50)),  # above
        ((50, 5, 90, 60), 0, (50, 60, 90, 70)),  # below, for want of room above
        ((180, 50, 200, 80), 0, (160, 40, 200, 50)),  # moved inside the picture
        ((0, 0, 200, 100), 0, (0, 90, 40, 100)),  # inside a face that fills the picture
        ((50, 50, 60, 60), 1, (50, 40, 60, 50)),  # the short form above a small face
    ],
)
def test_a_lone_label_goes_to_its_place(face_at: Rect, form: int, where: Rect) -> None:
    assert Layout(200, 100, [face_at]).place(0, [(40, 10), (10, 10)]) == (form, where)


def test_a_label_keeps_clear_of_faces_and_of_labels_already_placed() -> None:
    faces = [(50, 50, 90, 90), (60, 30, 100, 48), (95, 50, 135, 90)]
    layout = Layout(200, 100, faces)
    rects = [layout.place(index, [(60, 10), (12, 10)])[1] for index in range(3)]
    for index, rect in enumerate(rects):
        assert all(not overlap(rect, other) for other in rects[index + 1 :])
        assert all(not overlap(rect, other) for other in faces[:index] + faces[index + 1 :])


def test_where_nothing_is_free_the_label_covers_as_little_as_it_can() -> None:
    layout = Layout(30, 30, [(0, 0, 30, 30), (0, 10, 30, 20)])
    form, rect = layout.place(1, [(30, 10), (10, 10)])
    assert form == 1
    assert 0 <= rect[0] < rect[2] <= 30
    assert 0 <= rect[1] < rect[3] <= 30
