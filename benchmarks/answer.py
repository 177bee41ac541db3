"""The app in a process of its own, asked over HTTP: start-up, first answer, memory, and cameras side by side."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks import pictures
from benchmarks.timing import repeat, summary
from benchmarks.visitors import Visitor, in_threads, photo

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 20
START_LIMIT_S = 120
VIEWERS = (1, 2, 4, 8)
VIEWING_S = 8.0
SETTLING_S = 2.0  # of each look, before frames are counted


def measure() -> dict[str, Any]:
    """Seconds until the page and the first annotated picture are there, milliseconds of the next ones, megabytes that
    the process holds, and how many frames a second so many cameras get answered together."""
    with tempfile.TemporaryDirectory() as folder, running(folder) as (url, server, started):
        up = time.perf_counter() - started
        with Visitor(url) as visitor:
            annotate(visitor)
            first = time.perf_counter() - started
            memory = {"after the first answer": megabytes(server.pid)}
            warm = summary(repeat(lambda: annotate(visitor), REPEATS))
        viewers = [watched(url, count) for count in VIEWERS]
        memory["after the cameras"] = megabytes(server.pid)
        memory["at most"] = megabytes(server.pid, "VmHWM")
        return {
            "start_s": {"page": round(up, 2), "first answer": round(first, 2)},
            "warm_ms": warm,
            "memory_mb": memory,
            "viewers": viewers,
        }


def annotate(visitor: Visitor) -> None:
    """The annotated picture of the example photo with three faces, downloaded."""
    picture = visitor.upload("group.jpg", photo("group.jpg"))
    outcome = visitor.call(visitor.endpoint("annotate"), [picture, None, "auto"])
    if outcome.kind != "complete":
        raise SystemExit(f"The app answered {outcome.kind}: {outcome.sentence}")
    visitor.http.get(f"/gradio_api/file={outcome.data[0]['path']}").raise_for_status()


def watched(url: str, count: int) -> dict[str, Any]:
    """Frames a second of `count` cameras at once, each of which sends the next frame when it has its answer."""
    frame, lock, answered = pictures.jpeg(pictures.frame(1)), threading.Lock(), [0]
    begin = time.monotonic() + SETTLING_S
    end = begin + VIEWING_S

    def frames() -> Iterator[bytes]:
        while True:
            yield frame

    def each(message: dict[str, Any]) -> bool:
        now = time.monotonic()
        with lock:
            answered[0] += begin <= now < end
        return now < end

    def camera() -> None:
        with Visitor(url) as visitor:
            visitor.watch(frames(), each)

    for failure in in_threads([camera] * count):
        if failure is not None:
            raise failure
    return {"cameras": count, "frames_a_second": round(answered[0] / VIEWING_S, 1)}


@contextmanager
def running(folder: str) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    """The app on a free port: its address, its process, and when it was started (time.perf_counter)."""
    port, started = free_port(), time.perf_counter()
    server = start(port, folder)
    try:
        url = f"http://127.0.0.1:{port}"
        wait(url)
        yield url, server, started
    finally:
        server.terminate()
        server.wait()


def start(port: int, folder: str) -> subprocess.Popen[bytes]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FACEMOTION_", "GRADIO_"))}
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
    return subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=kept | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait(url: str) -> None:
    deadline = time.perf_counter() + START_LIMIT_S
    while time.perf_counter() < deadline:
        try:
            httpx.get(url, timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise SystemExit(f"The app did not answer within {START_LIMIT_S} s.")


def megabytes(pid: int, field: str = "VmRSS") -> int | None:
    """What the kernel says of a process's memory; None where it has no /proc."""
    file = Path(f"/proc/{pid}/status")
    found = re.search(rf"{field}:\s+(\d+) kB", file.read_text()) if file.exists() else None
    return round(int(found[1]) * 1024 / 1e6) if found else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
