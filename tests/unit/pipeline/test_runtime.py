"""ONNX Runtime as it is set up: how many threads a network takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facemotion import runtime
from tests.support.servers.processes import ROOT


@pytest.fixture
def quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a container's quota, on a machine with four processors."""
    monkeypatch.setattr(runtime, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    runtime.cores.cache_clear()
    yield tmp_path / "cpu.max"
    monkeypatch.undo()
    runtime.cores.cache_clear()


@pytest.mark.parametrize(
    ("words", "expected"), [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1), ("900000 100000", 4), ("", 4)]
)
def test_no_more_threads_than_a_container_may_use(quota: Path, words: str, expected: int) -> None:
    quota.write_text(words)
    assert runtime.cores() == expected


def test_no_more_cameras_at_work_than_a_container_may_use(quota: Path) -> None:
    from facemotion.webui.sessions.webcam import WebcamSessions

    quota.write_text("200000 100000")
    assert WebcamSessions(object())._semaphore._free == 2  # type: ignore[arg-type]


def test_nobody_else_counts_processors() -> None:
    """Whoever does it alone overlooks a container's quota."""
    folders = [ROOT / "facemotion", ROOT / "training"]
    counting = [
        file.name
        for folder in folders
        for file in folder.rglob("*.py")
        if re.search("cpu_count|sched_getaffinity", file.read_text("utf-8"))
    ]
    assert counting == ["runtime.py"]


@pytest.mark.parametrize(("limit", "expected"), [("1", 1), ("3", 3), ("64", 4)])
def test_no_more_threads_than_the_setting_says(limit: str, expected: int) -> None:
    """Workers of `facemotion batch` share a machine, each with its part of the processors."""
    code = (
        "import os; os.sched_getaffinity = lambda _: {0, 1, 2, 3}\n"
        "from facemotion import runtime; from pathlib import Path; runtime._QUOTA = Path('none')\n"
        "print(runtime.cores())"
    )
    environment = os.environ | {"FACEMOTION_MAX_THREADS": limit}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(result.stdout) == expected
