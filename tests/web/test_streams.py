"""Camera streams at a real server: only the newest frame is read, and nobody is kept from going on."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.visitors import API, Visitor, frame_argument, in_threads, is_end, photo
from facemotion import settings
from tests.support import camera
from tests.support.running import Server

ENOUGH = 5  # frames of each camera
PATIENCE_S = 60

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


def grey(level: int) -> bytes:
    return cv2.imencode(".jpg", np.full((480, 640, 3), level, np.uint8))[1].tobytes()


def level(message: dict[str, Any]) -> int:
    """How bright the picture in an answer is."""
    _, _, encoded = message["output"]["data"][0].partition("base64,")
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(encoded.partition('"')[0]), np.uint8), cv2.IMREAD_GRAYSCALE)
    return 10 * round(float(pixels.mean()) / 10)


def test_of_the_frames_that_came_meanwhile_only_the_newest_is_read(strained: Server) -> None:
    strained.slow_down(1.0)
    with Visitor(strained.url) as visitor:
        number = visitor.event("fm-camera", "stream")
        event, refused = visitor.join(number, [frame_argument(grey(50)), None])
        assert refused is None
        levels, messages = [], visitor.messages()
        next(message for message in messages if message["msg"] == "process_starts")
        for brightness in (80, 110, 140, 170, 200):
            body = {"data": [frame_argument(grey(brightness)), None], "fn_index": number}
            visitor.http.post(f"{API}/stream/{event}", json=body | {"session_hash": visitor.session})
        for message in messages:
            if message["msg"] == "process_streaming":
                levels.append(level(message))
            if len(levels) == 2:
                break
        strained.until(lambda numbers: numbers["working"] == 1)
        visitor.http.post(f"{API}/stream/{event}/close")
        assert next(message for message in messages if is_end(message, event))["success"]
    strained.slow_down(0)
    assert levels == [50, 200]


def test_everybody_goes_on_and_a_photo_is_read_meanwhile(app_url: str) -> None:
    face = camera.cut_out("astronaut.png")
    film = [cv2.imencode(".jpg", camera.frame(face, index / 50))[1].tobytes() for index in range(50)]
    read, ends = threading.Event(), time.monotonic() + PATIENCE_S

    def stream() -> list[str]:
        """What one camera's readouts said."""
        said: list[str] = []

        def frames() -> Iterator[bytes]:
            while True:
                yield from film

        answers = 0

        def each(message: dict[str, Any]) -> bool:
            nonlocal answers
            answers += 1
            text = message["output"]["data"][2]
            said.extend([text] if isinstance(text, str) else [])
            return (answers < ENOUGH or not read.is_set()) and time.monotonic() < ends

        with Visitor(app_url) as visitor:
            assert visitor.watch(frames(), each).kind == "complete"
        assert answers >= ENOUGH
        return said

    def look() -> str:
        with Visitor(app_url) as visitor:
            picture = visitor.upload("group.jpg", photo("group.jpg"))
            kind = visitor.call(visitor.endpoint("analyze"), [picture, None, "auto"]).kind
        read.set()
        return kind

    *cameras, kind = in_threads([*[stream] * settings.MAX_VIEWERS, look])
    assert kind == "complete"
    assert time.monotonic() < ends
    for said in cameras:
        assert {found for text in said for found in re.findall(r"Face (\d+) shows", text)} == {"1"}, said
