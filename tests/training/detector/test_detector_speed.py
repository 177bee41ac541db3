"""Networks of detectors timed in one runtime: a real export beside a real checkpoint, and what is neither."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from facemotion.detectors import ultralytics_compat
from tests.support.models import tiny_detector
from training.common.errors import DataError
from training.detector import speed

pytestmark = pytest.mark.slow


def test_an_export_beside_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "SIDES", (64, 96))
    tiny = tiny_detector.write(tmp_path / "tiny")
    ultralytics_compat.import_ultralytics().YOLO("yolov8n.yaml").save(tmp_path / "eight.pt")
    arguments = [f"--out={tmp_path}", "--rounds=2", "--networks", str(tiny), str(tmp_path / "eight.pt")]
    speed.main(arguments)
    measured = json.loads((tmp_path / speed.FILE).read_text())
    assert speed.read(tmp_path) == measured
    times = measured["milliseconds"]
    assert list(times) == ["tiny", "eight.pt"] and times["eight.pt"]["96"] > times["tiny"]["96"]  # 1 layer, 60 layers
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| network | 64 x 64 | 96 x 96 |"
    assert re.fullmatch(r"\| tiny \| [\d.]+ \(1\.00\) \| [\d.]+ \(1\.00\) \|", lines[2])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["eight.pt", "speed.json", "tiny"]  # nothing beside it


def test_what_is_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("no network")
    for path, sentence in ((tmp_path / "a.txt", "neither a folder"), (tmp_path, "not of the format")):
        with pytest.raises(SystemExit):
            speed.main(["--networks", str(path)])
        assert sentence in capsys.readouterr().err
    assert speed.read(tmp_path) is None
    (tmp_path / speed.FILE).write_text("{}")
    with pytest.raises(DataError, match=r"speed\.json is none"):
        speed.read(tmp_path)


def test_two_of_one_name_and_a_damaged_export_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (tiny_detector.write(tmp_path / name / "export") for name in ("a", "b"))
    for given, sentence in (([one, other], "have the same name"), ([one], "is not the one that config.json")):
        with pytest.raises(SystemExit):
            speed.main(["--networks", *map(str, given)])
        assert sentence in capsys.readouterr().err
        (one / "model.onnx").write_bytes(b"damaged")
