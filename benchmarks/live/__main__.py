"""The camera as a visitor has it: how fast, how late, how steadily, with how many others. `make bench-live` runs all.

    python -m benchmarks.live compare    # our handler beside ones that return the frame untouched, in turns: 3 minutes
    python -m benchmarks.live flat       # our handler for MINUTES=5
    python -m benchmarks.live crowd      # eight cameras, and somebody with a photo: 1 minute
    python -m benchmarks.live calm       # the stages of a frame, and what searching fewer frames would save: seconds
    python -m benchmarks.live labels     # how often a label changes, and would without smoothing: seconds
    python -m benchmarks.live report     # none of these: the report anew from the numbers that are there

The first two start the real app, and a real Chromium whose camera plays a moving face with a number in every frame (see
benchmarks/live/film.py); a script in the page reads the numbers from the camera and from the pictures that come back.
Each part is written to benchmarks/reports/live.json, from which live.md and live.png are made anew.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.live import calm, crowd, film, labels, report
from benchmarks.live.report import percentile
from tests.support.servers import chromium
from tests.support.servers.processes import ROOT, free_port, server_environment, stop, wait_until_it_answers

REPORTS = Path(__file__).resolve().parents[1] / "reports"
KINDS = ("facemotion", "untouched", "plain")
ROUNDS, ROUND_S = 3, 10.0
FLAT_MINUTES = 5.0
SETTLE_S = 2.5  # after the first answers: the server's models and the browser's scripts are warm then


def compare(folder: Path) -> dict[str, Any]:
    """Each kind of handler for `ROUND_S` in turn, `ROUNDS` times; only the one that is measured runs."""
    played = film.write(folder / "film.mjpeg")
    rounds: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        servers = {kind: stack.enter_context(server(kind, folder)) for kind in KINDS}
        for _ in range(ROUNDS):
            for kind, (process, url) in servers.items():
                process.send_signal(signal.SIGCONT)
                rounds[kind].append(summary(watch(url, played, ROUND_S)))
                process.send_signal(signal.SIGSTOP)
    return {"seconds": ROUND_S, "rounds": rounds}


def flat(folder: Path) -> dict[str, Any]:
    """Our handler for a long time, in stretches of 10 seconds."""
    played = film.write(folder / "film.mjpeg")
    seconds = float(os.environ.get("MINUTES") or FLAT_MINUTES) * 60
    with server("facemotion", folder) as (process, url):
        process.send_signal(signal.SIGCONT)
        seen = watch(url, played, seconds)
    stretches: dict[int, list[float]] = {}
    for at, lag, _ in seen["shown"]:
        stretches.setdefault(int((at - seen["started"]) / 1e4), []).append(lag)
    return summary(seen) | {
        "nodes": seen["nodes"],
        "stretches": [
            {"start_s": 10 * index, "rate": len(lags) / 10, "median_ms": percentile(lags, 50)}
            for index, lags in sorted(stretches.items())
            if 10 * index + 10 <= seconds
        ],
    }


def eight(folder: Path) -> dict[str, Any]:
    """Eight cameras by the queue's protocol; see `benchmarks.live.crowd`."""
    with server("facemotion", folder) as (process, url):
        process.send_signal(signal.SIGCONT)
        return crowd.measure(url)


@contextmanager
def server(kind: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server with that handler, asleep: it gets to run by SIGCONT."""
    port, log = free_port(), folder / f"{kind}.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.servers.live_server", kind],
            cwd=ROOT,
            env=server_environment(port, folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_it_answers(process, url, log)
        time.sleep(SETTLE_S)
        process.send_signal(signal.SIGSTOP)
        yield process, url
    finally:
        process.send_signal(signal.SIGCONT)
        stop(process)


def watch(url: str, played: Path, seconds: float) -> dict[str, Any]:
    """Opens the page, starts the camera, and after a while counts what is shown for so long."""
    with chromium.launched(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={played}",
        "--disable-gpu",  # else a machine without one has it emulated, at the cost of half a processor
    ) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(film.PROBE)
        page.goto(url, timeout=chromium.PATIENCE_MS)
        tab = page.get_by_role("tab", name="Webcam")
        start = page.get_by_role("button", name="Start camera")
        chromium.sync_api.expect(tab.or_(start).first).to_be_visible(timeout=chromium.PATIENCE_MS)
        while not start.is_visible():  # a click before the page's scripts run is lost
            tab.click(timeout=chromium.PATIENCE_MS)
            page.wait_for_timeout(500)
        start.click()
        page.wait_for_function("fmSeen.shown.length > 10", timeout=chromium.PATIENCE_MS)
        page.wait_for_timeout(SETTLE_S * 1e3)
        nodes = [chromium.nodes(page)]
        page.evaluate("Object.assign(fmSeen, {shown: [], unread: 0, frames: 0, started: performance.now()})")
        page.wait_for_timeout(seconds * 1e3)
        seen: dict[str, Any] = page.evaluate("({...fmSeen, taken: null, ended: performance.now()})")
        nodes.append(chromium.nodes(page))
    return seen | {"nodes": nodes}


def summary(seen: dict[str, Any]) -> dict[str, Any]:
    """Pictures a second, their lags, and how many numbers went back or could not be read: there should be none."""
    lags = [lag for _, lag, _ in seen["shown"]]
    numbers = [number for _, _, number in seen["shown"]]
    steps = [(after - before) % film.FRAMES for before, after in pairwise(numbers)]
    seconds = (seen["ended"] - seen["started"]) / 1e3
    return {
        "rate": round(len(lags) / seconds, 2),
        "camera_rate": round(seen["frames"] / seconds, 2),
        "median_ms": percentile(lags, 50),
        "p95_ms": percentile(lags, 95),
        "unread": seen["unread"],
        "back": sum(step > film.FRAMES / 2 for step in steps),
    }


PARTS: dict[str, Callable[[Path], Any]] = {
    "compare": compare,
    "flat": flat,
    "crowd": eight,
    "calm": lambda folder: calm.measure(),
    "labels": lambda folder: labels.measure(),
}


def main() -> None:
    names = sys.argv[1:] or list(PARTS)
    file = REPORTS / "live.json"
    document = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for name in [name for name in names if name != "report"]:
        with tempfile.TemporaryDirectory() as folder:
            document[name] = PARTS[name](Path(folder))
        document["machine"] = report.machine()
        REPORTS.mkdir(exist_ok=True)
        file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = report.as_markdown(document)
    print(text)
    (REPORTS / "live.md").write_text(text + "\n", encoding="utf-8")
    report.draw(document, REPORTS / "live.png")


if __name__ == "__main__":
    main()
