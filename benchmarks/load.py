"""Many visitors at once, then many equal requests: is all answered, how fast, and what does the server keep of it?

    python -m benchmarks.load                # 8 clients for 5 minutes, then 500 requests: `make load`
    MINUTES=0.5 python -m benchmarks.load    # a first look, which writes no report

Starts the real app with a census of what it holds (see tests/support/servers/server_under_test.py). The clients speak
the page's own protocol: two send photos, two galleries, two camera frames, two use the endpoints by REST. Prints a
table in Markdown, and writes it with the numbers and a chart to benchmarks/reports/load.{json,md,png}. Ends with
status 1 when a promise is broken.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx

from benchmarks import timing
from benchmarks.visitors import Outcome, Visitor, in_threads, photo, rest
from tests.support.servers import running
from tests.support.servers.running import Server, grown

PACKAGES = ("gradio", "torch", "opencv-python-headless", "numpy", "pillow")
REPORTS = Path(__file__).resolve().parent / "reports"
FULL_MINUTES = 5.0
EQUAL_REQUESTS = 500
WARM_UP_S = 60.0  # of the same load: memory pools, each thread's buffers and lists of fixed length are full afterwards
MEMORY_LIMIT = 50_000_000
FILES_LIVE_S, CLEAN_EVERY_S = 120, 10  # instead of an hour, so that the measurement sees files go
PHOTOS = ("astronaut.png", "grace_hopper.jpg", "fr_obama.jpg", "group.jpg")
GALLERY = 6  # photos
FRAMES = 50  # of a camera, before it is started anew
KINDS = ("photo", "gallery", "camera", "rest") * 2


@dataclass
class Load:
    """What was sent, how it ended, how long it took in seconds by kind; memory and files in bytes by seconds."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory: list[tuple[float, int]] = field(default_factory=list)
    files: list[tuple[float, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str, outcome: Outcome, seconds: float) -> None:
        """Adds one request."""
        with self.lock:
            self.ends[kind, outcome.kind if outcome.kind != "error" else f"error {outcome.code}"] += 1
            self.seconds.setdefault(kind, []).append(seconds)


def main() -> None:
    minutes = float(os.environ.get("MINUTES") or FULL_MINUTES)
    expiry = {"FACEMOTION_FILES_LIVE_S": str(FILES_LIVE_S), "FACEMOTION_CLEAN_EVERY_S": str(CLEAN_EVERY_S)}
    with tempfile.TemporaryDirectory() as folder, running.server(Path(folder), **expiry) as server:
        started = server.process()
        document = summary(started, *measure(server, minutes), minutes)
    text = as_markdown(document)
    print(text)
    if minutes >= FULL_MINUTES:
        REPORTS.mkdir(exist_ok=True)
        (REPORTS / "load.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        (REPORTS / "load.md").write_text(text + "\n", encoding="utf-8")
        draw(document, REPORTS / "load.png")
    sys.exit(0 if all(document["promises"].values()) else 1)


def measure(server: Server, minutes: float) -> tuple[Load, dict[str, Any], dict[str, Any]]:
    """The load, and what the server held before and after it."""
    server.hurry()
    visits(server, Load(), min(WARM_UP_S, minutes * 60))
    before = server.settled()
    load, started = Load(), time.monotonic()
    watched = threading.Event()
    watcher = threading.Thread(target=watch, args=(server, load, started, watched))
    watcher.start()
    try:
        visits(server, load, minutes * 60)
        equal_requests(server.url, load)
        after = server.settled(before, patience_s=FILES_LIVE_S + 60)
    finally:
        watched.set()
        watcher.join()
    return load, before, after


def visits(server: Server, load: Load, seconds: float) -> None:
    """All visitors at once, for so long."""
    ends = time.monotonic() + seconds
    for failure in in_threads([client(server.url, kind, load, ends) for kind in KINDS]):
        if failure is not None:
            raise failure


def client(url: str, kind: str, load: Load, ends: float) -> Callable[[], None]:
    """A visitor of that kind, who comes again until `ends` (time.monotonic), at least once."""

    def visit() -> None:
        turn = 0
        while turn == 0 or time.monotonic() < ends:
            with Visitor(url) as visitor:
                for _ in range(5 if kind != "camera" else 1):  # then another page is opened
                    started = time.monotonic()
                    outcome = VISITS[kind](visitor, turn, load)
                    load.count(kind, outcome, time.monotonic() - started)
                    turn += 1

    return visit


def send_photo(visitor: Visitor, turn: int, load: Load) -> Outcome:
    name = PHOTOS[turn % len(PHOTOS)]
    picture = visitor.upload(name, photo(name))
    return visitor.call(visitor.endpoint("annotate"), [picture, None, "auto"])


def send_gallery(visitor: Visitor, turn: int, load: Load) -> Outcome:
    names = [PHOTOS[(turn + index) % len(PHOTOS)] for index in range(GALLERY)]
    pictures = [visitor.upload(name, photo(name)) for name in names]
    return visitor.call(visitor.event("fm-gallery-run", "click"), [pictures])


def run_camera(visitor: Visitor, turn: int, load: Load) -> Outcome:
    """A stream of `FRAMES`, each of which counts as a request of its own."""
    content = photo("fr_obama.jpg")
    sent = [time.monotonic()]

    def frames() -> Iterator[bytes]:
        for _ in range(FRAMES):
            sent.append(time.monotonic())
            yield content

    def answered(message: dict[str, Any]) -> bool:
        load.count("frame", Outcome("complete" if message["success"] else "error"), time.monotonic() - sent[-1])
        return len(sent) <= FRAMES

    return visitor.watch(frames(), answered)


def ask_by_rest(visitor: Visitor, turn: int, load: Load) -> Outcome:
    name = PHOTOS[turn % len(PHOTOS)]
    return rest(visitor.http, "analyze", [visitor.upload(name, photo(name))])


VISITS: dict[str, Callable[[Visitor, int, Load], Outcome]] = {
    "photo": send_photo,
    "gallery": send_gallery,
    "camera": run_camera,
    "rest": ask_by_rest,
}


def equal_requests(url: str, load: Load, count: int = EQUAL_REQUESTS) -> None:
    """The same photo so many times, by REST, eight at a time."""
    with httpx.Client(base_url=url, timeout=300) as http:
        answer = http.post("/gradio_api/upload", files={"files": ("photo.jpg", photo("fr_obama.jpg"))})
        picture = {"path": answer.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}
        waiting = list(range(count))

        def work() -> None:
            while waiting:
                try:
                    waiting.pop()
                except IndexError:
                    return
                started = time.monotonic()
                outcome = rest(http, "analyze", [picture])
                load.count("equal", outcome, time.monotonic() - started)

        for end in in_threads([work] * 8):
            if end is not None:
                raise end


def watch(server: Server, load: Load, started: float, done: threading.Event) -> None:
    """Adds memory and files every two seconds."""
    while not done.is_set():
        now_s = round(time.monotonic() - started, 1)
        load.memory.append((now_s, server.memory()))
        load.files.append((now_s, server.bytes_of_files()))
        done.wait(2)


def summary(
    started: dict[str, int], load: Load, before: dict[str, Any], after: dict[str, Any], minutes: float
) -> dict[str, Any]:
    """All numbers, and whether each promise was kept."""
    ends: dict[str, dict[str, int]] = {}
    for (kind, end), count in sorted(load.ends.items()):
        ends.setdefault(kind, {})[end] = count
    kinds = {
        kind: {"sent": len(times), "p50_ms": percentile(times, 50), "p95_ms": percentile(times, 95), "ends": ends[kind]}
        for kind, times in load.seconds.items()
    }
    more = {name: after["process"][name] - before["process"][name] for name in before["process"]}
    containers = {path: sizes for path, sizes in grown(before, after).items() if path not in before["process"]}
    return {
        "machine": timing.machine(PACKAGES),
        "minutes": minutes,
        "kinds": kinds,
        "memory_over_time": load.memory,
        "files_over_time": load.files,
        "started": started,
        "before": before["process"],
        "after": after["process"],
        "containers_grown": containers,
        "promises": {
            "every request was completed or refused": all(
                end in ("complete", "refused") for counts in ends.values() for end in counts
            ),
            "completed + refused = sent": all(
                sum(counts["ends"].values()) == counts["sent"] for counts in kinds.values()
            ),
            "memory is back within 50 MB": more["memory_bytes"] <= MEMORY_LIMIT,
            "no container of the server has grown": not containers,
            "no task and no open file is left": more["tasks"] <= 0 and more["open_files"] <= 0,
            f"temporary files are gone after their time ({FILES_LIVE_S} s here)": more["temporary_files"] <= 0,
        },
    }


def percentile(seconds: list[float], percent: int) -> float:
    """In milliseconds."""
    cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
    return round(cuts[percent - 1] * 1e3, 1)


NAMES = {
    "photo": "photo, annotated, by the queue",
    "gallery": f"gallery of {GALLERY} photos",
    "camera": f"camera, {FRAMES} frames",
    "frame": "one frame of a camera",
    "rest": "photo, analysed, by REST",
    "equal": "equal requests",
}


def as_markdown(document: dict[str, Any]) -> str:
    """The report for people."""
    system = document["machine"]
    held = [document[moment] for moment in ("started", "before", "after")]
    peaks = [max(size for _, size in document[f"{kind}_over_time"]) / 1e6 for kind in ("memory", "files")]
    versions = ", ".join(f"{name} {number}" for name, number in system["versions"].items())
    lines = [
        f"{len(KINDS)} clients for {document['minutes']:g} minutes, then {EQUAL_REQUESTS} equal requests, on "
        f"{system['processor']}, {system['processors']} processors; Python {system['python']}, {versions}.",
        "",
        "| request | sent | completed | refused | failed | median | 95th percentile |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, counts in document["kinds"].items():
        done, refused = counts["ends"].get("complete", 0), counts["ends"].get("refused", 0)
        failed = counts["sent"] - done - refused
        times = f"{counts['p50_ms']:.0f} ms | {counts['p95_ms']:.0f} ms"
        lines.append(f"| {NAMES[kind]} | {counts['sent']} | {done} | {refused} | {failed} | {times} |")
    lines += ["", "| the server holds | just started | before, warm | after |", "|---|---|---|---|"]
    for name in ("memory_bytes", "memory_trimmed_bytes", "temporary_bytes"):
        lines.append(row(f"{name[:-6].replace('_', ' ')}, MB", [f"{sample[name] / 1e6:.0f}" for sample in held]))
    for name in ("threads", "tasks", "open_files", "temporary_files"):
        lines.append(row(name.replace("_", " "), [str(sample[name]) for sample in held]))
    lines += ["", f"At most, meanwhile: {peaks[0]:.0f} MB of memory, {peaks[1]:.0f} MB of temporary files."]
    grown_text = [f"`{path}` {old} → {new}" for path, (old, new) in document["containers_grown"].items()]
    lines += ["", "Containers that grew: " + (", ".join(grown_text) or "none") + ".", ""]
    return "\n".join([*lines, *(f"- {name}: {'yes' if kept else 'NO'}" for name, kept in document["promises"].items())])


def row(name: str, values: list[str]) -> str:
    return f"| {name} | {' | '.join(values)} |"


def draw(document: dict[str, Any], file: Path) -> None:
    """Memory over time, and the latencies."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (a development package)

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    times, memory = zip(*document["memory_over_time"], strict=True)
    left.plot([seconds / 60 for seconds in times], [size / 1e6 for size in memory], color="#3b5b92", label="memory")
    limit = document["before"]["memory_bytes"] / 1e6 + MEMORY_LIMIT / 1e6
    left.axhline(limit, color="#999999", linestyle="--", label="50 MB above memory before")
    times, files = zip(*document["files_over_time"], strict=True)
    left.plot(
        [seconds / 60 for seconds in times], [size / 1e6 for size in files], color="#c0803b", label="temporary files"
    )
    left.set(xlabel="minutes", ylabel="MB", title="what the server holds", ylim=(0, None))
    left.legend(fontsize="small")
    kinds = list(document["kinds"])
    places = range(len(kinds))
    right.barh(places, [document["kinds"][kind]["p95_ms"] for kind in kinds], color="#b9c6dd", label="95th percentile")
    right.barh(places, [document["kinds"][kind]["p50_ms"] for kind in kinds], color="#3b5b92", label="median")
    right.set_yticks(places, [NAMES[kind] for kind in kinds])
    right.set(xlabel="milliseconds", xscale="log", title="latency")
    right.legend(fontsize="small")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
