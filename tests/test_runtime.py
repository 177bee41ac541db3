"""ONNX Runtime as it is set up: how many threads a network takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from facemotion import runtime


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
