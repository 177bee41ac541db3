"""The detector's figures on cases worked out by hand, the held-out photos, and the table of a real run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemotion.detectors.boxes import ious
from training.common.errors import DataError
from training.detector import evaluate
from training.detector.data import yolo_format
from training.detector.metrics import Found, at_threshold, average_precision, curve, sides


def found(boxes: list[tuple[list[float], float]], faces: list[list[float]]) -> Found:
    return Found(
        np.array([box for box, _ in boxes], np.float32).reshape(-1, 4),
        np.array([score for _, score in boxes], np.float32),
        np.array(faces, np.float32).reshape(-1, 4),
    )


A, B, SMALL, NOWHERE = [0, 0, 40, 40], [100, 100, 140, 140], [200, 0, 208, 8], [300, 300, 340, 340]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (found([(A, 0.9), (B, 0.8)], [A, B]), 1.0),
        (found([], [A, B]), 0.0),
        (found([(NOWHERE, 0.9)], [A]), 0.0),
        # One of two faces, found first: precision 1 up to recall 0.5, then nothing: 51 of COCO's 101 recalls.
        (found([(A, 0.9)], [A, B]), 51 / 101),
        # A false alarm above both: precision 1/2 at recall 1/2, 2/3 at recall 1; interpolated, 2/3 everywhere.
        (found([(NOWHERE, 0.9), (A, 0.8), (B, 0.7)], [A, B]), 2 / 3),
        # A false alarm between them: 1 up to recall 1/2, then 2/3.
        (found([(A, 0.9), (NOWHERE, 0.8), (B, 0.7)], [A, B]), (51 + 50 * 2 / 3) / 101),
        # The second box on one face is a false alarm, but a later one than any hit.
        (found([(A, 0.9), (A, 0.5)], [A]), 1.0),
        # The small face is ignored, whether it is found or missed, and so are small boxes that find nothing.
        (found([(A, 0.5), (SMALL, 0.9), ([300, 0, 308, 8], 0.9)], [A, SMALL]), 1.0),
        (found([(A, 0.5)], [A, SMALL]), 1.0),
    ],
)
def test_average_precision_by_hand(case: Found, expected: float) -> None:
    assert average_precision([case], least_px=16)[0] == pytest.approx(expected, abs=1e-6)


def test_average_precision_over_overlaps() -> None:
    # 32 of 40 pixels wide: an overlap of 0.8, right at IoU 0.5 to 0.8, seven of the ten.
    half, over_ious = average_precision([found([([0, 0, 32, 40], 0.9)], [A])], 16)
    assert half == pytest.approx(1) and over_ious == pytest.approx(0.7)


def test_average_precision_counts_alarms_in_other_pictures_and_needs_faces() -> None:
    pictures = [found([(A, 0.8)], [A]), found([(A, 0.9)], [])]
    assert average_precision(pictures, 16)[0] == pytest.approx(0.5)
    assert math.isnan(average_precision([found([(A, 0.9)], [])], 16)[0])


def test_precision_and_recall_at_a_threshold_by_hand() -> None:
    pictures = [
        found([(A, 0.9), (A, 0.7), (NOWHERE, 0.6), (SMALL, 0.8), (B, 0.3)], [A, B, SMALL]),
        found([(NOWHERE, 0.9), (NOWHERE, 0.2)], []),
    ]
    figures = at_threshold(pictures, threshold=0.5, least_px=16)
    assert figures == {"precision": pytest.approx(1 / 4), "recall": 0.5, "false_alarms": 3, "faces": 2}
    figures = at_threshold(pictures, threshold=0.1, least_px=16)
    assert figures == {"precision": pytest.approx(2 / 6), "recall": 1.0, "false_alarms": 4, "faces": 2}


def test_the_curve_by_hand() -> None:
    pictures = [
        found([(A, 0.9), (NOWHERE, 0.8), (B, 0.7), (SMALL, 0.95), ([300, 0, 308, 8], 0.99)], [A, B, SMALL]),
        found([(NOWHERE, 0.6)], [[100, 0, 140, 40]]),
    ]
    recall, precision = curve(pictures, 16)
    assert recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    assert curve([found([], [A])], 16)[0].tolist() == []


def test_overlaps_and_sides_by_hand() -> None:
    boxes = np.array([A, [20, 0, 60, 40], [40, 40, 50, 50]], np.float32)
    assert ious(boxes[:1], boxes)[0].tolist() == pytest.approx([1, 800 / 2400, 0])
    assert sides(np.array([[0, 0, 10, 40], [5, 5, 5, 9]], np.float32)).tolist() == pytest.approx([20, 0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty photos, three of which are frames of one film and two of which show the same."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    names = [f"web__{n:02d}" for n in range(30)] + [f"web__film_mp4-{n}" for n in range(3)]
    names += [f"neg_cats__{n}" for n in range(5)] + ["web__30", "web__copy"]
    rows = ["name,set"]
    shows = {name: random.integers(0, 255, (6, 8), np.uint8) for name in names}
    shows["web__copy"] = shows["web__30"]
    for name, blocks in shows.items():
        Image.fromarray(blocks).resize((80, 60), Image.Resampling.NEAREST).save(tmp_path / "images" / f"{name}.jpg")
        faces = "" if name.startswith("neg") else "0 0.5 0.5 0.25 0.5\n0 0.05 0.5 0.2 0.1\n"
        (tmp_path / "labels" / f"{name}.txt").write_text(faces)
        rows.append(f"{name},{name.split('__')[0]}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_boxes_are_read_in_pixels_and_clipped(folder: Path) -> None:
    photo = next(photo for photo in yolo_format.load(folder) if photo.name == "web__07")
    assert photo.boxes.tolist() == [[30, 15, 50, 45], [0, 27, 12, 33]]
    assert (photo.set, photo.width, photo.height) == ("web", 80, 60)
    assert photo.largest_share == pytest.approx(20 * 30 / 4800)


def test_a_tenth_of_the_source_photos_is_held_out_and_all_without_faces(folder: Path) -> None:
    loaded = yolo_format.load(folder)
    out = {photo.name for photo, held in zip(loaded, yolo_format.held_out(loaded), strict=True) if held}
    assert {name for name in out if name.startswith("neg")} == {f"neg_cats__{n}" for n in range(5)}
    sources = dict(zip([photo.name for photo in loaded], yolo_format.source_photos(loaded), strict=True))
    assert len({sources[f"web__film_mp4-{n}"] for n in range(3)}) == 1
    assert sources["web__copy"] == sources["web__30"]
    held = {sources[name] for name in out if name.startswith("web")}
    assert len(held) == 3  # of 30 + film + the two that show the same
    assert {name for name, source in sources.items() if source in held} == {n for n in out if n.startswith("web")}


def test_the_choice_does_not_depend_on_the_order(folder: Path) -> None:
    loaded = yolo_format.load(folder)
    forwards = {p.name for p, held in zip(loaded, yolo_format.held_out(loaded), strict=True) if held}
    backwards = {p.name for p, held in zip(loaded[::-1], yolo_format.held_out(loaded[::-1]), strict=True) if held}
    assert forwards == backwards


def test_folders_without_photos_and_broken_labels_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures"):
        yolo_format.load(tmp_path / "nowhere")
    (folder / "labels" / "web__07.txt").write_text("0 0.5 0.5 much 0.5\n")
    with pytest.raises(DataError, match=r"web__07\.txt"):
        yolo_format.load(folder)


def test_a_detector_is_scored_on_real_photos(examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    truth = {"astronaut": "0 0.443 0.217 0.17 0.22", "empty": ""}
    with Image.open(examples / "astronaut.png") as photo:
        photo.convert("RGB").save(tmp_path / "images" / "astronaut.jpg")
    Image.new("RGB", (300, 200), (90, 120, 90)).save(tmp_path / "images" / "empty.jpg")
    for name, line in truth.items():
        (tmp_path / "labels" / f"{name}.txt").write_text(line)
    judged = evaluate.evaluate_detectors(evaluate.groups([], [tmp_path], everything=True), ["yunet"], ["auto"])
    [group] = judged["groups"]
    [row] = group["rows"]
    assert row["ap50"]["16"] == pytest.approx(1) and row["served"]["recall"] == 1
    assert row["without_faces"] == {"photos": 1, "false_alarms": 0}
    assert min(row["milliseconds"].values()) > 0
    text = evaluate.markdown(judged)
    assert "| yunet (embedded, 8ac30af0) | auto | 1.000 | 1.000 | 1.000 | 1.000 / 1.000 at 0.6 | 0.0 |" in text
    assert "2 photos; faces: 1 of 10 px and more" in text and "(1 without faces)" in text


def test_test_photos_come_first_and_each_set_stands_apart(folder: Path, tmp_path: Path) -> None:
    test = tmp_path / "unseen"
    for part in ("images", "labels"):
        (test / part).mkdir(parents=True)
        for file in sorted((folder / part).glob("web__0[0-4]*")):
            (test / part / f"unseen{file.name}").write_bytes(file.read_bytes())
    found = evaluate.groups([test], [folder])
    assert [(kind, name) for kind, name, _ in found] == [
        ("test", "unseen"),
        ("held_out", "neg_cats"),
        ("held_out", "web"),
    ]
    assert [len(chosen) for _, _, chosen in found][:2] == [5, 5]
    looks = ["alone", "fast"]
    text = evaluate.markdown(evaluate.evaluate_detectors(found, ["yunet"], looks))
    headings = [line for line in text.splitlines() if line.startswith("###")]
    assert headings[0].startswith("### unseen: a test set; no detector here was trained or selected on it")
    assert headings[1] == "### neg_cats: photos without a face; no detector here was trained on them"
    assert headings[2].startswith("### web: held-out photos of a training set")
    assert text.count("| alone |") == text.count("| fast |") == 3
    with pytest.raises(DataError, match="name photos to evaluate on"):
        evaluate.groups([], [])


def test_in_how_many_photos_the_largest_face_is_missed() -> None:
    seen = [found([(A, 0.9)], [A, SMALL]), found([(SMALL, 0.9)], [A, SMALL]), found([(A, 0.3)], [A])]
    assert evaluate.missed_largest(seen, 0.5) == 2


def test_of_several_tries_the_quickest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = iter([30, 5, 20])
    now = [0.0]

    def call() -> None:
        now[0] += next(spent) / 1e3

    clocks = {"clock": lambda: now[0], "processor": lambda: 2 * now[0]}
    monkeypatch.setattr(evaluate, "CLOCKS", clocks)
    assert evaluate.quickest(call) == pytest.approx({"clock": 5, "processor": 10})


def test_photos_of_several_folders(folder: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    (more / "images").mkdir(parents=True)
    (more / "labels").mkdir()
    lines = ["file,set,labels,source,licence"]
    for number in range(12):
        blocks = np.random.default_rng(100 + number).integers(0, 255, (6, 8), np.uint8)
        Image.fromarray(blocks).resize((80, 60), Image.Resampling.NEAREST).save(more / "images" / f"w{number}.webp")
        (more / "labels" / f"w{number}.txt").write_text("0 0.5 0.5 0.25 0.5\n")
        lines.append(f"w{number}.webp,crowds,teacher,somebody/somewhere@1,research")
    (more / "manifest.csv").write_text("\n".join(lines) + "\n")
    loaded, held = yolo_format.load_all([folder, more])
    assert {photo.set for photo in loaded[40:]} == {"crowds"} and len(loaded) == 52
    before = yolo_format.held_out(yolo_format.load(folder))
    assert held[:40].tolist() == before.tolist() and held[40:].sum() == 1
    out = next(photo for photo, is_out in zip(loaded, before, strict=False) if is_out and photo.set == "web")
    copy = next(photo for photo, is_out in zip(loaded[40:], held[40:], strict=True) if not is_out)
    copy.path.unlink()  # the same picture as one held out of the other folder, as PNG under another name
    Image.open(out.path).save(more / "images" / f"{copy.name}.png")
    again, held = yolo_format.load_all([folder, more])
    assert held[[photo.name for photo in again].index(copy.name)]
    with pytest.raises(DataError, match="hold a photo named"):
        yolo_format.load_all([folder, folder])
    (more / "manifest.csv").write_text("photo,set\nw0,crowds\n")
    with pytest.raises(DataError, match="must have the columns name"):
        yolo_format.load(more)
