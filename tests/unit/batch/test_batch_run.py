"""`facemotion batch` on a real Ray: the same rows whatever is killed on the way; nothing is told, nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.batch_runs import (
    PATIENCE_S,
    SMALL_PARTS,
    Begin,
    Row,
    done,
    finish,
    gated,
    rows,
    workers_of,
)
from tests.support.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_a_run_that_was_killed_goes_on_to_the_same_rows(
    begin: Begin, pictures: Path, undisturbed: list[Row], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    driver, gate = gated(begin, pictures, out, "--concurrency", "2")
    began = workers_of(driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=PATIENCE_S)
    psutil.wait_procs(began, timeout=PATIENCE_S)
    gate.open()
    before = {file.name: file.stat().st_mtime_ns for file in out.glob("*.parquet")}
    assert 12 <= done(out) < 40
    said = finish(begin(pictures, "--out", out, *SMALL_PARTS, "--concurrency", "2", "--resume", "--json"))
    assert rows(out) == undisturbed
    kept = {file.name: file.stat().st_mtime_ns for file in out.glob("*.parquet")}
    report = json.loads(said)
    assert report["parts_before"] == len(before)
    assert kept.items() >= before.items()  # what was finished was not made again
    assert (report["items"], report["parts"], report["errors"]) == (40, 40, {"not_an_image": 4})
    manifest = json.loads((out / "_facemotion" / "manifest.json").read_text())
    assert sum(part["rows"] for part in manifest["parts"]) == len(undisturbed) == report["rows"]


def test_a_worker_that_is_killed_costs_no_row(
    begin: Begin, pictures: Path, undisturbed: list[Row], tmp_path: Path
) -> None:
    driver, gate = gated(begin, pictures, tmp_path, "--concurrency", "2")
    victim = workers_of(driver)[0]
    assert victim.nice() == psutil.Process(driver.pid).nice()  # Ray's would give way to every other program
    victim.kill()
    victim.wait(PATIENCE_S)
    gate.open()
    finish(driver)
    assert rows(tmp_path) == undisturbed


RECORDER = """
import os, sys
record = open(os.environ["CANARY"], "a", buffering=1)
def hook(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        print(event, *map(repr, arguments), file=record)
sys.addaudithook(hook)
"""


def test_nobody_is_asked_nobody_else_is_let_in_and_nothing_is_left(
    begin: Begin, pictures: Path, tmp_path: Path
) -> None:
    """What Python's processes ask of the network, Ray's own included; what all of them listen on; their folder."""
    record = tmp_path / "connections.txt"
    (tmp_path / "sitecustomize.py").write_text(RECORDER)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    out = tmp_path / "out"
    driver, gate = gated(begin, pictures, out, "--concurrency", "2", PYTHONPATH=path, CANARY=str(record))
    family = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
    heard = [end.laddr.ip for one in family for end in one.net_connections("inet") if end.status == psutil.CONN_LISTEN]
    folder = next(
        found[1] for one in family if (found := re.search(r"(/[\w/.-]*facemotion-ray-[\w-]+)", str(one.cmdline())))
    )
    assert Path(folder).is_dir()
    gate.open()
    finish(driver)
    assert heard
    assert [ip for ip in heard if ip not in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}] == []
    asked = record.read_text().splitlines()
    assert asked
    assert [line for line in asked if not re.search(r"127\.0\.0\.1|localhost|'::1'|b?'[/\\]|\bNone\b", line)] == []
    psutil.wait_procs(family, timeout=PATIENCE_S)
    assert not [one for one in family if one.is_running()]
    assert not Path(folder).exists()


def test_another_model_does_not_go_on_into_the_same_folder(begin: Begin, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    finish(begin(pictures, "--out", out, "--limit", "4"))
    for more, reason in (((), "--resume"), (("--resume", "--threshold", "0.9"), "threshold was None, now 0.9")):
        process = begin(pictures, "--out", out, "--limit", "4", *more)
        output, errors = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, output) == (1, "")
        assert reason in errors and "Traceback" not in errors


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
