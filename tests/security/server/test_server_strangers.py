"""What a stranger can reach: none of the server's files, no address behind it, no other visitor's picture or result."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from facemotion import settings
from tests.support.servers.visitor import Server, Visitor, server

pytestmark = pytest.mark.slow

SECRET = "a-value-of-the-environment"
FILES_LIVE_S = 15
API = "/gradio_api"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a secret in its environment, whose files live for seconds."""
    short = {"FACEMOTION_FILES_LIVE_S": str(FILES_LIVE_S), "FACEMOTION_CLEAN_EVERY_S": "1"}
    with server(tmp_path_factory.mktemp("strangers"), HF_TOKEN=SECRET, **short) as running:
        yield running


@pytest.fixture
def alice(here: Server) -> Iterator[Visitor]:
    visitor = Visitor(here.url)
    yield visitor
    visitor.close()


@pytest.fixture
def eve(here: Server) -> Iterator[Visitor]:
    visitor = Visitor(here.url)
    yield visitor
    visitor.close()


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    """The address of something internal, and the requests that it got."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as internal:
        threading.Thread(target=internal.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{internal.server_port}/secret.jpg", asked
        internal.shutdown()


def closed(answer: httpx.Response) -> None:
    """Refused in the one form, without a path, a traceback or what was asked for."""
    assert answer.status_code in {403, 404}, (answer.status_code, answer.text[:300])
    said = answer.json()
    assert said["title"] in {"not_found", "forbidden_source"}
    assert "/" not in json.dumps(said)
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/self/cmdline",
        "/proc/1/root/etc/passwd",
        "app.py",
        "./facemotion/settings.py",
        "{root}/app.py",
        "{root}/.git/config",
        "{home}/.cache/huggingface/token",
        "{uploads}",
        "{uploads}/",
        "{uploads}/../log.txt",
        "{uploads}/%2e%2e/log.txt",
        "{uploads}/..%2flog.txt",
        "{uploads}/x/../../../../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2fproc%2fself%2fenviron",
        "file:///etc/passwd",
        "/etc/passwd%00.jpg",
        "\\\\host\\share",
    ],
)
@pytest.mark.parametrize("route", [f"{API}/file=", "/file=", f"{API}/file/"])
def test_no_file_of_the_server_can_be_read(here: Server, eve: Visitor, root: Path, route: str, path: str) -> None:
    [uploads] = here.uploads.iterdir()
    path = path.format(root=root, home=Path.home(), uploads=uploads)
    closed(eve.http.get(route + path))


def test_the_log_beside_the_uploads_is_there_to_be_read(here: Server) -> None:
    """So that the refusals above are about something."""
    assert (here.uploads / ".." / "log.txt").stat().st_size > 0


@pytest.mark.parametrize(
    "path",
    [f"{API}/file={{}}", f"{API}/file=%20{{}}", f"{API}/proxy={{}}", "/proxy={}", f"{API}/file/{{}}", "/file={}"],
)
def test_no_internal_address_is_asked(eve: Visitor, canary: tuple[str, list[str]], path: str) -> None:
    url, asked = canary
    closed(eve.http.get(path.format(url)))
    assert asked == []


@pytest.mark.parametrize("argument", ["path", "url", "both"])
@pytest.mark.parametrize("endpoint", ["analyze", "annotate", "analyze_batch"])
def test_no_argument_makes_the_server_ask_an_internal_address(
    eve: Visitor, canary: tuple[str, list[str]], endpoint: str, argument: str
) -> None:
    url, asked = canary
    names = ("path", "url") if argument == "both" else (argument,)
    photo = dict.fromkeys(names, url) | {"meta": {"_type": "gradio.FileData"}}
    event = eve.http.post(
        f"{API}/call/{endpoint}", json={"data": [[photo] if endpoint == "analyze_batch" else photo]}
    ).json()["event_id"]
    assert "event: error" in eve.http.get(f"{API}/call/{endpoint}/{event}").text
    assert asked == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{API}/deep_link?session_hash={{session}}"),
        ("GET", "/config?deep_link=x"),
        ("GET", "/?deep_link=x"),
        ("POST", f"{API}/component_server"),
        ("POST", f"{API}/process_recording"),
        ("GET", f"{API}/custom_component/x/client/example/../../../app.py"),
        ("GET", f"{API}/custom_component/x/client/y/z"),
        ("POST", f"{API}/vibe-edit"),
        ("GET", f"{API}/vibe-code"),
        ("GET", f"{API}/dev/reload"),
        ("GET", f"{API}/runs"),
        ("GET", f"{API}/run-history/buckets"),
        ("GET", f"{API}/profiling/traces"),
        ("GET", f"{API}/stream/{{session}}/0/32/playlist.m3u8"),
        ("GET", f"{API}/stream/{{session}}/0/32/playlist-file"),
        ("GET", "/monitoring"),
        ("GET", "/monitoring/summary"),
        ("GET", "/monitoring/key"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("POST", "/login"),
        ("GET", "/pwa_icon/100000"),
        ("GET", "/no-such-page"),
    ],
)
def test_routes_that_nobody_uses_are_shut(alice: Visitor, eve: Visitor, method: str, path: str) -> None:
    closed(eve.http.request(method, path.format(session=alice.session), follow_redirects=True))


def test_the_queue_cannot_be_passed_by(eve: Visitor) -> None:
    """Else one caller could take all threads."""
    closed(eve.http.post(f"{API}/run/analyze", json={"data": [None]}))
    body = {"data": [None], "fn_index": eve.function("analyse", "change"), "session_hash": eve.session}
    closed(eve.http.post(f"{API}/run/analyse", json=body))


@pytest.mark.parametrize("hostile", ["\"'<script>alert(1)</script>", "../../x", "a\r\nb: c"])
def test_what_is_refused_is_not_quoted(eve: Visitor, here: Server, hostile: str) -> None:
    name = "unknown-" + re.sub(r"[\r\n]", "", hostile)
    for answer in (
        eve.http.post(f"{API}/call/x", json={"data": name}),
        eve.http.post(f"{API}/queue/join", json={"data": [], "fn_index": name, "session_hash": name}),
        eve.http.get(f"{API}/file=", params={"x": name}),
    ):
        assert answer.status_code >= 400
        assert "unknown-" not in answer.text
    assert "unknown-" not in here.log.read_text()


def names_of(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file()}


def test_pictures_lie_under_names_that_cannot_be_computed(here: Server, alice: Visitor, examples: Path) -> None:
    """Whoever has the same picture cannot tell from its content where it lies, so not whether it was ever sent."""
    content = (examples / "small.jpg").read_bytes() + b"alice"
    path = Path(alice.upload("alice.jpg", content)["path"])
    assert len(path.parent.name) == 64
    plain = sha256(content).hexdigest()
    assert path.parent.name != plain
    [uploads] = here.uploads.iterdir()
    closed(alice.http.get(f"{API}/file={uploads}/{plain}/alice.jpg"))
    assert alice.http.get(f"{API}/file={path}").status_code == 200


def test_results_go_to_their_own_visitor_alone(alice: Visitor, eve: Visitor, examples: Path) -> None:
    """Two look at different photos at the same time; each hears of its own event only."""
    events = {}
    for visitor, name in ((alice, "group.jpg"), (eve, "astronaut.png")):
        photo = visitor.upload(name, (examples / name).read_bytes())
        joined = visitor.join(visitor.function("analyse", "change"), [photo, 0.6, "auto", True])
        events[visitor.session] = joined.json()["event_id"]
    heard = {visitor.session: list(visitor.events()) for visitor in (alice, eve)}
    for session, messages in heard.items():
        assert {one["event_id"] for one in messages if one.get("event_id")} == {events[session]}
    assert "3 faces found" in json.dumps(heard[alice.session])
    assert "1 face found" in json.dumps(heard[eve.session])


def test_a_result_stays_with_the_session_that_asked(alice: Visitor, eve: Visitor, examples: Path) -> None:
    """The state of a page is found by its session's name alone, so another session's events find nothing."""
    assert alice.look(alice.upload("small.jpg", (examples / "small.jpg").read_bytes()))["success"]
    assert alice.download()["success"]
    gone = eve.download()
    assert (gone["success"], gone["output"]["title"]) == (False, "missing")


@pytest.mark.parametrize("guess", ["", "0", "null", "undefined", "*", "../{session}", "{session}x", "{cut}"])
def test_a_session_that_is_guessed_is_none(alice: Visitor, eve: Visitor, guess: str, examples: Path) -> None:
    photo = alice.upload("small.jpg", (examples / "small.jpg").read_bytes())
    alice.join(alice.function("analyse", "change"), [photo, 0.6, "auto", True])
    name = guess.format(session=alice.session, cut=alice.session[:-1])
    answer = eve.http.get(f"{API}/queue/data", params={"session_hash": name})
    assert "process_completed" not in answer.text
    assert '"session_not_found":true' in answer.text
    assert any(event["msg"] == "process_completed" for event in alice.events())


def test_names_of_sessions_and_events_are_random(alice: Visitor, examples: Path) -> None:
    """gradio's own event ids have 122 random bits."""
    photo = alice.upload("small.jpg", (examples / "small.jpg").read_bytes())
    ids = {alice.http.post(f"{API}/call/analyze", json={"data": [photo]}).json()["event_id"] for _ in range(5)}
    assert len(ids) == 5
    assert all(re.fullmatch("[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", one) for one in ids)


def test_another_event_is_neither_read_nor_fed_nor_ended_by_a_wrong_name(eve: Visitor) -> None:
    wrong = "0" * 32
    assert json.loads(eve.http.get(f"{API}/call/analyze/{wrong}").text.partition("data: ")[2])["title"] == "not_found"
    for path in (f"{API}/stream/{wrong}", f"{API}/stream/{wrong}/close"):
        assert eve.http.post(path, json={"data": []}).status_code == 404


def test_a_heartbeat_and_a_progress_of_others_say_nothing(alice: Visitor, eve: Visitor, examples: Path) -> None:
    assert alice.look(alice.upload("small.jpg", (examples / "small.jpg").read_bytes()))["success"]
    with eve.http.stream("GET", f"{API}/heartbeat/{alice.session}") as beating:
        assert next(beating.iter_lines()) == "data: ALIVE"
    assert alice.download()["success"]
    closed(eve.http.get(f"{API}/upload_progress?upload_id=guess"))


def test_uploads_and_results_vanish(here: Server, alice: Visitor, eve: Visitor, examples: Path) -> None:
    """Whoever kept a link finds nothing once the time is over, and nothing lies on disk but the page's examples."""
    photo = alice.upload("mine.jpg", (examples / "small.jpg").read_bytes() + b"mine")
    output = json.dumps([alice.look(photo)["output"], alice.download()["output"]])
    paths = {photo["path"], *re.findall(r'"path": "([^"]+)"', output)}
    assert len(paths) >= 3  # the upload, the picture with its boxes, the JSON
    assert all(eve.http.get(f"{API}/file={path}").status_code == 200 for path in paths)  # a link is all that it takes
    deadline = time.monotonic() + FILES_LIVE_S + 60
    while any(Path(path).exists() for path in paths) and time.monotonic() < deadline:
        time.sleep(0.5)
    for path in paths:
        closed(eve.http.get(f"{API}/file={path}"))
    assert names_of(here.uploads) <= {file.name for file in examples.iterdir()}


def test_what_is_promised_about_the_hour() -> None:
    assert settings.FILES_LIVE_S + settings.CLEAN_EVERY_S < 3600


def test_what_a_page_may_load_is_this_server_alone(eve: Visitor) -> None:
    """The browser holds the page to it."""
    policy = eve.http.get("/").headers["content-security-policy"]
    sources = {word for part in policy.split(";") for word in part.split()[1:]}
    assert sources <= {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
