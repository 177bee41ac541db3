"""The report of a face detector, written from a run and a table that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.support.models import tiny_detector
from training.detector import evaluate, train
from training.reports import detector_report

pytestmark = pytest.mark.slow

HEAD = "epoch,time,train/box_loss,train/cls_loss,val/box_loss,val/cls_loss,metrics/mAP50(B),metrics/mAP50-95(B)"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    (run / "data").mkdir(parents=True)
    (run / "results.csv").write_text(f"{HEAD}\n1,9,2.5,3.1,2.2,2.9,0.4,0.2\n2,18,2.1,2.0,1.9,1.8,0.6,0.3\n")
    changes = {"web": {"photos": 8, "labels": 20, "tightened": 3, "added": 1}}
    counts = {"train_photos": 8, "val_photos": 3, "close_ups": 2, "changes": changes}
    config = {"base": "yolo26n.pt", "epochs": 2, "data": counts, "sources": {}, "sessions": []}
    (run / "config.json").write_text(json.dumps(config))
    Image.new("RGB", (40, 20)).save(run / "data" / "changes.jpg")
    return run


@pytest.fixture
def data(tmp_path: Path, examples: Path) -> Path:
    """Three photos of two sets, one of each held out: a face, and a face that is nowhere."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "labels").mkdir()
    with Image.open(examples / "astronaut.png") as photo:
        photo.convert("RGB").save(tmp_path / "data" / "images" / "astronaut.jpg")
    Image.new("RGB", (300, 200), (90, 120, 90)).save(tmp_path / "data" / "images" / "empty.jpg")
    (tmp_path / "data" / "labels" / "astronaut.txt").write_text("0 0.443 0.217 0.17 0.22\n")
    (tmp_path / "data" / "labels" / "empty.txt").write_text("0 0.5 0.5 0.2 0.3\n")
    (tmp_path / "data" / "manifest.csv").write_text("name,set\nastronaut,a\nempty,b\n")
    return tmp_path / "data"


def test_a_report(run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(tiny_detector.write(tmp_path / "tiny")), "yunet"]  # the tiny one's boxes are all false alarms
    judged = evaluate.evaluate_detectors(evaluate.groups([], [data]), names, ["fast"])
    (run / "detectors.json").write_text(json.dumps(judged))
    out = tmp_path / "reports" / "detector.md"
    out.parent.mkdir()
    detector_report.main([f"--run={run}", f"--data={data}", f"--out={out}"])
    assert capsys.readouterr().out.strip() == str(out)
    text = out.read_text()
    assert "yolo26n.pt, fine-tuned on faces; 2 epochs." in text
    assert "tiny (local, " in text and "yunet (embedded" in text
    assert "| web | 8 | 20 | 3 | 1 |" in text and "8 photos and from 2 close-ups" in text
    figures = ["curves", "precision_recall", "hits", "misses", "false_alarms"]
    for name in figures:
        assert f"(detector/{name}.png)" in text
        with Image.open(out.parent / "detector" / f"{name}.png") as figure:
            assert min(figure.size) > 80
    assert (out.parent / "detector" / "changes.jpg").is_file() and "(detector/changes.jpg)" in text


def test_hits_misses_and_false_alarms_are_told_apart(data: Path) -> None:
    from facemotion import FaceDetector

    chosen = evaluate.load([data])
    found = detector_report.look(FaceDetector.from_pretrained("yunet"), chosen, "fast")
    titles = {k: figure.get_suptitle() for k, figure in detector_report.sheets(chosen, found, 0.6).items()}
    assert [title.partition("(")[2].partition(" ")[0] for title in titles.values()] == ["1", "1", "0"]


def test_a_run_that_goes_on_says_so(run: Path, data: Path, tmp_path: Path) -> None:
    config = json.loads((run / "config.json").read_text()) | {"epochs": 9}
    judged = evaluate.evaluate_detectors(evaluate.groups([], [data]), ["yunet"], ["fast"])
    assert "2 of 9 epochs so far" in detector_report.text(config, train.read_history(run), judged, "detector", [])


def test_what_is_no_run(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        detector_report.main([f"--run={tmp_path}", f"--data={data}", f"--out={tmp_path / 'a.md'}"])
    assert "is no run of training.detector.train" in capsys.readouterr().err
