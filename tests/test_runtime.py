"""ONNX Runtime as it is set up: how many threads a run takes, alone and beside others."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from facemotion import runtime, weights
from facemotion.detectors import yunet


@pytest.fixture
def session() -> runtime.Session:
    return runtime.Session(weights.embedded("yunet") / yunet.FILE)


class Recorded:
    """Stands in for one of a session's two, and notes its runs."""

    def __init__(self, name: str, notes: list[str], before: threading.Barrier | None = None) -> None:
        self.name, self.notes, self.before = name, notes, before

    def run(self, outputs: object, values: object) -> list[np.ndarray]:
        self.notes.append(self.name)
        if self.before is not None:
            self.before.wait()
            self.before.wait()
        return []


def test_beside_another_a_run_takes_one_thread(session: runtime.Session) -> None:
    notes: list[str] = []
    both = threading.Barrier(2, timeout=60)
    session._wide, session._narrow = Recorded("wide", notes, both), Recorded("narrow", notes)
    first = threading.Thread(target=session.run, args=(np.zeros(1, np.float32),))
    first.start()
    both.wait()  # the first is at work
    session.run(np.zeros(1, np.float32))
    both.wait()
    first.join()
    assert notes == ["wide", "narrow"]


def test_a_run_that_failed_is_over(session: runtime.Session) -> None:
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        session.run(np.zeros((1, 2), np.float32))
    notes: list[str] = []
    session._wide = Recorded("wide", notes)
    session.run(np.zeros(1, np.float32))
    assert notes == ["wide"]


def test_both_say_the_same(session: runtime.Session) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, 64, 96)).astype(np.float32)
    wide = session.run(pixels, ["cls_8", "bbox_8"])
    session._wide = session._narrow
    for one, other in zip(wide, session.run(pixels, ["cls_8", "bbox_8"]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1), ("900000 100000", 4), ("", 4)]
)
def test_no_more_threads_than_a_container_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    monkeypatch.setattr(runtime, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    (tmp_path / "cpu.max").write_text(quota)
    runtime.cores.cache_clear()
    assert runtime.cores() == expected
    monkeypatch.undo()
    runtime.cores.cache_clear()
