"""`facemotion batch` on a real cluster of two nodes on one machine: one dies, the driver with it, another one joins."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.batch_runs import (
    GATED,
    PATIENCE_S,
    SMALL_PARTS,
    Begin,
    Row,
    done,
    finish,
    gates,
    rows,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CLUSTER = """
import os, sys
from ray.cluster_utils import Cluster

folder = sys.argv[1]
os.mkdir(folder)
shared = {"num_cpus": 1, "object_store_memory": 100_000_000, "temp_dir": folder, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=shared)
second = cluster.add_node(**shared)
print(cluster.address, flush=True)
for line in sys.stdin:
    if line == "add\\n":
        second = cluster.add_node(**shared)
    elif line == "remove\\n":
        cluster.remove_node(second, allow_graceful=False)
    else:
        break
    print(line, end="", flush=True)
cluster.shutdown()
"""
STARTS = 3
NOTICED_S = 10  # after which Ray has given what a dead node did to another worker, before that one waits at the end
ALONE = {  # on loopback, and no slower than other programs
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}


class TwoNodes:
    """A cluster in a process of its own; `folder` is where its processes have their sockets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER, str(folder / "ray")],
            env=os.environ | ALONE | {"RAY_TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self._answer()
        """Of the head; "" where Ray did not start within the 30 seconds that it gives itself, as on a busy machine."""

    def tell(self, word: str) -> None:
        """ "add" or "remove" the second node; returns when that is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._answer() == word

    def shutdown(self) -> None:
        self._process.communicate("end\n", timeout=PATIENCE_S)

    def at_work(self) -> set[int]:
        """The raylets, one for each node, below which workers of ours run."""
        found = set()
        ours = set()
        for one in psutil.process_iter(["cmdline", "ppid"]):
            command = " ".join(one.info["cmdline"] or [])
            if "MapWorker" in command:
                found.add(one.info["ppid"])
            if str(self.folder) in command:
                ours.add(one.pid)
        return found & ours

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def nodes() -> Iterator[TwoNodes]:
    """Ray's sockets have long names, which Linux cuts at 107 characters: a short folder."""
    folder = Path(tempfile.mkdtemp(prefix="fm-", dir="/tmp"))
    try:
        for attempt in range(STARTS):
            cluster = TwoNodes(folder / str(attempt))
            if cluster.address:
                break
            cluster.shutdown()
        assert cluster.address.startswith("127.0.0.1:")
        yield cluster
        cluster.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_nodes_that_die_cost_no_row_nor_with_the_driver_and_those_that_join_help(
    begin: Begin, pictures: Path, undisturbed: list[Row], tmp_path: Path, nodes: TwoNodes
) -> None:
    out, command = tmp_path, (pictures, "--out", tmp_path, *SMALL_PARTS, "--address", nodes.address)
    middle, end = gates(out)
    driver = begin(*command, **ALONE)
    wait_until(lambda: len(done(out)) >= 12 and len(nodes.at_work()) == 2, driver)
    nodes.tell("remove")
    time.sleep(NOTICED_S)
    middle.open()
    wait_until(lambda: done(out) >= set(GATED), driver)  # also what was being done on the node

    nodes.tell("add")
    wait_until(lambda: len(nodes.at_work()) == 2, driver)
    wait_until(lambda: len(done(out)) == 38, driver)
    driver.kill()
    driver.communicate()
    nodes.tell("remove")
    wait_until(lambda: not nodes.at_work())

    driver = begin(*command, "--resume", **ALONE)
    wait_until(lambda: len(nodes.at_work()) == 1, driver)
    nodes.tell("add")
    wait_until(lambda: len(nodes.at_work()) == 2, driver)
    end.open()
    finish(driver)
    assert rows(out) == undisturbed
