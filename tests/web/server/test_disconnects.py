"""Visitors who leave in the middle: the worker, the camera's place, the session's state and files are given back."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks.visitors import API, Visitor, frame_argument, is_end, photo
from tests.support.media import camera
from tests.support.servers import chromium, running
from tests.support.servers.chromium import PATIENCE_MS, sync_api
from tests.support.servers.running import Server, grown

pytestmark = pytest.mark.slow

PHOTOS = 12  # of a gallery, more than are read before the visitor's absence is noticed


@pytest.fixture(scope="module", autouse=True)
def before(strained: Server) -> dict[str, Any]:
    """What the server holds after one visit of each kind."""
    with Visitor(strained.url) as visitor:
        picture = visitor.upload("good.png", photo("astronaut.png"))
        visitor.call(visitor.endpoint("analyze"), [picture, None, "auto"])
        visitor.call(visitor.event("fm-gallery-run", "click"), [[picture]])
        visitor.watch(iter([photo("fr_obama.jpg")] * 2), lambda message: False)
    return strained.settled()


@pytest.fixture(autouse=True)
def full_speed(strained: Server) -> Iterator[None]:
    yield
    strained.slow_down(0)


def test_a_page_that_was_only_looked_at_leaves_no_state(strained: Server) -> None:
    strained.hurry()

    def states() -> int:
        return int(strained.held()["containers"]["page.state_holder.session_data"])

    before = states()
    for _ in range(3):
        with Visitor(strained.url):
            pass
    deadline = time.monotonic() + running.PATIENCE_S
    time.sleep(running.SWEPT_S)
    while states() > before:
        assert time.monotonic() < deadline, f"{states() - before} states are left"
        time.sleep(0.5)


def test_half_an_upload_is_deleted(strained: Server) -> None:
    address = urlsplit(strained.url)
    before = len(strained.files())
    head = (
        f"POST {API}/upload?upload_id=half HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=line\r\n\r\n"
        '--line\r\nContent-Disposition: form-data; name="files"; filename="half.jpg"\r\n\r\n'
    )
    with socket.create_connection((str(address.hostname), int(address.port or 80))) as connection:
        connection.sendall(head.encode() + bytes(4_000_000))
        strained.until(lambda numbers: len(strained.files()) > before)
    strained.until(lambda numbers: len(strained.files()) == before)
    assert "a request failed" not in strained.log.read_text()[-2000:]  # who leaves is no failure


def test_a_request_that_waits_leaves_the_queue_with_its_visitor(strained: Server) -> None:
    strained.slow_down(running.PATIENCE_S)
    visitors = [Visitor(strained.url) for _ in range(3)]  # two of which are served at a time
    listening = []
    for visitor in visitors:
        picture = visitor.upload("good.png", photo("astronaut.png"))
        event, refused = visitor.join(visitor.endpoint("analyze"), [picture, None, "auto"])
        assert refused is None
        listening.append((event, visitor.messages()))
        assert next(listening[-1][1])["msg"] == "estimation"
    strained.until(lambda numbers: numbers["queued"] == 1)
    listening[2][1].close()  # type: ignore[attr-defined]
    visitors[2].close()
    numbers = strained.until(lambda numbers: numbers["queued"] == 0)
    assert numbers["working"] == 2  # it was not served instead
    strained.slow_down(0)
    for visitor, (event, messages) in zip(visitors[:2], listening[:2], strict=True):
        assert next(message for message in messages if is_end(message, event))["success"]
        visitor.close()


def test_a_gallery_ends_with_its_visitor(strained: Server) -> None:
    strained.slow_down(1)
    with Visitor(strained.url) as visitor:
        pictures = [visitor.upload(f"{number}.jpg", photo("fr_obama.jpg")) for number in range(PHOTOS)]
        visitor.join(visitor.event("fm-gallery-run", "click"), [pictures])
        messages = visitor.messages()
        assert next(message for message in messages if f"1 of {PHOTOS} photos read" in str(message))
        messages.close()  # type: ignore[attr-defined]
    strained.until(lambda numbers: numbers["working"] == 0)
    names = {file.name for file in strained.files()}
    assert f"{PHOTOS - 1}-small.jpg" not in names


def test_a_camera_gives_its_place_back_when_its_tab_is_closed(strained: Server) -> None:
    strained.slow_down(running.PATIENCE_S)
    visitor = Visitor(strained.url)
    visitor.join(visitor.event("fm-camera", "stream"), [{"url": data_url()}, None])
    messages = visitor.messages()
    strained.until(lambda numbers: numbers["cameras"] == 1)
    strained.slow_down(0)
    assert next(message for message in messages if message["msg"] == "process_streaming")["success"]
    messages.close()  # type: ignore[attr-defined]
    visitor.close()
    strained.until(lambda numbers: numbers["cameras"] == 0)
    with Visitor(strained.url) as other:  # for whom there is a place at once
        assert other.watch(iter([photo("fr_obama.jpg")] * 2), lambda message: False).kind == "complete"


def test_a_camera_that_falls_silent_gives_its_place_back(strained: Server) -> None:
    with Visitor(strained.url) as visitor:
        event, _ = visitor.join(visitor.event("fm-camera", "stream"), [{"url": data_url()}, None])
        end = next(message for message in visitor.messages() if is_end(message, event))  # and sends no second frame
        assert end["success"]
        strained.until(lambda numbers: numbers["cameras"] == 0)


def test_a_camera_stops_after_its_time(strained: Server) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            time.sleep(0.2)
            yield photo("fr_obama.jpg")

    with Visitor(strained.url) as visitor:
        assert visitor.watch(endless(), lambda message: True).kind == "complete"
        strained.until(lambda numbers: numbers["cameras"] == 0)


def data_url() -> str:
    return str(frame_argument(photo("fr_obama.jpg"))["url"])


@pytest.mark.timeout(300)
@pytest.mark.browser
def test_a_killed_browser_leaves_nothing(strained: Server, tmp_path: Path) -> None:
    film = camera.write(tmp_path / "face.mjpeg")
    with chromium.launched(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ) as browser:
        page = browser.new_page()
        page.goto(strained.url, timeout=PATIENCE_MS)
        page.get_by_role("tab", name="Webcam").click()
        page.get_by_role("button", name="Start camera").click()
        sync_api.expect(page.locator("#fm-readout")).to_contain_text("shows", timeout=PATIENCE_MS)
        strained.until(lambda numbers: numbers["cameras"] == 1)  # a slow machine's falls silent now and then
        page.close(run_before_unload=False)
        strained.until(lambda numbers: numbers["cameras"] == 0)


def test_nothing_is_left_of_all_these(strained: Server, before: dict[str, Any]) -> None:
    """No container, task or open file more than after one visit of each kind; photos and results go by age."""
    by_age = ("temporary_files", "page.upload_file_set", "page.temp_file_sets")
    after = strained.settled(before, by_age=by_age)
    assert grown(before, after, by_age) == {}
