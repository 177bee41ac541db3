"""Camera streams at a real server: only the newest frame is read, and nobody is kept from going on."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.visitors import API, Visitor, frame_argument, in_threads, is_end, photo
from facemotion import settings
from tests.support.media import camera
from tests.support.servers import running
from tests.support.servers.running import Server

ENOUGH = 5  # frames of each camera
PATIENCE_S = 300

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On the defaults: streams end neither by their time nor by silence while a test waits."""
    with running.server(tmp_path_factory.mktemp("streams")) as server:
        yield server


def grey(level: int) -> bytes:
    return cv2.imencode(".jpg", np.full((480, 640, 3), level, np.uint8))[1].tobytes()


def level(message: dict[str, Any]) -> int:
    """How bright the picture in an answer is."""
    _, _, encoded = message["output"]["data"][0].partition("base64,")
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(encoded.partition('"')[0]), np.uint8), cv2.IMREAD_GRAYSCALE)
    return 10 * round(float(pixels.mean()) / 10)


def test_of_the_frames_that_came_meanwhile_only_the_newest_is_read(server: Server) -> None:
    server.slow_down(PATIENCE_S)
    with Visitor(server.url) as visitor:
        number = visitor.event("fm-camera", "stream")
        event, refused = visitor.join(number, [frame_argument(grey(50)), None])
        assert refused is None
        server.until(lambda numbers: numbers["analyses"] == 1)
        for brightness in (80, 110, 140, 170, 200):
            body = {"data": [frame_argument(grey(brightness)), None], "fn_index": number}
            visitor.http.post(f"{API}/stream/{event}", json=body | {"session_hash": visitor.session})
        server.slow_down(0)
        messages = visitor.messages()
        answers = (message for message in messages if message["msg"] == "process_streaming")
        levels = [level(message) for message in islice(answers, 2)]
        visitor.http.post(f"{API}/stream/{event}/close")
        assert next(message for message in messages if is_end(message, event))["success"]
    assert levels == [50, 200]


def test_everybody_goes_on_and_a_photo_is_read_meanwhile(server: Server) -> None:
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

        with Visitor(server.url) as visitor:
            assert visitor.watch(frames(), each).kind == "complete"
        assert answers >= ENOUGH
        return said

    def look() -> str:
        with Visitor(server.url) as visitor:
            picture = visitor.upload("group.jpg", photo("group.jpg"))
            kind = visitor.call(visitor.endpoint("analyze"), [picture, None, "auto"]).kind
        read.set()
        return kind

    *cameras, kind = in_threads([*[stream] * settings.MAX_VIEWERS, look])
    assert kind == "complete"
    assert time.monotonic() < ends
    for said in cameras:  # each counts its own face; a gap of seconds on a busy machine starts a new id
        assert {people for text in said for people in re.findall(r"(\d+) faces? in view", text)} == {"1"}, said
        ids = [int(found) for text in said for found in re.findall(r"Face (\d+) shows", text)]
        assert ids[0] == 1 and ids == sorted(ids), said
