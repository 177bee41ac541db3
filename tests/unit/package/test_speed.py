"""The benchmark: its pictures hold the faces they promise, its report says what was met; no time is asserted."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import contender, pictures, speed_report
from benchmarks.timing import machine, repeat, summary
from facemotion import FaceDetector, Pipeline

TIMES = {"median": 10.0, "p95": 12.0, "count": 5}


def numbers() -> dict[str, Any]:
    stages = dict.fromkeys(speed_report.STAGES, TIMES)
    return {
        "version": "9.9.9",
        "machine": machine(),
        "app": {
            "start_s": {"page": 2.0, "first answer": 3.0},
            "warm_ms": TIMES,
            "memory_mb": {"after the first answer": 300, "at most": 400},
            "viewers": [{"cameras": count, "frames_a_second": 20.0} for count in (1, 8)],
        },
        "stages": {
            "models": {"detector": "yunet (embedded)", "classifier": "net (embedded)"},
            "import": {"package_s": TIMES | {"median": 0.1}, "models_loaded_s": TIMES},
            "pictures": [
                {"kind": kind, "size": [640, 480], "detail": "fast", "faces": faces, "ms": stages}
                for kind in ("frame", "photo")
                for faces in (1, 5, 20)
            ],
            "large": [
                {"face_width": 150, "bytes": 9, "detail": detail, "faces": 30, "ms": TIMES}
                for detail in ("auto", "thorough", "thorough")
            ],
            "batch": {"photos": 32, "faces": 2, "ms": {"at once": TIMES, "one by one": TIMES}, "ratio": 1.0},
            "networks": [{"network": "emotionnet", "faces": faces, "ms": TIMES} for faces in (1, 8)],
        },
    }


@pytest.mark.parametrize("faces", [1, 5, 20])
def test_the_pictures_hold_their_faces(pipeline: Pipeline, faces: int) -> None:
    live = Pipeline(FaceDetector.from_pretrained("live"), pipeline.classifier)
    assert len(live.analyze(pictures.frame(faces), detail="fast").faces) == faces
    assert len(pipeline.analyze(pictures.small_photo(faces)).faces) == faces


def test_the_report_says_what_was_met_and_what_was_missed(tmp_path: Path) -> None:
    text = speed_report.as_markdown(numbers())
    assert "| camera frame 640 x 480, 1 face, fast | 15 ms | 10 ms | met |" in text
    assert "| batch of 32 photos, against one by one | 1.5 times | 1 times | missed |" in text
    assert "| EmotionNet, 1 face | 2.5 ms | 10 ms | missed |" in text and "Beside others" not in text
    speed_report.draw(numbers(), tmp_path / "speed.png")
    with Image.open(tmp_path / "speed.png") as chart:
        assert chart.width > 500


def test_the_report_names_peers_that_could_not_be_had() -> None:
    found = copy.deepcopy(numbers())
    cell = {"ms": TIMES, "faces": 1}
    found["peers"] = {"rows": {"facemotion": {"frame": cell}}, "missing": {"fer": "not installed"}, "note": "Today."}
    text = speed_report.as_markdown(found)
    assert "| facemotion | 10 (12), 1 found |" in text and "| fer | not installed |" in text


def test_a_contender_answers_with_its_times_and_faces(examples: Path) -> None:
    said = contender.answer(contender.facemotion(), {"picture": str(examples / "group.jpg"), "count": 2})
    assert said["faces"] == 3 and len(said["ms"]) == 2


def test_calls_that_warm_up_are_not_counted() -> None:
    calls: list[int] = []
    assert len(repeat(lambda: calls.append(1), 4)) == 4 and len(calls) > 4
    assert summary([3.0, 1.0, 2.0])["median"] == 2.0 and summary([5.0]) == {"median": 5.0, "p95": 5.0, "count": 1}
