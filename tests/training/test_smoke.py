"""The whole kit, from a look at the data to the exported weights on a photo, as `make train-smoke` runs it."""

from __future__ import annotations

import ast
import json
import os
import resource
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from facemotion import EMOTIONS
from tests.support.probes import strace
from training import smoke
from training.common.errors import DataError
from training.expression.data.dataset import load_split

MADE = (
    "check/data.md",
    "run/last.pt",
    "run/metrics.json",
    "run/figures/curves.png",
    "run/figures/confusion.gif",
    "run/figures/mistakes.png",
    "model/model.safetensors",
    "repository/README.md",
    "repository/figures/classes.png",
    "evaluation/evaluation.md",
)
LIMIT_S = 60  # of a processor

pytestmark = pytest.mark.slow


def check(out: Path, seconds: dict[str, float]) -> None:
    assert [name for name in MADE if not (out / name).is_file()] == []
    assert len(seconds) == 8
    analysis = json.loads((out / "analysis.json").read_text())
    assert "model (local" in analysis["models"]["classifier"]
    assert analysis["faces"][0]["expression"] in EMOTIONS
    session = onnxruntime.InferenceSession(out / "repository" / "model.onnx", providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(None, {"images": np.zeros((2, 3, 48, 48), np.float32)})
    assert probabilities.sum(1) == pytest.approx(1)


@pytest.mark.timeout(600)
def test_the_whole_kit_runs_on_the_example_photos_and_asks_nobody(tmp_path):
    """In a process of its own, with a home folder of its own: see tests/security/test_unasked.py."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    traced = strace.run(tmp_path, "-m", "training.expression.train", "--smoke", "--out", "smoke")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    *_, last = (tmp_path / "output.txt").read_text().splitlines()
    check(tmp_path / "work" / "smoke", ast.literal_eval(last[last.index("{") :]))
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < LIMIT_S
    traced.assert_nothing_unasked()


@pytest.mark.timeout(600)
def test_the_whole_kit_runs_on_fer2013(tmp_path):
    data = os.environ.get("FACEMOTION_DATA")
    if not data:
        pytest.skip("FACEMOTION_DATA is not set: no FER2013 to run the kit on")
    check(tmp_path / "smoke", smoke.run(tmp_path / "smoke", Path(data)))


def test_the_crops_are_the_same_each_time_and_all_different(tmp_path):
    for name in ("one", "two"):
        smoke.from_photos(tmp_path / name)
    one, two = (load_split(tmp_path / name, "train") for name in ("one", "two"))
    assert (one.pictures == two.pictures).all()
    assert len({picture.tobytes() for picture in one.pictures}) == len(one) == 56
    assert one.pictures.std(axis=(1, 2)).min() > 20
    assert set(one.counts().values()) == {8}


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DataError, match="is not empty"):
        smoke.run(tmp_path)
