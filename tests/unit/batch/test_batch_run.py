"""`facemotion batch` with a Ray of its own: the same rows whatever is killed on the way; nothing told, nothing left."""

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

from facemotion import cli
from facemotion.batch import cluster
from tests.support.batch_runs import (
    PATIENCE_S,
    QUICK,
    SMALL_PARTS,
    Row,
    beginner,
    done,
    finish,
    gates,
    give_up,
    rows,
    wait_until,
    workers_of,
)
from tests.support.probes.network_record import RECORDER
from tests.support.servers.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

IMPATIENT = {"RAY_DATA_EXECUTION_NO_PROGRESS_TIMEOUT_S": "1"}  # Ray Data gives up after this, but must not


@dataclass(frozen=True)
class Stopped:
    """A run that lost a worker, was stopped twice and went on: its results, what its network recorder and its processes
    told, and the report of the last start."""

    out: Path
    before: dict[str, int]  # when each file of results was written, as the last start found them
    after: dict[str, int]
    niceness: tuple[int, int]  # of a worker and of the driver
    listened: list[str]  # addresses
    asked: list[str]  # what Python asked of the network
    sentences: dict[int, str]  # the last words after each exit status
    left: list[psutil.Process]
    folders: list[Path]  # of temporary files
    report: dict[str, Any]


@dataclass
class Watch:
    """The processes of a run, and the folder for its temporary files, seen while it runs."""

    family: list[psutil.Process]
    folder: Path

    @classmethod
    def of(cls, driver: subprocess.Popen[str]) -> Watch:
        family = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
        commands = [str(one.cmdline()) for one in family]
        found = next(match[1] for one in commands if (match := re.search(r"(/[\w/.-]*facemotion-ray-[\w-]+)", one)))
        assert Path(found).is_dir()
        return cls(family, Path(found))

    def listened(self) -> list[str]:
        ends = [end for one in self.family for end in one.net_connections("inet")]
        return [end.laddr.ip for end in ends if end.status == psutil.CONN_LISTEN]

    def left(self) -> list[psutil.Process]:
        psutil.wait_procs(self.family, timeout=PATIENCE_S)
        return [one for one in self.family if one.is_running()]


@pytest.fixture(scope="module")
def stopped(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    folder = tmp_path_factory.mktemp("stopped")
    record, out = folder / "connections.txt", folder / "out"
    (folder / "sitecustomize.py").write_text(RECORDER)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = IMPATIENT | {"PYTHONPATH": path, "CANARY": str(record)}
    command = (pictures, "--out", out, *SMALL_PARTS, "--concurrency", "2")
    middle, end = gates(out)
    watches: list[Watch] = []
    with beginner() as begin:

        def started(*more: str) -> subprocess.Popen[str]:
            """Goes on up to the next gate."""
            driver = begin(*command, *more, **environment)
            wait_until(lambda: len(done(out)) >= 12 and len(workers_of(driver)) == 2, driver)
            watches.append(Watch.of(driver))
            return driver

        driver = started()
        listened = watches[-1].listened()
        victim = workers_of(driver)[0]
        niceness = victim.nice(), psutil.Process(driver.pid).nice()
        victim.kill()
        victim.wait(PATIENCE_S)
        middle.open()
        wait_until(lambda: len(done(out)) == 38, driver)
        watches.append(Watch.of(driver))  # with the worker that took the place of the killed one
        os.killpg(driver.pid, signal.SIGINT)  # as a terminal does it
        sentences = {130: give_up(driver, 130)}
        left = [one for watch in watches for one in watch.left()]
        driver = started("--resume")
        driver.send_signal(signal.SIGTERM)
        sentences[143] = give_up(driver, 143)
        left += watches[-1].left()
        before = written(out)
        driver = started("--resume", "--json")
        end.open()
        report = json.loads(finish(driver))
        left += watches[-1].left()
    asked = record.read_text().splitlines()
    folders = [watch.folder for watch in watches]
    return Stopped(out, before, written(out), niceness, listened, asked, sentences, left, folders, report)


def written(out: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in out.glob("*.parquet")}


def test_a_run_that_lost_a_worker_and_was_stopped_goes_on_to_the_same_rows(
    stopped: Stopped, undisturbed: list[Row]
) -> None:
    assert rows(stopped.out) == undisturbed
    report = stopped.report
    assert report["parts_before"] == len(stopped.before) == 38
    assert stopped.after.items() >= stopped.before.items()  # what was finished was not made again
    assert (report["items"], report["parts"], report["errors"]) == (40, 40, {"not_an_image": 4})
    manifest = json.loads((stopped.out / "_facemotion" / "manifest.json").read_text())
    assert sum(part["rows"] for part in manifest["parts"]) == len(undisturbed) == report["rows"]


def test_workers_do_not_give_way_to_other_programs(stopped: Stopped) -> None:
    assert stopped.niceness[0] == stopped.niceness[1]


def test_a_signal_ends_it_with_a_sentence(stopped: Stopped) -> None:
    for said in stopped.sentences.values():
        assert re.search(r"Stopped: \d+ of 40 pictures are done\. --resume goes on from there\.$", said), said


def test_nobody_is_asked_nobody_else_is_let_in_and_nothing_is_left(stopped: Stopped) -> None:
    """What Python's processes ask of the network, Ray's own included; what all of them listen on; their folders."""
    assert stopped.listened
    assert [ip for ip in stopped.listened if ip not in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}] == []
    assert stopped.asked
    allowed = re.compile(r"127\.0\.0\.1|localhost|'::1'|b?'[/\\]|\bNone\b")
    assert [line for line in stopped.asked if not allowed.search(line)] == []
    assert stopped.left == []
    assert not [folder for folder in stopped.folders if folder.exists()]


def test_another_model_does_not_go_on_into_the_same_folder(
    pictures: Path, stopped: Stopped, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, reason in (((), "--resume"), (("--resume", "--threshold", "0.9"), "threshold was None, now 0.9")):
        assert cli.main(["batch", str(pictures), "--out", str(stopped.out), *SMALL_PARTS, *QUICK, *more]) == 1
        output, errors = capsys.readouterr()
        assert output == "" and reason in errors


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
        (["x", "--out", "o", "--threshold", "2"], 2, "number from 0 to 1"),
        (["x", "--out", "o", "--frames-per-s", "0"], 2, "above 0"),
        (["nowhere", "--out", "o"], 1, "There is no nowhere"),
        (["s3://key:secret@bucket", "--out", "o"], 2, "holds a password"),  # pragma: allowlist secret
    ],
)
@pytest.mark.usefixtures("in_an_empty_folder")
def test_mistakes_are_told_before_ray_starts(
    arguments: list[str], status: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = cli.main(["batch", *arguments])
    except SystemExit as end:  # of argparse
        found = end.code  # type: ignore[assignment]
    output, errors = capsys.readouterr()
    assert (found, output) == (status, "")
    assert reason in errors and not cluster.is_connected()
    assert list(Path().iterdir()) == []


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
