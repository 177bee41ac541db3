"""Each limit of settings.py, met at a real server whose limits are small, and the sentence that one gets there."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tests.support.servers.visitor import Server, Visitor, call, data_url, server

pytestmark = pytest.mark.slow

LIMITS = {
    "MAX_FILE_BYTES": 1_000_000,
    "MAX_VIDEO_BYTES": 4_000_000,
    "MAX_PIXELS": 17_000_000,
    "MAX_PICTURES": 4,
    "MAX_FACES": 2,
    "MAX_QUEUE": 1,
    "MAX_VIEWERS": 1,
    "MAX_SESSIONS": 2,
    "REQUEST_SECONDS": 1,
    "BODY_SECONDS": 3,
    "STREAM_SECONDS": 4,
    "STREAM_IDLE_S": 1,
    "MAX_UPLOADS_BYTES": 40_000_000,
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = {f"FACEMOTION_{name}": str(value) for name, value in LIMITS.items()}
    with server(tmp_path_factory.mktemp("strict"), **limits) as running:
        yield running


@pytest.fixture
def visitor(strict: Server) -> Iterator[Visitor]:
    visitor = Visitor(strict.url)
    yield visitor
    visitor.close()


def encoded(width: int, height: int, kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), "seagreen").save(stream, kind, quality=50)
    return stream.getvalue()


def refused(answer: httpx.Response, status: int, code: str, says: str) -> None:
    """Holds a refusal of the server itself against its one form."""
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert said["title"] == code
    assert says in said["error"]
    assert said["error"].endswith(".")


def test_bytes_of_a_file(visitor: Visitor) -> None:
    answer = visitor.http.post("/gradio_api/upload", files={"files": ("big.jpg", bytes(1_000_001))})
    refused(answer, 413, "file_too_large", "at most 1 MB a picture")


def test_bytes_of_a_file_in_the_python_client(strict: Server, tmp_path: Path) -> None:
    """Its error carries the answer; above the limit for all kinds of files it looks for itself, before it sends."""
    (tmp_path / "big.jpg").write_bytes(bytes(1_000_001))
    (tmp_path / "huge.jpg").write_bytes(bytes(4_000_001))
    client = Client(strict.url, verbose=False)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        client.predict(handle_file(tmp_path / "big.jpg"), api_name="/analyze")
    refused(caught.value.response, 413, "file_too_large", "at most 1 MB a picture")
    with pytest.raises(ValueError, match="exceeds the maximum file size of 4000000 bytes"):
        client.predict(handle_file(tmp_path / "huge.jpg"), api_name="/analyze")
    client.close()


def test_bytes_of_an_upload(visitor: Visitor) -> None:
    files = [("files", (f"{index}.jpg", bytes(900_000))) for index in range(6)]
    refused(visitor.http.post("/gradio_api/upload", files=files), 413, "file_too_large", "4 pictures at a time")


@pytest.mark.parametrize("announced", [True, False])
def test_bytes_of_any_other_request(visitor: Visitor, announced: bool) -> None:
    body = json.dumps({"data": [{"url": "data:image/png;base64," + "A" * 3_000_000}]}).encode()
    parts = (body[start : start + 65536] for start in range(0, len(body), 65536))
    answer = visitor.http.post(
        "/gradio_api/call/analyze", content=body if announced else parts, headers={"content-type": "application/json"}
    )
    refused(answer, 413, "file_too_large", "at most 1 MB a picture")


@pytest.mark.parametrize("path", ["upload", "call/analyze"])
def test_seconds_until_a_request_is_there(visitor: Visitor, path: str, strict: Server) -> None:
    """Else a few who send a byte now and then could keep what they began for ever."""

    def drops() -> Iterator[bytes]:
        yield b'--line\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
        for _ in range(100):
            time.sleep(0.2)
            yield b" "

    kinds = {"upload": "multipart/form-data; boundary=line", "call/analyze": "application/json"}
    started, before = time.monotonic(), strict.files()
    answer = visitor.http.post(f"/gradio_api/{path}", content=drops(), headers={"content-type": kinds[path]})
    refused(answer, 408, "too_slow", "came too slowly")
    assert 2.5 < time.monotonic() - started < 15
    assert strict.files() == before


def test_bytes_of_a_data_url(visitor: Visitor) -> None:
    event, error = call(visitor.http, "analyze", [{"url": "data:image/png;base64," + "A" * 1_400_000}])
    assert (event, error["title"]) == ("error", "file_too_large")
    assert "1 MB" in error["error"]


def test_pixels(visitor: Visitor) -> None:
    photo = visitor.upload("huge.png", encoded(5000, 4000, "PNG"))
    event, error = call(visitor.http, "analyze", [photo])
    assert (event, error["title"]) == ("error", "too_many_pixels")
    assert "up to 17 are read" in error["error"]


def test_pictures(visitor: Visitor) -> None:
    event, error = call(visitor.http, "analyze_batch", [[visitor.upload("a.jpg", encoded(64, 64))] * 5])
    assert (event, error["title"]) == ("error", "too_many_pictures")
    assert "at most 4" in error["error"]


def test_pictures_in_the_gallery(visitor: Visitor) -> None:
    photos = [visitor.upload("a.jpg", encoded(64, 64))] * 5
    answer = visitor.ask(visitor.function("find", "click", ("file",)), [photos])
    assert not answer["success"]
    assert answer["output"]["title"] == "too_many_pictures"
    assert "at most 4" in answer["output"]["error"]


def test_faces_a_picture(visitor: Visitor, examples: Path) -> None:
    photo = visitor.upload("group.jpg", (examples / "group.jpg").read_bytes())
    _, [result] = call(visitor.http, "analyze", [photo])
    assert len(result["faces"]) == 2
    assert "More than 2 are not read: these are the largest" in json.dumps(visitor.look(photo)["output"]["data"])


def test_seconds_a_request(visitor: Visitor) -> None:
    photos = [visitor.upload(f"{index}.jpg", encoded(4096, 4096)) for index in range(4)]
    started = time.monotonic()
    event, [results] = call(visitor.http, "analyze_batch", [photos, None, "thorough"])
    assert event == "complete"
    assert results[-1]["error"]["code"] == "too_slow"
    assert "longer than 1 seconds" in results[-1]["error"]["message"]
    assert time.monotonic() - started < 30
    assert call(visitor.http, "analyze", [visitor.upload("small.jpg", encoded(64, 64))])[0] == "complete"


def test_requests_that_wait(visitor: Visitor) -> None:
    photos = [visitor.upload(f"{index}.jpg", encoded(4096, 4096)) for index in range(4)]

    def send(_: int) -> httpx.Response:
        data = json.dumps({"data": [photos, None, "thorough"]})
        headers = {"content-type": "application/json", "connection": "close"}
        return httpx.post(f"{visitor.url}/gradio_api/call/analyze_batch", content=data, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    taken = [answer.json()["event_id"] for answer in answers if answer.status_code == 200]
    busy = [answer for answer in answers if answer.status_code != 200]
    assert busy
    for answer in busy:
        refused(answer, 503, "busy", "1 requests are waiting already")
    for event in taken:
        assert "event: complete" in visitor.http.get(f"/gradio_api/call/analyze_batch/{event}").text


def wait_for(events: Iterator[dict[str, Any]], message: str) -> None:
    assert any(event["msg"] == message for event in events), f"the queue never said {message}"


@pytest.mark.parametrize("first_frame", ["a frame", None])
def test_cameras(strict: Server, examples: Path, first_frame: str | None) -> None:
    """One more than there are places for waits until another has been silent for a while."""
    frame = {"url": data_url(examples / "small.jpg"), "is_stream": True}
    silent, next_one = Visitor(strict.url), Visitor(strict.url)
    stream = silent.function("step", "stream")
    started = time.monotonic()
    silent.join(stream, [first_frame and frame, None])
    watching = silent.events()  # its page stays open
    wait_for(watching, "process_starts")
    next_one.join(stream, [frame, None])
    waiting = next_one.events()
    wait_for(waiting, "process_starts")
    assert time.monotonic() - started >= 0.9
    wait_for(waiting, "process_completed")  # it sent no second frame
    wait_for(watching, "process_completed")
    silent.close()
    next_one.close()


def test_what_a_viewer_is_told_who_waits(strict: Server) -> None:
    visitor = Visitor(strict.url)
    body = {"data": [""], "fn_index": visitor.function("started", "click"), "session_hash": visitor.session}
    shown = visitor.http.post("/gradio_api/run/started", json=body).json()["data"]
    assert "all 1 places are taken; yours comes as soon as one is free" in json.dumps(shown)
    visitor.close()


def test_a_camera_that_goes_on_gives_its_place_back_in_time(strict: Server, examples: Path) -> None:
    frame = {"url": data_url(examples / "small.jpg"), "is_stream": True}
    visitor, sender = Visitor(strict.url), Visitor(strict.url)
    started = time.monotonic()
    event = visitor.join(visitor.function("step", "stream"), [frame, None]).json()["event_id"]
    for message in visitor.events():
        if message["msg"] == "process_completed":
            break
        assert time.monotonic() - started < 60
        if message["msg"] == "process_streaming":
            sender.http.post(f"/gradio_api/stream/{event}", json={"data": [frame, None]})
    visitor.close()
    sender.close()


def test_sessions(strict: Server, examples: Path) -> None:
    """The oldest result leaves memory, and its owner is told what to do."""
    first, *others = visitors = [Visitor(strict.url) for _ in range(4)]
    photo = first.upload("photo.jpg", (examples / "small.jpg").read_bytes())
    for one in visitors:
        assert one.look(photo)["success"]
    assert others[-1].download()["success"]
    gone = first.download()
    assert (gone["success"], gone["output"]["title"]) == (False, "missing")
    assert "Add the photo again." in gone["output"]["error"]
    for one in visitors:
        one.close()


def test_room_for_uploads(visitor: Visitor) -> None:
    """The last test here: afterwards this server takes no uploads."""
    for index in range(60):
        files = {"files": (f"{index}.bin", index.to_bytes(4, "big") * 240_000)}
        answer = visitor.http.post("/gradio_api/upload", files=files)
        if answer.status_code != 200:
            break
    refused(answer, 507, "storage", "deleted within the hour")
