"""The hostile corpus through a real server: by the real gradio_client, by REST's calls, by the page's own queue.

Every way gives the sentence that the decoder gives in Python, under its code, and keeps nothing but the upload.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from facemotion import images, settings
from facemotion.errors import FileTooLarge, InputError
from facemotion.webui.server import upload_folder as uploads
from tests.support.media import crafted
from tests.support.media.bad_inputs import FILES, NAMES, OPTIONS, Case
from tests.support.media.composed import FACES, Composition
from tests.web.server.test_server import META, call, upload

pytestmark = pytest.mark.slow

HARMLESS = ("Traceback", "site-packages", "/", "\\", crafted.GPS_SECRET)
SERVED = [case for case in FILES if case.error is not FileTooLarge]  # a longer upload is turned away before any decoder
# The decoder and the command line are given all of the corpus; here every row, error and kind of file stands once.
ONE_OF_EACH = list({(case.row, case.error, case.name[-4:]): case for case in SERVED}.values())
ONE_A_ROW = list({(case.row, case.error): case for case in SERVED if case.row != 11}.values())


@pytest.fixture(scope="module")
def http(app_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app_url, timeout=120) as http:
        yield http


def kept(folder: Path) -> set[Path]:
    """The files that the server holds."""
    return set(uploads.files(folder / "uploads"))


def said(data: bytes) -> InputError | None:
    """What the decoder says to these bytes in Python."""
    try:
        images.load(data)
    except InputError as error:
        return error
    return None


def assert_told(title: str, sentence: str, expected: InputError) -> None:
    assert (title, sentence) == (expected.code, expected.message)
    assert not any(word in sentence for word in HARMLESS)


def assert_read(result: dict[str, Any], data: bytes) -> None:
    height, width = images.load(data).shape[:2]
    assert result["error"] is None
    assert (result["image"]["width"], result["image"]["height"]) == (width, height)
    assert crafted.GPS_SECRET not in json.dumps(result)


def queued(http: httpx.Client, endpoint: str, data: list[Any], **more: Any) -> dict[str, Any]:
    """The outcome of a request as the page makes it: {"success", "output"}."""
    named = http.get("/config").json()["dependencies"]
    index = next(one["id"] for one in named if one["api_name"] == endpoint)
    join = {"data": data, "fn_index": index, "session_hash": "hostile", **more}
    http.post("/gradio_api/queue/join", json=join).raise_for_status()
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "hostile"}) as lines:
        for line in lines.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if message.get("msg") == "process_completed":
                return dict(message)
    raise AssertionError("the stream ended without a result")


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_a_file_by_rest(case: Case, http: httpx.Client, server_folder: Path) -> None:
    data, before = case.make(), kept(server_folder)
    sent = upload(http, case.name, data)
    event, answer = call(http, "analyze", [sent])
    expected = said(data)
    if expected is None:
        assert event == "complete", answer
        assert_read(answer[0], data)
    else:
        assert event == "error"
        assert_told(answer["title"], answer["error"], expected)
    assert kept(server_folder) - before <= {Path(sent["path"])}


@pytest.mark.parametrize("case", ONE_A_ROW, ids=str)
def test_a_file_by_gradio_client(case: Case, client: Client, tmp_path: Path) -> None:
    data = case.make()
    path = tmp_path / case.name.replace("/", "_")
    path.write_bytes(data)
    expected = said(data)
    if expected is None:
        assert_read(client.predict(handle_file(path), api_name="/analyze"), data)
        return
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(path), api_name="/analyze")
    assert_told(caught.value.title, caught.value.message, expected)


@pytest.mark.parametrize("case", [case for case in ONE_A_ROW if case.error], ids=str)
def test_a_file_as_the_page_asks(case: Case, http: httpx.Client) -> None:
    data = case.make()
    outcome = queued(http, "analyze", [upload(http, case.name, data)])
    expected = said(data)
    assert expected is not None and not outcome["success"]
    assert_told(outcome["output"]["title"], outcome["output"]["error"], expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_never_a_path(name: str, http: httpx.Client, server_folder: Path) -> None:
    before = kept(server_folder)
    answer = http.post("/gradio_api/upload", files={"files": (name, crafted.jpeg())})
    assert answer.status_code < 500
    assert all(file.is_relative_to(server_folder / "uploads") for file in kept(server_folder) - before)
    if answer.status_code == 200:
        event, [result] = call(http, "analyze", [{"path": answer.json()[0], "meta": META}])
        assert event == "complete"
        assert_read(result, crafted.jpeg())


def test_a_file_above_the_limit_leaves_nothing(http: httpx.Client, server_folder: Path) -> None:
    before = kept(server_folder)
    long = crafted.jpeg() + bytes(settings.MAX_FILE_BYTES)
    answer = http.post("/gradio_api/upload", files={"files": ("long.jpg", long)})
    assert answer.status_code == 413
    assert kept(server_folder) == before


@pytest.mark.parametrize("case", [case for case in ONE_A_ROW if case.row in (2, 3, 4, 6, 10, 16, 21)], ids=str)
def test_a_data_url(case: Case, http: httpx.Client, server_folder: Path) -> None:
    data, before = case.make(), kept(server_folder)
    event, answer = call(http, "analyze", [{"url": crafted.data_url(data)}])
    expected = said(data)
    if expected is None:
        assert event == "complete", answer
        assert_read(answer[0], data)
    else:
        assert_told(answer["title"], answer["error"], expected)
    assert kept(server_folder) == before


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/png;base64,iVBORw0KG!!!", "corrupt"),
        ("data:image/png;base64,iVBORw0KG", "corrupt"),
        ("data:image/png;base64,", "empty"),
        ("data:text/html,<b>hello</b>", "not_an_image"),
        ("data:", "not_an_image"),
    ],
)
def test_a_malformed_data_url(url: str, code: str, http: httpx.Client, client: Client) -> None:
    event, answer = call(http, "analyze", [{"url": url}])
    assert (event, answer["title"]) == ("error", code)
    with pytest.raises(AppError) as caught:
        client.predict({"url": url}, api_name="/analyze")
    assert (caught.value.title, caught.value.message) == (code, answer["error"])


def test_a_data_url_above_the_limit(http: httpx.Client, client: Client, server_folder: Path) -> None:
    before = kept(server_folder)
    long = "data:image/png;base64," + base64.b64encode(bytes(settings.MAX_FILE_BYTES + 10_000)).decode()
    event, answer = call(http, "analyze", [{"url": long}])
    assert (event, answer["title"]) == ("error", "file_too_large")
    with pytest.raises(AppError) as caught:
        client.predict({"url": long}, api_name="/analyze")
    assert (caught.value.title, caught.value.message) == ("file_too_large", answer["error"])
    assert kept(server_folder) == before


@pytest.mark.parametrize("endpoint", ["analyze", "annotate", "explain"])
def test_no_picture(endpoint: str, http: httpx.Client, client: Client) -> None:
    event, answer = call(http, endpoint, [None])
    assert (event, answer["title"]) == ("error", "missing")
    with pytest.raises(AppError) as caught:
        client.predict(None, api_name=f"/{endpoint}")
    assert (caught.value.title, caught.value.message) == ("missing", answer["error"])


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "HEIF"])
def test_no_place_in_the_drawn_picture(kind: str, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(crafted.with_gps(kind))
    drawn = Path(client.predict(handle_file(path), api_name="/annotate")).read_bytes()
    assert crafted.GPS_SECRET.encode() not in drawn and b"Exif" not in drawn


def test_a_gallery_names_the_bad_and_reads_the_rest(client: Client, tmp_path: Path) -> None:
    cases = [case for case in SERVED if case.row in (2, 3, 5, 12, 16, 18)]
    cases = cases[:: len(cases) // 12]
    for index, case in enumerate(cases):
        (tmp_path / str(index)).write_bytes(case.make())
    files = [handle_file(tmp_path / str(index)) for index in range(len(cases))]
    results = client.predict(files, api_name="/analyze_batch")
    told = [result["error"] and result["error"]["code"] for result in results]
    assert told == [case.error and case.error.code for case in cases]
    assert None in told and len(set(told)) > 3


@pytest.mark.parametrize(("count", "code"), [(0, "missing"), (settings.MAX_PICTURES + 1, "too_many_pictures")])
def test_a_gallery_has_limits(count: int, code: str, http: httpx.Client) -> None:
    pictures = [upload(http, "a.jpg", crafted.jpeg())] * count
    assert call(http, "analyze_batch", [pictures])[1]["title"] == code
    assert queued(http, "analyze_batch", [pictures])["output"]["title"] == code


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: repr(options)[:40])
def test_options_outside_their_range(options: dict[str, Any], client: Client, http: httpx.Client) -> None:
    sent = upload(http, "a.jpg", crafted.jpeg())
    values = [options.get("threshold"), options.get("detail", "auto")]
    for endpoint, pictures in (("analyze", sent), ("analyze_batch", [sent])):
        event, answer = call(http, endpoint, [pictures, *values])
        assert (event, answer["title"]) == ("error", "bad_option")
    if isinstance(values[0], float) and not math.isfinite(values[0]):
        return  # the client refuses to write it as JSON
    with pytest.raises(AppError) as caught:
        client.predict({"url": crafted.data_url(crafted.jpeg())}, *values, api_name="/analyze")
    assert (caught.value.title, caught.value.message) == ("bad_option", answer["error"])


@pytest.mark.parametrize("picture", FACES[:3], ids=str)
def test_faces_that_are_hard_or_many(picture: Composition, client: Client, tmp_path: Path) -> None:
    path = tmp_path / picture.name
    path.write_bytes(picture.png())
    result = client.predict(handle_file(path), api_name="/analyze")
    assert len(result["faces"]) in picture.faces


def test_after_all_that_the_server_answers_and_has_logged_no_secret(
    client: Client, examples: Path, server_folder: Path
) -> None:
    result = client.predict(handle_file(examples / "astronaut.png"), api_name="/analyze")
    assert [face["expression"] for face in result["faces"]] == ["happy"]
    log = (server_folder / "log.txt").read_text(errors="replace")
    for word in (crafted.GPS_SECRET, "etc/passwd", "onerror", "cut-5.jpg", "iVBORw0KG"):
        assert word not in log
