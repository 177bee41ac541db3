"""Learning from a teacher's boxes and scores: the boxes as files, their fusion with people's labels, soft targets."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from training.common.errors import DataError
from training.detector import teacher_boxes
from training.detector.data import augment
from training.detector.data import dataset as face_dataset
from training.detector.data.label_cleaning import (
    CERTAIN_SCORE,
    UNCONFIRMED,
    TeacherDetections,
    distill_labels,
    softened,
)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


TIGHT, ALONE, UNSEEN = (12, 12, 48, 48), (100, 100, 130, 130), (200, 10, 212, 24)
TEACHER = TeacherDetections(
    boxes(TIGHT, ALONE, (300, 0, 330, 30), (11, 12, 30, 30)), np.array([0.8, 0.35, 0.1, 0.6], np.float32), 0.3
)


def test_peoples_boxes_are_fused_with_the_teachers() -> None:
    labels = boxes((8, 8, 52, 54), UNSEEN)
    fused = distill_labels(labels, TEACHER)
    assert fused.boxes.tolist() == boxes(TIGHT, UNSEEN, ALONE).tolist()  # nothing lies in a face that is labelled
    assert fused.confidence.tolist() == pytest.approx([1, UNCONFIRMED, 0.35 / CERTAIN_SCORE])
    assert fused.tightened.tolist() == [True, False] and fused.added == 1
    assert labels[0].tolist() == [8, 8, 52, 54]  # what was handed in is left alone


def test_the_teachers_own_labels_keep_its_doubt_and_photos_without_faces_stay_so() -> None:
    fused = distill_labels(boxes(TIGHT, ALONE), TEACHER, "teacher")
    assert fused.confidence.tolist() == pytest.approx([1, 0.5]) and fused.added == 0
    nothing = distill_labels(boxes(), TEACHER, "none")
    assert nothing.boxes.shape == (0, 4) and nothing.confidence.shape == (0,)
    empty = TeacherDetections(boxes(), np.zeros(0, np.float32), 0.3)
    assert distill_labels(boxes(UNSEEN), empty).confidence.tolist() == [UNCONFIRMED]
    assert softened(np.array([0, CERTAIN_SCORE / 2, 0.9], np.float32)).tolist() == pytest.approx([0, 0.5, 1])


@pytest.fixture
def folder(tmp_path: Path, examples: Path) -> Path:
    """Twelve photos, one without faces."""
    root = tmp_path / "faces"
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    rows = ["file,set,labels,source,licence"]
    with Image.open(examples / "astronaut.png") as photo:
        for number in range(12):
            part = photo.convert("RGB").crop((80 + 9 * number, 20, 320 + 9 * number, 260))
            part.transpose(Image.Transpose(number % 5)).save(root / "images" / f"p{number}.webp")
            (root / "labels" / f"p{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n" if number else "")
            by = "people" if number else "none: no face by the teacher"
            rows.append(f"p{number}.webp,web,{by},astronaut,public domain")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def test_a_teacher_labels_every_photo_and_goes_on_after_a_stop(folder: Path, capsys: pytest.CaptureFixture) -> None:
    out = folder / "teacher"
    teacher_boxes.main(["--teacher=yunet", f"--data={folder}", f"--out={out}", "--imgsz", "320", "160"])
    assert "12 of 12 photos" in capsys.readouterr().out
    files = sorted(out.iterdir())
    assert [file.stem for file in files] == sorted(f"p{number}" for number in range(12))
    found, scores = teacher_boxes.read(out / "p3.txt", 240, 240)
    assert len(found) == len(scores) >= 1 and found.max() <= 240 and scores.max() > 0.5
    kept = files[0].read_bytes()
    files[0].write_text("0.1 0.1 0.2 0.2 0.9\n")
    files[1].unlink()
    teacher_boxes.main(["--teacher=yunet", f"--data={folder}", f"--out={out}", "--imgsz", "320", "160", "--resume"])
    assert "1 of 1 photos" in capsys.readouterr().out and files[1].is_file() and files[0].read_bytes() != kept
    with pytest.raises(SystemExit):
        teacher_boxes.main(["--teacher=yunet", f"--data={folder}", f"--out={out}"])
    assert "continue with --resume" in capsys.readouterr().err
    files[0].write_text("much\n")
    with pytest.raises(DataError, match="is no list of a teacher's boxes"):
        teacher_boxes.read(files[0], 240, 240)


def test_the_data_of_a_run_hold_how_certain_each_label_is(folder: Path, tmp_path: Path) -> None:
    source = face_dataset.read(folder)
    assert {photo.labelled_by for photo in source.photos} == {"people", "none"}
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    plan = face_dataset.Plan(close_ups=0, free_parts=0, patterns=0, teacher_boxes=(teacher,))
    with pytest.raises(DataError, match=r"11 photos, p0 the first, have no boxes in .*teacher: run training"):
        face_dataset.prepare(source, tmp_path / "data", (), plan)
    for photo in source.photos:
        (teacher / f"{photo.name}.txt").write_text("0.3 0.3 0.7 0.7 0.9\n0.02 0.02 0.1 0.1 0.35\n")
    counts = face_dataset.prepare(source, tmp_path / "data", (), plan)
    assert counts["changes"]["web"] == {"photos": 11, "labels": 10, "tightened": 10, "added": 10}
    confidence = json.loads((tmp_path / "data" / "confidence.json").read_text())
    assert len(confidence) == 10 and set(map(tuple, confidence.values())) == {(1.0, 0.5)}
    assert (tmp_path / "data" / "labels" / "train" / "p0.txt").read_text() == ""

    for photo in source.photos:  # the further face is near the large one, and another is too small to be learned
        faces = "0.3 0.3 0.7 0.7 0.9\n0.72 0.3 0.85 0.5 0.35\n0.6 0.75 0.61 0.76 0.35\n"
        (teacher / f"{photo.name}.txt").write_text(faces)
    face_dataset.prepare(source, tmp_path / "close", (), dataclasses.replace(plan, close_ups=1))
    confidence = json.loads((tmp_path / "close" / "confidence.json").read_text())
    close_ups = {name: sure for name, sure in confidence.items() if name.startswith("close_ups")}
    assert close_ups and set(map(tuple, close_ups.values())) == {(1.0, 0.5)}
    for name in close_ups:
        assert len((tmp_path / "close" / "labels" / "train" / f"{name}.txt").read_text().splitlines()) == 2


@pytest.mark.slow
def test_confidence_reaches_the_target_scores(tmp_path: Path) -> None:
    from training.detector import trainer  # before ultralytics, which it keeps from changing others' functions

    assigner = importlib.import_module("ultralytics.utils.tal").TaskAlignedAssigner
    file = tmp_path / "confidence.json"
    file.write_text(json.dumps({"a": [1.0, 0.25], "b": [0.5]}))
    labels = [{"cls": np.zeros((2, 1), np.float32)}, {"cls": np.zeros((1, 1), np.float32)}, {"cls": np.zeros((1, 1))}]
    dataset = SimpleNamespace(im_files=["x/a.jpg", "x/b.jpg", "x/c.jpg"], labels=labels)
    trainer.store_confidence(dataset, file)
    assert [label["cls"][:, 0].tolist() for label in labels] == [[0, 0.75], [0.5], [0]]

    places = torch.tensor([[x + 0.5, y + 0.5] for y in range(8) for x in range(8)]) * 8
    faces = torch.tensor([[[0, 0, 24, 24], [32, 32, 56, 56]]], dtype=torch.float32)
    mask, scores = torch.ones(1, 2, 1), torch.full((1, 64, 1), 0.5)
    predicted = torch.where(places[:, :1] < 28, faces[0, 0], faces[0, 1])[None]
    plain = assigner(topk=10, num_classes=1, alpha=0.5, beta=6.0, stride=[8, 16, 32])
    hard = plain(scores, predicted, places, torch.zeros(1, 2, 1), faces, mask)
    given = torch.tensor([[[0.0], [0.75]]])
    soft = trainer.SoftAssigner(plain)(scores, predicted, places, given, faces, mask)
    assert torch.equal(soft[3], hard[3]) and hard[3].any()
    expected = hard[2] * torch.where(hard[4] == 1, 0.25, 1.0)[..., None]
    assert torch.allclose(soft[2], expected) and not torch.allclose(soft[2], hard[2])
    none = trainer.SoftAssigner(plain)(scores, predicted, places, given[:, :0], faces[:, :0], mask[:, :0])
    assert none[2].sum() == 0


def test_every_batch_has_pictures_without_faces() -> None:
    from training.detector.trainer import NegativeSampler

    without = np.arange(50) % 17 == 0  # three of fifty
    order = NegativeSampler(without, batch=8, least=2)
    rows = list(order)
    assert len(rows) == len(order)
    batches = [rows[at : at + 8] for at in range(0, len(rows), 8)]
    assert all(sum(without[batch]) >= 2 for batch in batches)
    shown = Counter(rows)
    assert set(shown) == set(range(50)) and all(shown[row] == 1 for row in np.flatnonzero(~without))
    assert list(order) != rows
    many = NegativeSampler(np.arange(20) < 15, batch=4, least=1)
    assert sorted(many) == list(range(20))


def test_small_faces_are_cut_out_and_pasted() -> None:
    picture = np.full((200, 300, 3), 90, np.uint8)
    picture[50:80, 60:84] = 250
    face = boxes((60, 50, 84, 80))
    [donor] = augment.cut_small(picture, np.concatenate([face, boxes((0, 0, 20, 20), (100, 0, 250, 190))]))
    assert donor.shape == (46, 36, 3)  # with a quarter of its sides around; at the border there is none
    random = np.random.default_rng(0)
    canvas = np.full((120, 160, 3), 10, np.uint8)
    taken = boxes((0, 0, 80, 120))
    pasted, added = augment.paste(canvas, taken, [donor] * 5, random)
    assert 1 <= len(added) <= 5 and (added[:, 0] >= 80).all() and (canvas == 10).all()
    for x0, y0, x1, y1 in added.round().astype(int).tolist():
        assert 6 <= max(x1 - x0, y1 - y0) <= 41
        assert pasted[(y0 + y1) // 2, (x0 + x1) // 2].min() > 200
    assert (pasted[:, :80] == 10).all()
    same, nothing = augment.paste(canvas, boxes((0, 0, 160, 120)), [donor], random)
    assert (same == canvas).all() and nothing.shape == (0, 4)
