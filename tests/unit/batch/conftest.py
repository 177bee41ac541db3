"""Forty tiny pictures, the rows that an undisturbed run makes of them, commands that end with the test, and a Ray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.batch_runs import Begin, Row, beginner, finish_all, rows, tiny_pictures, worker
from tests.support.batch_session import Session


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
    with beginner() as begin:
        yield begin


@pytest.fixture(scope="package")
def one_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A Ray for all tests that are not about how it starts and ends."""
    session = Session(tmp_path_factory.mktemp("ray") / "log.txt")
    yield session
    session.close()
