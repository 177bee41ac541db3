"""Eight cameras at one server, and a visitor with a photo among them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import cv2

from benchmarks.live.report import percentile
from benchmarks.visitors import Visitor, in_threads, photo
from tests.support.media import camera

VIEWERS = 8
SECONDS = 30.0
PHOTO_EVERY_S = 2.0
WARM_UP_S = 5.0
FRAMES = 40  # different ones, in a loop


def measure(url: str) -> dict[str, Any]:
    """Frames of each camera a second, their times, and the photo's times with and without the cameras."""
    face = camera.cut_out("astronaut.png")
    film = [cv2.imencode(".jpg", camera.frame(face, index / FRAMES))[1].tobytes() for index in range(FRAMES)]
    alone = photos(url, 0.0, 10.0)
    started = time.monotonic() + WARM_UP_S
    calls: list[Callable[[], Any]] = [lambda: stream(url, film, started) for _ in range(VIEWERS)]
    *viewers, among = in_threads([*calls, lambda: photos(url, WARM_UP_S, SECONDS)])
    for failed in [result for result in (*viewers, among) if isinstance(result, Exception)]:
        raise failed
    times = [lag for viewer in viewers for lag in viewer]
    pauses = [max(after - before for before, after in pairwise(viewer)) for viewer in viewers]
    return {
        "viewers": VIEWERS,
        "seconds": SECONDS,
        "rates": [round(len(viewer) / SECONDS, 2) for viewer in viewers],
        "rate": round(len(times) / SECONDS, 2),
        "longest_pause_ms": round(1e3 * max(pauses)),
        "photo_alone_ms": summary(alone),
        "photo_ms": summary(among),
    }


def stream(url: str, film: list[bytes], started: float) -> list[float]:
    """One camera from now until `SECONDS` after `started` (time.monotonic): when its answers came since `started`."""
    answers: list[float] = []

    def frames() -> Iterator[bytes]:
        while True:
            yield from film

    def each(message: dict[str, Any]) -> bool:
        now = time.monotonic()
        if now >= started:
            answers.append(now)
        return now < started + SECONDS

    with Visitor(url) as visitor:
        ended = visitor.watch(frames(), each)
    if ended.kind != "complete":
        raise RuntimeError(f"a camera ended with {ended}")
    return answers


def photos(url: str, wait_s: float, seconds: float) -> list[float]:
    """From the upload to the annotated picture's address, again and again: milliseconds of each."""
    time.sleep(wait_s)
    content, spent, ends = photo("group.jpg"), [], time.monotonic() + seconds
    with Visitor(url) as visitor:
        while time.monotonic() < ends:
            started = time.monotonic()
            picture = visitor.upload("group.jpg", content)
            outcome = visitor.call(visitor.endpoint("annotate"), [picture, None, "auto"])
            if outcome.kind != "complete":
                raise RuntimeError(f"a photo ended with {outcome}")
            spent.append(1e3 * (time.monotonic() - started))
            time.sleep(max(0.0, PHOTO_EVERY_S - (time.monotonic() - started)))
    return spent


def summary(spent: list[float]) -> dict[str, float]:
    return {"p50": percentile(spent, 50), "p95": percentile(spent, 95), "max": round(max(spent), 1)}
