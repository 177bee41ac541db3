"""Labels fused with what detectors say, on cases worked out by hand; the WIDER FACE tree; pictures without faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.common.errors import DataError
from training.detector.data import label_cleaning, wider_face
from training.detector.data.label_cleaning import TeacherDetections
from training.detector.metrics import Boxes


def boxes(*rows: tuple[float, ...]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 4)


FACE, LOOSE = (20, 20, 60, 60), (10, 10, 70, 70)  # the loose one overlaps the face by 1600 / 3600 = 0.44
CLOSE = (20, 20, 60, 64)  # overlaps the face by 40 / 44 = 0.91
OTHER = (20, 20, 60, 76)  # by 40 / 56 = 0.71: the same face, but no agreement


@pytest.mark.parametrize(
    ("label", "teachers", "expected"),
    [
        (LOOSE, [[FACE], [CLOSE]], (20, 20, 60, 62)),  # their mean
        (LOOSE, [[FACE], [CLOSE], []], (20, 20, 60, 62)),  # a third that sees nothing does not count against it
        (LOOSE, [[FACE]], LOOSE),  # one is none
        (LOOSE, [[FACE], [OTHER]], LOOSE),  # they disagree
        (LOOSE, [[FACE], [CLOSE], [OTHER]], LOOSE),  # one of three does
        (LOOSE, [[FACE], [(100, 100, 140, 140)]], LOOSE),  # they see different faces
        (CLOSE, [[FACE], [FACE]], CLOSE),  # already tight: 0.91
        ((0, 0, 80, 80), [[FACE], [FACE]], (0, 0, 80, 80)),  # too far from what they say: 0.25
    ],
)
def test_a_loose_label_is_tightened_only_to_what_all_teachers_say(label, teachers, expected) -> None:  # type: ignore[no-untyped-def]
    tight = label_cleaning.tighten(boxes(label), [boxes(*found) for found in teachers])
    assert tight.tolist() == [pytest.approx(list(expected))]


@pytest.mark.parametrize(
    ("labels", "teachers", "expected"),
    [
        ([], [[FACE], [CLOSE]], [(20, 20, 60, 62)]),
        ([], [[FACE], [FACE], [FACE]], [FACE]),
        ([], [[FACE], []], []),
        ([], [[FACE, CLOSE], []], []),  # two boxes of one teacher are one vote
        ([FACE], [[FACE], [CLOSE]], []),
        ([LOOSE], [[(30, 30, 45, 45)], [(30, 30, 45, 45)]], []),  # inside a label
        ([(25, 25, 35, 35)], [[FACE], [FACE]], []),  # around one
        ([], [[(0, 0, 9, 9)], [(0, 0, 9, 9)]], []),  # too small to believe
        ([FACE], [[FACE, (100, 0, 120, 20)], [(100, 0, 120, 20)]], [(100, 0, 120, 20)]),
    ],
)
def test_a_face_is_added_where_two_teachers_see_it_and_no_label_is(labels, teachers, expected) -> None:  # type: ignore[no-untyped-def]
    new = label_cleaning.unlabelled(boxes(*labels), [boxes(*found) for found in teachers])
    assert new.tolist() == [pytest.approx(list(box)) for box in expected]


def test_fusing_tells_what_it_changed_and_believes_only_the_sure() -> None:
    labels, new = boxes(LOOSE, (100, 100, 120, 120)), (200, 0, 230, 30)
    unsure = TeacherDetections(boxes(FACE, new), np.array([0.41, 0.5], np.float32), threshold=0.4)
    sure = TeacherDetections(boxes(FACE, new), np.array([0.9, 0.9], np.float32), threshold=0.4)
    fused = label_cleaning.fuse(labels, [sure, sure], loose=True)
    assert fused.boxes.tolist() == [list(FACE), [100, 100, 120, 120], list(new)]
    assert (fused.tightened.tolist(), fused.added) == ([True, False], 1)
    kept = label_cleaning.fuse(labels, [sure, sure], loose=False)
    assert (kept.tightened.any(), kept.added, kept.boxes[:2].tolist()) == (False, 1, labels.tolist())
    doubted = label_cleaning.fuse(labels, [sure, unsure], loose=True)
    assert (doubted.tightened.tolist(), doubted.added) == ([True, False], 0)
    assert label_cleaning.fuse(labels, [], loose=True).boxes.tolist() == labels.tolist()


LISTED = """\
0--Parade/a.jpg
2
10 20 30 40 0 0 0 0 0 0
50 20 8 8 2 0 0 1 2 0
1--Empty/b.jpg
0
0 0 0 0 0 0 0 0 0 0
"""


def test_the_wider_face_tree(tmp_path: Path) -> None:
    (tmp_path / "wider_face_split").mkdir()
    for split, text in (("train", LISTED), ("val", "2--More/c.jpg\n1\n90 70 30 30 0 0 0 0 0 0\n")):
        (tmp_path / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt").write_text(text)
    for name in ("train/images/0--Parade/a", "train/images/1--Empty/b", "val/images/2--More/c"):
        (tmp_path / f"WIDER_{name}.jpg").parent.mkdir(parents=True)
        Image.new("RGB", (100, 80)).save(tmp_path / f"WIDER_{name}.jpg")
    assert wider_face.is_tree(tmp_path) and not wider_face.is_tree(tmp_path / "WIDER_train")
    photos, ignored = wider_face.load(tmp_path)
    assert [(p.name, p.set, p.boxes.tolist()) for p in photos] == [
        ("a", "wider_train", [[10, 20, 40, 60]]),
        ("b", "wider_train", []),
        ("c", "wider_val", [[90, 70, 100, 80]]),  # clipped
    ]
    assert ignored["a"].tolist() == [[50, 20, 58, 28]] and not len(ignored["c"])
    (tmp_path / "WIDER_val" / "images" / "2--More" / "c.jpg").unlink()
    with pytest.raises(DataError, match=r"c\.jpg cannot be read"):
        wider_face.load(tmp_path)


@pytest.mark.parametrize("text", ["a.jpg\n", "a.jpg\nmany\n", "a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n", "a.jpg\n1\n1 2 3 4\n"])
def test_a_list_that_is_none(text: str) -> None:
    with pytest.raises(DataError, match="bbx_gt, line 1"):
        list(wider_face.parse(text, "bbx_gt"))
