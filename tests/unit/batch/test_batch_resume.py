"""After a full disk, a source that vanished, and a signal, `facemotion batch` goes on to the same rows."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.batch_runs import (
    PATIENCE_S,
    SMALL_PARTS,
    Begin,
    Gate,
    Row,
    done,
    finish,
    gated,
    give_up,
    pending,
    rows,
    wait_until,
    without_paths,
    workers_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

DISK_BYTES, ROOM_BYTES = 2_000_000, 300_000  # a part and its record take 16,000
IMPATIENT = {"RAY_DATA_EXECUTION_NO_PROGRESS_TIMEOUT_S": "1"}  # Ray Data gives up after this, but must not


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
    begin: Begin, pictures: Path, undisturbed: list[Row], small_disk: Path
) -> None:
    ballast, out = small_disk / "ballast", small_disk / "out"
    ballast.write_bytes(bytes(DISK_BYTES - ROOM_BYTES))
    said = give_up(begin(pictures, "--out", out, *SMALL_PARTS, "--concurrency", "1"), 1)
    assert "the disk is full" in said and "--resume" in said
    assert 0 < done(out) < 40
    ballast.unlink()
    finish(begin(pictures, "--out", out, *SMALL_PARTS, "--concurrency", "1", "--resume"))
    assert rows(out) == undisturbed


def test_a_source_that_vanished_and_signals_cost_no_row(
    begin: Begin, pictures: Path, undisturbed: list[Row], tmp_path: Path
) -> None:
    source, out, two = tmp_path / "source", tmp_path / "out", ("--concurrency", "2")
    shutil.copytree(pictures, source)
    process, gate = gated(begin, source, out, *two)
    source.rename(tmp_path / "elsewhere")
    gate.open()
    said = give_up(process, 1)
    assert "is not there any more" in said and "--resume" in said

    (tmp_path / "elsewhere").rename(source)
    gate = Gate(out, *pending(out, 40)[-2:])
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = begin(source, "--out", out, *SMALL_PARTS, *two, "--resume", **IMPATIENT)
        wait_until(lambda: done(out) == 38 and len(workers_of(process)) == 2, process)  # noqa: B023
        family = psutil.Process(process.pid).children(recursive=True)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does it
        else:
            process.send_signal(number)
        said = give_up(process, status)
        assert re.search(r"Stopped: 3\d of 40 pictures are done\. --resume goes on from there\.$", said), said
        psutil.wait_procs(family, timeout=PATIENCE_S)
        assert not [one for one in family if one.is_running()]

    gate.open()
    finish(begin(source, "--out", out, *SMALL_PARTS, *two, "--resume"))
    assert without_paths(rows(out)) == without_paths(undisturbed)
