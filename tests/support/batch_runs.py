"""What the tests of `facemotion batch` share: tiny pictures, runs in processes of their own, a gate to stop them at."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from pyarrow import parquet

from facemotion.batch import plan, storage
from facemotion.batch.results import Results
from facemotion.batch.sources import Listing
from facemotion.batch.worker import Job, PartWorker
from facemotion.pipeline import Pipeline
from tests.support.servers.processes import ROOT

PATIENCE_S = 400  # Ray starts a dozen processes, on a machine that may be busy
SMALL_PARTS = ("--part-pictures", "1")
QUICK = ("--detail", "fast", "--detector", "yunet")
LOOK_EVERY_S = 0.25  # to look through all processes takes a twentieth of that
GATED, LAST = (20, 21), (38, 39)  # of 40 parts
Row = dict[str, Any]
Begin = Callable[..., subprocess.Popen[str]]


def tiny_pictures(folder: Path, face: np.ndarray, count: int = 40) -> Path:
    """A folder of small pictures: most are a face, every seventh is blank, every ninth no picture at all."""
    folder.mkdir(parents=True)
    for index in range(count):
        file = folder / f"{index:03d}.png"
        if index % 9 == 8:
            file.write_text("no picture")
            continue
        size = 60 + index
        picture = (
            Image.new("RGB", (size, size), "gray") if index % 7 == 6 else Image.fromarray(face).resize((size, size))
        )
        picture.save(file)
    return folder


def rows(out: Path) -> list[Row]:
    """All rows of a folder of results, by item, time and face."""
    found = [row for file in sorted(out.glob("*.parquet")) for row in parquet.read_table(file).to_pylist()]
    return sorted(found, key=lambda row: (row["item"], row["time_s"] or 0, row["face"] or 0))


def without_paths(found: Iterable[Row]) -> list[Row]:
    """The rows with only the name of the path, for sources that lie in two places."""
    return [row | {"path": row["path"].rpartition("/")[2]} for row in found]


def worker(out: str | Path, *sources: str | Path, **options: Any) -> PartWorker:
    """A worker in this process for a run whose list is written by this; `options` are those of `Job`, and `step`."""
    results = Results(storage.locate(str(out)))
    listing = Listing([str(source) for source in sources], options.get("column"))
    step = options.pop("step", 8)
    size = plan.write(results.list_folder, listing, None, step, options.get("videos", False))
    given: dict[str, Any] = {
        "detector": "yunet",
        "classifier": "default",
        "detail": "fast",
        "threshold": None,
        "column": None,
        "videos": False,
        "frames_per_s": 1.0,
    }
    given |= options
    models = given.pop("models", None) or Pipeline.from_pretrained(given["detector"], given["classifier"]).models
    return PartWorker(Job(str(out), size, listing.roots, models, **given))


def finish_all(one: PartWorker) -> list[dict[str, Any]]:
    """The records of all parts of its run, one after the other."""
    return [one.finish(number) for number in range(one._job.size.count)]


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """`python -m facemotion batch` with these arguments, YuNet and the quickest look, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "facemotion", "batch", *map(str, arguments), *QUICK],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


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


def give_up(process: subprocess.Popen[str], status: int) -> str:
    """The standard error of a command that ends early, in a sentence and with this status."""
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, output) == (status, ""), errors[-3000:]
    assert "Traceback" not in errors
    return errors


def finish(process: subprocess.Popen[str]) -> str:
    """The standard output of a command that ends well."""
    try:
        output, errors = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()  # its Ray ends with it
        raise AssertionError(f"it did not end: {process.communicate()[1][-3000:]}") from None
    assert process.returncode == 0, errors[-3000:]
    return output


def done(out: Path) -> set[int]:
    """The numbers of the parts that are finished."""
    return {int(file.stem.removeprefix("part-")) for file in (out / "_facemotion" / "done").glob("part-*.json")}


def wait_until(true: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> None:
    """Waits for a condition; fails when it does not come, or when the process ends before."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"it ended with {process.returncode}: {process.communicate()[1][-3000:]}")
        assert time.monotonic() < end, "it did not come about"
        time.sleep(LOOK_EVERY_S)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes in which Ray runs our workers, below a driver."""
    found = []
    for one in psutil.Process(process.pid).children(recursive=True):
        try:
            if "MapWorker" in " ".join(one.cmdline()):
                found.append(one)
        except psutil.Error:
            continue
    return found


class Gate:
    """Stops the workers at chosen parts: their notes are pipes, which a reader waits at until somebody writes."""

    def __init__(self, out: Path, *parts: int) -> None:
        folder = out / "_facemotion" / "tries"
        folder.mkdir(parents=True, exist_ok=True)
        self._pipes = [folder / f"part-{number:06d}.json" for number in parts]
        for pipe in self._pipes:
            pipe.unlink(missing_ok=True)
            os.mkfifo(pipe)

    def open(self) -> None:
        """Lets those who wait go on, and nobody wait any more."""
        for pipe in self._pipes:
            writer = os.open(pipe, os.O_RDWR)  # does not wait, and lets readers in
            notes = pipe.with_suffix(".new")
            notes.write_text("{}")
            notes.replace(pipe)
            os.close(writer)


def gates(out: Path) -> tuple[Gate, Gate]:
    """Those in the middle of a run of 40 parts and two workers, and those at its end: where it can stop twice."""
    return Gate(out, *GATED), Gate(out, *LAST)
