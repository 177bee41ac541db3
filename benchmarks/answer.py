"""How long a visitor waits: start-up, the first answer, and the answers after it.

    python -m benchmarks.answer            # a table in Markdown, about half a minute

Starts the real app in a process of its own, with the embedded weights, and asks it over HTTP for the annotated picture
of a photo of 1280 x 720 with three faces. The times include the upload, the decoding, both models, the drawing, the
JPEG and the download.
"""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import torch
from gradio_client import Client, handle_file

from facemotion import Pipeline, annotate, images

ROOT = Path(__file__).resolve().parent.parent
PHOTO = ROOT / "facemotion" / "assets" / "examples" / "group.jpg"
REPEATS = 30
START_LIMIT_S = 120


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        started = time.perf_counter()
        server = start(port, folder)
        try:
            wait(f"http://127.0.0.1:{port}")
            up = time.perf_counter() - started
            client = Client(f"http://127.0.0.1:{port}", verbose=False, download_files=folder)
            client.predict(handle_file(str(PHOTO)), api_name="/annotate")
            first = time.perf_counter() - started
            over_http = repeat(lambda: client.predict(handle_file(str(PHOTO)), api_name="/annotate"))
        finally:
            server.terminate()
            server.wait()
    report(up, first, over_http, in_process())


def in_process() -> dict[str, list[float]]:
    """Milliseconds of the stages in this process, without page and network."""
    pipeline, data = Pipeline.from_pretrained(), PHOTO.read_bytes()
    picture = images.load_picture(data)
    analysis = pipeline.analyze(picture)
    return {
        "decode": repeat(lambda: images.load_picture(data)),
        "detect and classify": repeat(lambda: pipeline.analyze(picture)),
        "draw": repeat(lambda: annotate(picture.pixels, analysis)),
    }


def repeat(call: Callable[[], Any]) -> list[float]:
    """Milliseconds of `REPEATS` calls, after three that are not counted."""
    times = []
    for index in range(REPEATS + 3):
        started = time.perf_counter()
        call()
        if index >= 3:
            times.append((time.perf_counter() - started) * 1e3)
    return times


def report(up: float, first: float, over_http: list[float], stages: dict[str, list[float]]) -> None:
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}\n"
    )
    print("| photo 1280 x 720, 3 faces | median | 95th percentile |")
    print("|---|---|---|")
    print(f"| from start to the page answering | {up:.1f} s | |")
    print(f"| from start to the first annotated picture | {first:.1f} s | |")
    rows = {"annotated picture over HTTP, once warm": over_http} | {f"of it: {k}": v for k, v in stages.items()}
    for name, times in rows.items():
        print(f"| {name} | {median(times):.0f} ms | {quantiles(times, n=20)[-1]:.0f} ms |")


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
