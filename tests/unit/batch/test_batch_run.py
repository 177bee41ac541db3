"""`facemotion batch` on a real Ray: the same rows whatever is killed on the way; nothing is told, nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.support.batch_runs import (
    PATIENCE_S,
    Gate,
    Row,
    done,
    finish,
    finish_all,
    rows,
    start,
    tiny_pictures,
    wait_until,
    worker,
    workers_of,
)
from tests.support.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

Begin = Callable[..., subprocess.Popen[str]]
SMALL_PARTS = ("--part-pictures", "1")
GATED = (20, 21)  # of 40 parts: two workers, both of which stop there


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, face: np.ndarray) -> Path:
    return tiny_pictures(tmp_path_factory.mktemp("batch") / "pictures", face)


@pytest.fixture(scope="module")
def undisturbed(pictures: Path) -> list[Row]:
    """The rows of all pictures, made part by part without Ray."""
    out = pictures.parent / "undisturbed"
    finish_all(worker(out, pictures, step=1))
    found = rows(out)
    assert {row["item"] for row in found} == set(range(40))
    return found


@contextmanager
def beginner() -> Iterator[Begin]:
    """`start`, whose processes are killed in the end where they still run; their Ray ends with them."""
    processes: list[subprocess.Popen[str]] = []

    def started(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        processes.append(start(*arguments, **environment))
        return processes[-1]

    try:
        yield started
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.fixture
def begin() -> Iterator[Begin]:
    with beginner() as begin:
        yield begin


def gated(
    begin: Begin, pictures: Path, out: Path, *more: str, **environment: str
) -> tuple[subprocess.Popen[str], Gate]:
    """A run of two workers that has finished a dozen parts, and can finish no more than 38."""
    gate = Gate(out, *GATED)
    process = begin(pictures, "--out", out, *SMALL_PARTS, *more, **environment)
    wait_until(lambda: done(out) >= 12, process)
    return process, gate


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


CLUSTER = """
import os, sys
from ray.cluster_utils import Cluster

folder = sys.argv[1]
os.mkdir(folder)
shared = {"num_cpus": 1, "object_store_memory": 100_000_000, "temp_dir": folder, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=shared)
second = cluster.add_node(**shared)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(second, allow_graceful=False)
print("removed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}  # on loopback


def test_a_node_that_dies_costs_no_row(
    begin: Begin, pictures: Path, undisturbed: list[Row], tmp_path: Path, short_folder: Path
) -> None:
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(short_folder / "ray")],
        env=os.environ | ALONE | {"RAY_TMPDIR": str(short_folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert cluster.stdin is not None and cluster.stdout is not None
    try:
        address = cluster.stdout.readline().strip()
        assert address.startswith("127.0.0.1:")
        driver, gate = gated(begin, pictures, tmp_path, "--address", address, **ALONE)
        wait_until(lambda: len(on_nodes(short_folder)) == 2, driver)
        cluster.stdin.write("remove the second node\n")
        cluster.stdin.flush()
        assert "removed" in cluster.stdout.readline()
        gate.open()
        finish(driver)
    finally:
        cluster.communicate("end\n", timeout=PATIENCE_S)
    assert rows(tmp_path) == undisturbed


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Ray's sockets have long names, which Linux cuts at 107 characters."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="fm-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def on_nodes(folder: Path) -> set[int]:
    """The raylets, one for each node, below which workers of ours run."""
    found = set()
    for one in psutil.process_iter(["cmdline", "ppid", "name"]):
        if "MapWorker" in " ".join(one.info["cmdline"] or []):
            found.add(one.info["ppid"])
    ours = [one.pid for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or [])]
    return found & set(ours)


RECORDER = """
import os, sys
record = open(os.environ["CANARY"], "a", buffering=1)
def hook(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        print(event, *map(repr, arguments), file=record)
sys.addaudithook(hook)
"""


@dataclass(frozen=True)
class Watched:
    """A run, one of whose workers was killed: its results, the addresses that its processes listened on, what Python's
    asked of the network, which processes are left of it, and its folder of temporary files."""

    out: Path
    heard: list[str]
    asked: list[str]
    left: list[psutil.Process]
    folder: Path


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
        victim.kill()
        victim.wait(PATIENCE_S)
        gate.open()
        finish(driver)
    psutil.wait_procs(family, timeout=PATIENCE_S)
    left = [one for one in family if one.is_running()]
    return Watched(out, [end.laddr.ip for end in ends], record.read_text().splitlines(), left, Path(its_own))


def test_a_worker_that_is_killed_costs_no_row(watched: Watched, undisturbed: list[Row]) -> None:
    assert rows(watched.out) == undisturbed


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
