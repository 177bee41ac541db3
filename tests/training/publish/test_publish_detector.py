"""Publishing a face detector with the real client to a Hub on loopback, and serving it from there."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from facemotion import FaceDetector
from facemotion.settings import Reference
from tests.support.hub import publishing
from tests.support.hub.downloads import Hub
from tests.support.hub.publishing import refused
from tests.support.hub.uploads import OWNER, WRITER, Uploads
from tests.support.models import tiny_detector
from training.detector import evaluate
from training.publish import cli

REPO = f"{OWNER}/faces"
ROW = {
    "name": "tiny",
    "detector": "tiny (local)",
    "detail": "auto",
    "threshold": 0.5,
    "ap50": {str(px): 0.912 for px in evaluate.LEAST_PX},
    "served": {"precision": 0.9, "recall": 0.8, "false_alarms": 1, "faces": 20},
    "close_ups": {"photos": 2, "missed": 0},
    "without_faces": {"photos": 4, "false_alarms": 1},
    "milliseconds": {"clock": 20.0, "processor": 30.0},
}
JUDGED = {
    "groups": [
        {
            "kind": "test",
            "set": "crowds",
            "photos": 10,
            "without_faces": 4,
            "close_ups": 2,
            "faces": {str(px): 20 for px in evaluate.LEAST_PX},
            "rows": [ROW],
        }
    ]
}
CONFIG = {
    "network": "yolo26n",
    "input": "float32 RGB",
    "output": "rows",
    "parity": {
        "photos": 8,
        "onnxruntime": {"pixels": 2e-4, "score": 1e-6},
        "opencv": {"pixels": 1e-4, "score": 2e-6},
    },
    "recipe": {"epochs": 24, "imgsz": 480},
    "data": {
        "train_photos": 2150,
        "changes": {"wider_train": {"photos": 520, "labels": 9, "tightened": 0, "added": 3}},
    },
    "sources": {"licences": {"wider_train": "WIDER FACE (research use)", "neg_cats": "for judging only"}},
}

pytestmark = [*publishing.MARKS, pytest.mark.slow]


@pytest.fixture
def uploads(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Uploads:
    monkeypatch.setenv("HF_TOKEN", WRITER)
    monkeypatch.delenv("FACEMOTION_DETECTOR", raising=False)
    return Uploads(hub)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    folder = tiny_detector.write(tmp_path / "tiny", **CONFIG)
    (tmp_path / "detectors.json").write_text(json.dumps(JUDGED))
    return ["detector", "--folder", str(folder), "--results", str(tmp_path / "detectors.json"), "--repo", REPO]


def test_a_detector_goes_up_in_one_commit_and_is_served_from_there(
    uploads: Uploads,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    file = tmp_path / ".env"
    file.write_text("FACEMOTION_DETECTOR=yunet\nFACEMOTION_WEIGHTS=simplecnn\n")  # pragma: allowlist secret
    cli.main([*arguments, "--write-env", str(file)])
    files = uploads.files(REPO)
    assert set(files) == {"model.onnx", "config.json", "README.md", "LICENSE"}
    assert len(uploads.hub.repositories[REPO].commits) == 2  # the Hub's own, and this one
    sha256 = hashlib.sha256(files["model.onnx"]).hexdigest()
    reference = re.search(rf"^{REPO}@[0-9a-f]{{40}}#{sha256}$", capsys.readouterr().out, re.MULTILINE)
    assert reference and Reference.parse(reference[0]).pinned
    assert file.read_text() == f"FACEMOTION_WEIGHTS=simplecnn\nFACEMOTION_DETECTOR={reference[0]}\n"
    monkeypatch.setenv("FACEMOTION_DETECTOR", reference[0])
    served = FaceDetector.from_pretrained()
    assert served.notice is None and served.description.startswith(f"{REPO}@")
    assert len(served.detect(np.full((130, 140, 3), 255, np.uint8), "fast")[0]) == 2


def test_the_card_tells_data_licences_results_and_limits(uploads: Uploads, arguments: list[str]) -> None:
    cli.main(arguments)
    card = uploads.files(REPO)["README.md"].decode()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "agpl-3.0" and front["pipeline_tag"] == "object-detection"
    assert "| wider_train |  | WIDER FACE (research use) | 520 | 9 | 0 | 3 |" in card
    assert "| neg_cats |  | for judging only | 0 | 0 | 0 | 0 |" in card
    assert "| tiny (local) | auto | 0.912 |" in card and "10 photos; faces: 20 of 10 px" in card
    assert "end-to-end (no suppression" in card
    assert "2e-04 pixels" in card and "on 8 photos" in card and "| epochs | `24` |" in card
    assert "## Limits" in card and "for research and demonstration" in card


def test_a_dry_run_sends_nothing(uploads: Uploads, arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    cli.main([*arguments, "--dry-run"])
    output = capsys.readouterr().out
    assert "Dry run: nothing was sent." in output and "# faces\n" in output
    assert uploads.hub.requests == []


def test_a_damaged_download_is_never_pinned(uploads: Uploads, arguments: list[str], tmp_path: Path) -> None:
    uploads.hub.faults.damage = 99
    file = tmp_path / ".env"
    assert "is published, but could not be compared" in refused([*arguments, "--write-env", str(file)])
    assert not file.exists()


def test_what_cannot_be_published(uploads: Uploads, arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "detectors.json").write_text('{"tiny": {}}')
    assert "is no detectors.json" in refused(arguments)
    (tmp_path / "tiny" / "model.onnx").write_bytes(b"another")
    assert "is not the one" in refused(arguments)
    assert "There is no folder" in refused(["detector", "--folder", str(tmp_path / "none"), "--repo", REPO])
    assert uploads.hub.repositories == {}
