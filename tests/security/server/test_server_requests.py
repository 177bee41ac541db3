"""Requests that no client sends: each is refused in one form and leaves nothing, and the server goes on as before."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from facemotion import settings
from facemotion.webui.gradio_patches import session_cleanup
from facemotion.webui.server import request_limits
from facemotion.webui.server import upload_folder as uploads
from facemotion.webui.server.error_responses import RequestError
from facemotion.webui.server.request_limits import DiskSpace, LimitedBody
from tests.support.media import crafted
from tests.web.server.test_server import call, upload

pytestmark = pytest.mark.slow

API = "/gradio_api"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=line"}
NAMED = 'Content-Disposition: form-data; name="files"; filename="a.jpg"'


@pytest.fixture(scope="module")
def http(app_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app_url, timeout=60) as http:
        yield http


@pytest.fixture(autouse=True)
def quiet_log(server_folder: Path, http: httpx.Client) -> Iterator[None]:
    """None of this is a failure of the server's: nothing of it is written down."""
    log = server_folder / "log.txt"
    before = log.stat().st_size
    yield
    written = log.read_bytes()[before:].decode(errors="replace")
    assert "request failed" not in written and "Traceback" not in written


def part(head: str, body: str = "x") -> bytes:
    return f"--line\r\n{head}\r\n\r\n{body}\r\n--line--\r\n".encode()


def refused(answer: httpx.Response, status: int, title: str) -> None:
    assert answer.status_code == status, answer.text[:300]
    said = answer.json()
    assert (said["title"], said["error"][-1]) == (title, ".")


@pytest.mark.parametrize(
    "content",
    [
        '{"data": [[' + "{}," * 500_000 + "{}]]}",
        '{"data": [' + "[]," * 500_000 + "[]]}",
        '{"data": [null], "event_data": [' + "1," * 500_000 + "1]}",
        "[" * 500_000,
        '{"data": [' + "[" * 5_000 + "]" * 5_000 + "]}",
        '{"data": [' + "9" * 5_000 + "]}",
    ],
    ids=["objects", "lists", "numbers", "brackets", "depth", "digits"],
)
@pytest.mark.parametrize("path", ["call/analyze", "queue/join", "run/started", "cancel", "mcp/"])
def test_a_json_of_a_million_parts_is_not_looked_through(path: str, content: str, http: httpx.Client) -> None:
    """gradio looks at each, for seconds in which nobody else is served, and takes a hundred bytes for three."""
    started = time.monotonic()
    headers = JSON | {"accept": "application/json, text/event-stream"}
    answer = http.post(f"{API}/{path}", content=content, headers=headers)
    assert 400 <= answer.status_code <= 500 and "Traceback" not in answer.text
    if len(content) > 400_000:
        refused(answer, 400, "bad_request")
        assert time.monotonic() - started < 2


def test_a_whole_gallery_has_few_enough_parts(http: httpx.Client) -> None:
    """With all that gradio's clients say of each file."""
    sent = upload(http, "a.jpg", crafted.jpeg())
    more = {"url": None, "size": 1, "orig_name": "a, [b] {c}.jpg", "mime_type": "image/jpeg", "is_stream": False}
    event, [results] = call(http, "analyze_batch", [[sent | more] * settings.MAX_PICTURES])
    assert event == "complete" and len(results) == settings.MAX_PICTURES


@pytest.mark.parametrize("field", ["fn_index", "trigger_id", "session_hash"])
@pytest.mark.parametrize("value", ["1e400", "NaN", "{}", "2.5"])
def test_a_field_of_the_wrong_kind(field: str, value: str, http: httpx.Client) -> None:
    content = f'{{"data": [null], "fn_index": 0, "session_hash": "x", "{field}": {value}}}'
    refused(http.post(f"{API}/queue/join", content=content, headers=JSON), 422, "bad_option")


@pytest.mark.parametrize("path", ["queue/join", "run/started", "call/analyze"])
def test_a_session_of_a_long_name_is_not_begun(path: str, http: httpx.Client) -> None:
    """Its name would be kept as often as it is used."""
    body = {"data": [""], "fn_index": 0, "session_hash": "s" * 10_000}
    refused(http.post(f"{API}/{path}", json=body), 422, "bad_option")


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (part('Content-Disposition: form-data; name="files"'), {}),
        (part('Content-Disposition: form-data; name="note"', "a" * 1_000_000), {}),
        (part("Content-Disposition: form-data; name=\"files\"; filename*=utf-8''..%2fa.jpg"), {}),
        (part('Content-Disposition: form-data; filename="a.jpg"'), {}),
        (part("X: y"), {}),
        (part(NAMED), {"content-type": "multipart/form-data; boundary=" + "x" * 5_000}),
        (part(NAMED), {"content-type": "multipart/form-data"}),
        (part(NAMED), {"content-type": "multipart/mixed; boundary=line"}),
        (part(NAMED), {"content-type": "text/plain"}),
        (b"nothing of the kind", {}),
        (b"".join(part(NAMED)[:-10] for _ in range(1_001)) + b"--line--\r\n", {}),
    ],
)
@pytest.mark.parametrize("watched", ["", "?upload_id=odd"])
def test_an_upload_of_no_form(
    content: bytes, headers: dict[str, str], watched: str, http: httpx.Client, server_folder: Path
) -> None:
    before = set(uploads.files(server_folder / "uploads"))
    answer = http.post(f"{API}/upload{watched}", content=content, headers=FORM | headers)
    refused(answer, 400, "bad_request")
    assert set(uploads.files(server_folder / "uploads")) == before


@pytest.mark.parametrize("asked", ["bytes=0-,0-,0-", "bytes=" + "0-," * 900 + "0-", "bytes=--1", "bytes=1-2-3",
                                   "bytes=0-" + "9" * 5_000, "bytes=a-b", "lines=0-5", "bytes="])  # fmt: skip
def test_an_odd_range_is_passed_over(asked: str, http: httpx.Client) -> None:
    path = upload(http, "a.jpg", crafted.jpeg())["path"]
    answer = http.get(f"{API}/file={path}", headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, crafted.jpeg())
    assert http.get(f"{API}/file={path}", headers={"range": "bytes=2-5"}).content == crafted.jpeg()[2:6]


SCRIPT = 'a"><script>alert(1)</script>'


@pytest.mark.parametrize(
    "header",
    [("host", SCRIPT), ("host", "[::1"), ("x-forwarded-host", SCRIPT), ("x-forwarded-host", "a b"),
     ("x-forwarded-proto", "javascript"), ("x-forwarded-host", "good.example, " + SCRIPT)],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/config", f"{API}/mcp/"])
def test_a_name_of_the_server_that_can_be_none(header: tuple[str, str], path: str, http: httpx.Client) -> None:
    """It would stand in the page's addresses."""
    refused(http.get(path, headers=[header]), 400, "bad_request")


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "[::1]:7860", "you-facemotion.hf.space", "a.example, b.example:8"])
def test_names_that_servers_and_proxies_have(host: str, http: httpx.Client) -> None:
    assert http.get("/", headers={"x-forwarded-host": host, "x-forwarded-proto": "https,http"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/?page=x", "/config?page=../x", "/static/" + "a" * 300, f"/assets/{'b' * 300}/c.js", f"{API}/file=" + "c" * 300,
     f"{API}/heartbeat/" + "d" * 300, f"{API}/call/analyze/" + "e" * 300],
)  # fmt: skip
def test_addresses_of_nothing(path: str, http: httpx.Client) -> None:
    refused(http.get(path), 404, "not_found")


def test_a_missing_part_of_the_page_is_refused_in_the_same_form(http: httpx.Client) -> None:
    refused(http.get("/static/nothing.js"), 404, "not_found")


def body(messages: list[dict[str, Any]], path: str = f"{API}/upload", pause_s: float = 0.0) -> LimitedBody:
    """A request's body as the server hands it over, a message at a time."""
    rest = iter(messages)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        return {"type": "http.request", **next(rest)}

    return LimitedBody({"path": path, "headers": []}, receive, DiskSpace())


def refusal_of(one: LimitedBody, count: int) -> RequestError | None:
    async def read() -> None:
        for _ in range(count):
            await one.receive()

    try:
        asyncio.run(read())
    except RequestError as refusal:
        assert one.refusal is refusal
        return refusal
    return None


def test_a_body_that_comes_in_drops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "BODY_SECONDS", 0.2)
    drops = [{"body": b"x", "more_body": True}] * 50
    told = refusal_of(body(drops, pause_s=0.02), 50)
    assert told is not None and (told.status, told.code) == (408, "too_slow")
    monkeypatch.setattr(request_limits, "_MIN_BYTES_PER_S", 10)  # of which each drop is a tenth of a second's
    assert refusal_of(body(drops, pause_s=0.02), 50) is None


def test_a_client_that_only_listens_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server then waits for it to go, be it for hours."""
    monkeypatch.setattr(settings, "BODY_SECONDS", 0.1)
    one = body([{"body": b"x"}, {"type": "http.disconnect"}], pause_s=0.02)
    monkeypatch.setattr(one, "_started_s", time.monotonic() - 0.05)
    assert refusal_of(one, 1) is None
    monkeypatch.setattr(one, "_started_s", -1e9)
    assert refusal_of(one, 1) is None


def test_room_is_looked_for_while_an_upload_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many may begin while there still is some."""
    monkeypatch.setattr(settings, "MAX_UPLOADS_BYTES", 120)
    monkeypatch.setattr(request_limits, "_CHECK_EVERY_BYTES", 30)
    held = Counter(bytes=60)
    monkeypatch.setattr(uploads, "used_bytes", lambda: held["bytes"])
    pieces = [{"body": b"x" * 10, "more_body": True}] * 20
    assert refusal_of(body(pieces), 12) is None
    held["bytes"] = 130
    told = refusal_of(body(pieces), 20)
    assert told is not None and (told.status, told.code) == (507, "storage")


def test_results_that_nobody_fetches_do_not_push_out_those_that_somebody_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_cleanup, "MAX_PENDING", 5)
    events = {"1": SimpleNamespace(session_hash="waiting")}
    unfetched = session_cleanup.PendingMessages(SimpleNamespace(event_ids_to_events=events))  # type: ignore[arg-type]
    for session in ("waiting", *"abcdefg", "waiting"):
        unfetched[session] = session
    assert list(unfetched) == ["waiting", *"defg"]


def test_after_all_that_the_server_answers(http: httpx.Client) -> None:
    assert json.loads(json.dumps(call(http, "analyze", [upload(http, "a.jpg", crafted.jpeg())])))[0] == "complete"
