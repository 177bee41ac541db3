"""`facemotion batch` on a real Ray: the same rows whatever is killed on the way; nothing is told, nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.batch_runs import (
    PATIENCE_S,
    SMALL_PARTS,
    Begin,
    Row,
    beginner,
    done,
    finish,
    gated,
    rows,
    workers_of,
)
from tests.support.probes.network_record import RECORDER
from tests.support.servers.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class Resumed:
    """A run that was killed and then went on: its results, the times of its files before and after, and its report."""

    out: Path
    before: dict[str, int]
    after: dict[str, int]
    report: dict[str, Any]


@pytest.fixture(scope="module")
def resumed(pictures: Path) -> Resumed:
    def files() -> dict[str, int]:
        return {file.name: file.stat().st_mtime_ns for file in out.glob("*.parquet")}

    out = pictures.parent / "resumed"
    with beginner() as begin:
        driver, gate = gated(begin, pictures, out, "--concurrency", "2")
        began = workers_of(driver)
        driver.send_signal(signal.SIGKILL)
        driver.communicate(timeout=PATIENCE_S)
        psutil.wait_procs(began, timeout=PATIENCE_S)
        gate.open()
        before = files()
        assert 12 <= done(out) < 40
        said = finish(begin(pictures, "--out", out, *SMALL_PARTS, "--concurrency", "2", "--resume", "--json"))
    return Resumed(out, before, files(), json.loads(said))


def test_a_run_that_was_killed_goes_on_to_the_same_rows(resumed: Resumed, undisturbed: list[Row]) -> None:
    assert rows(resumed.out) == undisturbed
    report = resumed.report
    assert report["parts_before"] == len(resumed.before)
    assert resumed.after.items() >= resumed.before.items()  # what was finished was not made again
    assert (report["items"], report["parts"], report["errors"]) == (40, 40, {"not_an_image": 4})
    manifest = json.loads((resumed.out / "_facemotion" / "manifest.json").read_text())
    assert sum(part["rows"] for part in manifest["parts"]) == len(undisturbed) == report["rows"]


def test_another_model_does_not_go_on_into_the_same_folder(begin: Begin, pictures: Path, resumed: Resumed) -> None:
    for more, reason in (((), "--resume"), (("--resume", "--threshold", "0.9"), "threshold was None, now 0.9")):
        process = begin(pictures, "--out", resumed.out, *SMALL_PARTS, *more)
        output, errors = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, output) == (1, "")
        assert reason in errors and "Traceback" not in errors


@dataclass(frozen=True)
class Watched:
    """A run, one of whose workers was killed: its results, the addresses that its processes listened on, what Python's
    asked of the network, which processes are left of it, and its folder of temporary files."""

    out: Path
    heard: list[str]
    asked: list[str]
    left: list[psutil.Process]
    folder: Path
    niceness: tuple[int, int]  # of the worker and of the driver


@pytest.fixture(scope="module")
def watched(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    folder = tmp_path_factory.mktemp("watched")
    record, out = folder / "connections.txt", folder / "out"
    (folder / "sitecustomize.py").write_text(RECORDER)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    with beginner() as begin:
        driver, gate = gated(begin, pictures, out, "--concurrency", "2", PYTHONPATH=path, CANARY=str(record))
        family = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
        ends = [end for one in family for end in one.net_connections("inet") if end.status == psutil.CONN_LISTEN]
        its_own = next(
            found[1] for one in family if (found := re.search(r"(/[\w/.-]*facemotion-ray-[\w-]+)", str(one.cmdline())))
        )
        assert Path(its_own).is_dir()
        victim = workers_of(driver)[0]
        niceness = victim.nice(), psutil.Process(driver.pid).nice()
        victim.kill()
        victim.wait(PATIENCE_S)
        gate.open()
        finish(driver)
    psutil.wait_procs(family, timeout=PATIENCE_S)
    left = [one for one in family if one.is_running()]
    heard = [end.laddr.ip for end in ends]
    return Watched(out, heard, record.read_text().splitlines(), left, Path(its_own), niceness)


def test_a_worker_that_is_killed_costs_no_row(watched: Watched, undisturbed: list[Row]) -> None:
    assert rows(watched.out) == undisturbed
    assert watched.niceness[0] == watched.niceness[1]  # Ray's would give way to every other program


def test_nobody_is_asked_nobody_else_is_let_in_and_nothing_is_left(watched: Watched) -> None:
    """What Python's processes ask of the network, Ray's own included; what all of them listen on; their folder."""
    assert watched.heard
    assert [ip for ip in watched.heard if ip not in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}] == []
    assert watched.asked
    allowed = re.compile(r"127\.0\.0\.1|localhost|'::1'|b?'[/\\]|\bNone\b")
    assert [line for line in watched.asked if not allowed.search(line)] == []
    assert watched.left == [] and not watched.folder.exists()


def test_without_ray_the_command_says_how_to_get_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from facemotion import cli; sys.exit(cli.main(['batch', '.', '--out', sys.argv[1]]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "needs ray, not installed here" in result.stderr and "pip install" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ([], 2, "required"),
        (["x", "--out", "o", "--detail", "closely"], 2, "--detail"),
        (["x", "--out", "o", "--limit", "0"], 2, "must be 1 or more"),
        (["x", "--out", "o", "--threshold", "2"], 1, "number from 0 to 1"),
        (["x", "--out", "o", "--frames-per-s", "0"], 1, "above 0"),
        (["nowhere", "--out", "o"], 1, "There is no nowhere"),
        (["s3://key:secret@bucket", "--out", "o"], 1, "holds a password"),  # pragma: allowlist secret
    ],
)
def test_mistakes_are_told_before_ray_starts(arguments: list[str], status: int, reason: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "facemotion", "batch", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (status, "")
    assert reason in result.stderr and "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
