"""Training in several processes: what is dealt out to whom, and that two processes do what one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.servers.processes import free_port
from tests.support.training import worker as training_worker
from tests.support.training.arithmetic import CHOICES, UNIT
from tests.support.training.tree import write_tree
from training.common.errors import DataError
from training.expression import train
from training.expression.distributed import DistributedContext, batches

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 500  # it takes ten on an idle machine


@pytest.mark.parametrize(
    ("rows", "size", "processes", "sizes"),
    [
        (64, 16, 1, [16, 16, 16, 16]),
        (40, 16, 1, [16, 16, 8]),
        (33, 16, 1, [16, 17]),  # batch norm cannot train on a single row
        (34, 16, 1, [16, 16, 2]),
        (35, 16, 2, [16, 19]),
        (36, 16, 2, [16, 16, 4]),
        (7, 16, 2, [7]),
        (100, 16, 4, [16] * 5 + [20]),
    ],
)
def test_every_row_is_dealt_out_once(rows, size, processes, sizes):
    worlds = [DistributedContext(rank, processes, rank) for rank in range(processes)]
    dealt = []
    for context in worlds:
        torch.manual_seed(5)  # as every process starts an epoch
        order = batches(torch.randperm(rows), size, context)
        assert [len(batch) for batch in order] == sizes
        dealt.append([context.share(batch) for batch in order])
    assert sorted(torch.cat([rows_ for shares in dealt for rows_ in shares]).tolist()) == list(range(rows))
    assert min(len(share) for shares in dealt for share in shares) >= 2


@pytest.mark.parametrize(("rows", "size", "processes"), [(1, 16, 1), (3, 16, 2), (100, 6, 4)])
def test_too_few_rows_for_the_processes_are_refused(rows, size, processes):
    with pytest.raises(DataError, match=f"need {2 * processes} training pictures"):
        batches(torch.arange(rows), size, DistributedContext(0, processes))


@pytest.mark.parametrize("kind", ["mps"])
def test_a_device_that_several_processes_cannot_use_is_refused(kind):
    with pytest.raises(DataError, match="--device cpu"), DistributedContext(0, 2).joined(torch.device(kind)):
        pass


def test_torchrun_says_who_one_is(monkeypatch):
    assert DistributedContext.from_environment() == DistributedContext(0, 1, 0)
    for name, value in {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert DistributedContext.from_environment() == DistributedContext(3, 8, 1)
    assert not DistributedContext.from_environment().is_first


def apart(numbers):
    """How far two ways of computing the same may be apart, of the norm.

    Each rounds once for each of seven layers, on the way there and on the way back: 28 roundings, which are independent
    of each other, so that their squares add up. bfloat16's products are summed in float32, where nothing is lost beside
    that; float32's are rounded at each addition, of 20 pictures of 48 x 48 places in the first layer.
    """
    additions = 20 * 48 * 48 if numbers == "float32" else 1
    return (28 * additions) ** 0.5 * UNIT[numbers]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of the runs of two processes, one in each arithmetic."""
    folder = tmp_path_factory.mktemp("processes")
    data = write_tree(folder / "data")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.support.training.worker", str(data), str(folder)]
    command += [str(free_port()) for _ in CHOICES]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert result.returncode == 0, result.stderr[-6000:]
    return folder


@pytest.fixture(scope="module")
def records(arithmetic, trained):
    """What each of two processes did, and what one alone did with the same recipe."""
    folder = trained / arithmetic
    with training_worker.watched() as alone:
        train.train(training_worker.recipe(), trained / "data", folder / "alone", device="cpu")
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)], alone, folder


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_two_processes_average_to_the_gradients_of_one(records, arithmetic):
    both, alone, _ = records
    assert len(alone["gradients"]) == 2
    for record in both:
        for averaged, gradient in zip(record["gradients"], alone["gradients"], strict=True):
            assert gradient.abs().max() > 1e-2
            assert (averaged - gradient).norm() < apart(arithmetic) * gradient.norm()


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_two_processes_see_every_row_once(records):
    both, alone, _ = records
    assert [len(record["pictures"]) for record in both] == [21, 20]
    assert sorted(both[0]["pictures"] + both[1]["pictures"]) == sorted(alone["pictures"])
    assert len(set(alone["pictures"])) == 41


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_only_the_first_process_writes(records, arithmetic):
    both, _, folder = records
    assert any("last" in path for path in both[0]["written"])
    assert both[1]["written"] == []
    assert [record["metrics"] for record in both] == [True, False]
    names = [
        sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if "tfevents" not in p.name)
        for out in (folder / "run", folder / "alone")
    ]
    assert names[0] == names[1]
    rows = [torch.load(folder / name / "last.pt", weights_only=True)["history"][0] for name in ("run", "alone")]
    for key in rows[0].keys() - {"seconds"}:
        near = 1 / 20 if "accuracy" in key else apart(arithmetic)  # an answer that is nearly a tie may change
        assert rows[0][key] == pytest.approx(rows[1][key], rel=near, abs=near), key
