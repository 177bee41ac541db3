"""Forty tiny pictures, the rows that an undisturbed run makes of them, and commands that end with the test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.batch_runs import Begin, Row, finish_all, rows, start, tiny_pictures, worker


@pytest.fixture(scope="package")
def pictures(tmp_path_factory: pytest.TempPathFactory, face: np.ndarray) -> Path:
    return tiny_pictures(tmp_path_factory.mktemp("batch") / "pictures", face)


@pytest.fixture(scope="package")
def undisturbed(pictures: Path) -> list[Row]:
    """The rows of all pictures, made part by part without Ray."""
    out = pictures.parent / "undisturbed"
    finish_all(worker(out, pictures, step=1))
    found = rows(out)
    assert {row["item"] for row in found} == set(range(40))
    return found


@pytest.fixture
def begin() -> Iterator[Begin]:
    """`start`, whose processes are killed in the end where they still run; their Ray ends with them."""
    processes: list[subprocess.Popen[str]] = []

    def started(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        processes.append(start(*arguments, **environment))
        return processes[-1]

    yield started
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()
