"""After a full disk and a source that vanished, `facemotion batch` goes on to the same rows."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.batch_runs import GATED, SMALL_PARTS, Gate, Row, done, rows, wait_until, without_paths
from tests.support.batch_session import Session

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

DISK_BYTES, ROOM_BYTES = 2_000_000, 300_000  # a part and its record take 16,000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes, where we may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here, which needs Linux and root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_ends_the_run_which_goes_on_when_there_is_room(
    one_ray: Session, pictures: Path, undisturbed: list[Row], small_disk: Path
) -> None:
    ballast, out = small_disk / "ballast", small_disk / "out"
    ballast.write_bytes(bytes(DISK_BYTES - ROOM_BYTES))
    command = (pictures, "--out", out, *SMALL_PARTS, "--concurrency", "1")
    one_ray.begin(*command)
    said = one_ray.give_up()
    assert "the disk is full" in said and "--resume" in said
    assert 0 < len(done(out)) < 40
    ballast.unlink()
    one_ray.finish(*command, "--resume")
    assert rows(out) == undisturbed


def test_a_source_that_vanished_ends_the_run_which_goes_on_when_it_is_back(
    one_ray: Session, pictures: Path, undisturbed: list[Row], tmp_path: Path
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(pictures, source)
    command = (source, "--out", out, *SMALL_PARTS, "--concurrency", "2")
    gate = Gate(out, *GATED)
    one_ray.begin(*command)
    wait_until(lambda: len(done(out)) >= 12, one_ray.process)
    source.rename(tmp_path / "elsewhere")
    gate.open()
    said = one_ray.give_up()
    assert "is not there any more" in said and "--resume" in said

    (tmp_path / "elsewhere").rename(source)
    one_ray.finish(*command, "--resume")
    assert without_paths(rows(out)) == without_paths(undisturbed)
