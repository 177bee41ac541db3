"""A real server, spoken to by the real gradio_client and by plain HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from facemotion import settings
from facemotion.faces import EMOTIONS

pytestmark = pytest.mark.slow

META = {"_type": "gradio.FileData"}


@pytest.fixture(scope="module")
def http(app_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app_url, timeout=60) as http:
        yield http


@pytest.fixture(scope="module")
def uploaded(http: httpx.Client, examples: Path) -> dict[str, Any]:
    return upload(http, "grace_hopper.jpg", (examples / "grace_hopper.jpg").read_bytes())


def upload(http: httpx.Client, name: str, content: bytes) -> dict[str, Any]:
    return {"path": http.post("/gradio_api/upload", files={"files": (name, content)}).json()[0], "meta": META}


def call(http: httpx.Client, endpoint: str, data: list[Any]) -> tuple[str, Any]:
    """("complete", results) or ("error", {"title", "error", ...})."""
    sent = json.dumps({"data": data})
    headers = {"content-type": "application/json"}
    event = http.post(f"/gradio_api/call/{endpoint}", content=sent, headers=headers).json()["event_id"]
    text = http.get(f"/gradio_api/call/{endpoint}/{event}").text
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return fields["event"], json.loads(fields["data"])


def test_analyze_returns_the_one_json(client: Client, examples: Path) -> None:
    result = client.predict(handle_file(examples / "astronaut.png"), api_name="/analyze")
    assert set(result) == {"image", "faces", "models", "timings_ms", "error"}
    assert result["error"] is None
    [face] = result["faces"]
    assert face["expression"] == "happy"
    assert list(face["probabilities"]) == list(EMOTIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=0.001)


def test_analyze_takes_options_by_name(client: Client, examples: Path) -> None:
    photo = handle_file(examples / "group.jpg")
    many = client.predict(picture=photo, threshold=0.3, detail="thorough", api_name="/analyze")
    few = client.predict(picture=photo, threshold=1.0, detail="fast", api_name="/analyze")
    assert len(many["faces"]) >= 2
    assert few["faces"] == []


def test_annotate_returns_a_picture_of_the_same_size(client: Client, examples: Path) -> None:
    path = client.predict(handle_file(examples / "grace_hopper.jpg"), api_name="/annotate")
    with Image.open(path) as drawn:
        assert (drawn.format, drawn.size) == ("JPEG", (512, 600))
        assert not drawn.getexif()


def test_one_bad_picture_does_not_spoil_a_batch(client: Client, examples: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"this is text")
    files = [handle_file(path) for path in (examples / "astronaut.png", bad, examples / "fr_obama.jpg")]
    results = client.predict(files, api_name="/analyze_batch")
    assert [len(result["faces"]) for result in results] == [1, 0, 1]
    assert [result["error"] and result["error"]["code"] for result in results] == [None, "not_an_image", None]


def test_the_python_client_gets_the_sentence(client: Client, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    with pytest.raises(AppError, match="empty"):
        client.predict(handle_file(empty), api_name="/analyze")


def test_rest_needs_only_the_picture(http: httpx.Client, uploaded: dict[str, Any]) -> None:
    event, [result] = call(http, "analyze", [uploaded])
    assert event == "complete"
    assert len(result["faces"]) == 1


def test_rest_takes_a_data_url(http: httpx.Client, examples: Path) -> None:
    content = base64.b64encode((examples / "grace_hopper.jpg").read_bytes()).decode()
    event, [result] = call(http, "analyze", [{"url": f"data:image/jpeg;base64,{content}"}])
    assert event == "complete"
    assert len(result["faces"]) == 1


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (None, "missing"),
        ({"path": "/etc/passwd", "meta": META}, "forbidden_source"),
        ({"path": "/etc/passwd"}, "forbidden_source"),
        ({"path": "../../etc/passwd"}, "forbidden_source"),
        ({"path": "http://127.0.0.1:22/", "meta": META}, "forbidden_source"),
        ({"path": "http://169.254.169.254/latest", "meta": META}, "forbidden_source"),
        ({"path": "file:///etc/passwd", "meta": META}, "forbidden_source"),
        ({"url": "http://127.0.0.1:22/"}, "missing"),
        ({"url": "data:image/png;base64,*"}, "corrupt"),
        ({"url": "data:text/html,<b>"}, "not_an_image"),
        ("/etc/passwd", "bad_option"),
        (5, "bad_option"),
        ([[]], "bad_option"),
    ],
)
def test_rest_refuses_with_a_code_and_a_sentence(http: httpx.Client, picture: Any, code: str) -> None:
    event, error = call(http, "analyze", [picture])
    assert (event, error["title"]) == ("error", code)
    assert error["error"].endswith(".")
    assert "/" not in error["error"]


@pytest.mark.parametrize("options", [[2], [-1], ["x"], [float("nan")], [None, "closely"], [None, 7]])
def test_rest_refuses_options_outside_their_range(
    http: httpx.Client, uploaded: dict[str, Any], options: list[Any]
) -> None:
    event, error = call(http, "analyze", [uploaded, *options])
    assert (event, error["title"]) == ("error", "bad_option")


@pytest.mark.parametrize(
    ("pictures", "code"),
    [([], "missing"), (None, "missing"), ([{"path": "http://localhost/", "meta": META}], "forbidden_source")],
)
def test_batches_are_refused_likewise(http: httpx.Client, pictures: Any, code: str) -> None:
    assert call(http, "analyze_batch", [pictures])[1]["title"] == code


def test_explain_returns_the_face_with_its_heatmap(client: Client, examples: Path) -> None:
    path = client.predict(handle_file(examples / "astronaut.png"), api_name="/explain")
    with Image.open(path) as drawn:
        assert drawn.format == "JPEG" and drawn.width == drawn.height
        lower, upper = (
            np.asarray(drawn.convert("HSV"))[rows, :, 1].mean()
            for rows in (slice(drawn.height // 2, None), slice(drawn.height // 2))
        )
    assert lower > upper + 5  # her smile glows, and the rest is grey


@pytest.mark.parametrize("face", [0, 2, 1.5, -1])
def test_only_faces_that_were_found_can_be_explained(http: httpx.Client, uploaded: dict[str, Any], face: float) -> None:
    event, error = call(http, "explain", [uploaded, face])
    assert (event, error["title"]) == ("error", "bad_option")
    assert "from 1 to 1" in error["error"]


def test_too_many_pictures_are_refused(http: httpx.Client, uploaded: dict[str, Any]) -> None:
    event, error = call(http, "analyze_batch", [[uploaded] * (settings.MAX_PICTURES + 1)])
    assert (event, error["title"]) == ("error", "too_many_pictures")


def test_a_file_above_the_limit_is_refused(http: httpx.Client) -> None:
    answer = http.post("/gradio_api/upload", files={"files": ("big.jpg", bytes(settings.MAX_FILE_BYTES + 1))})
    assert answer.status_code == 413


def test_no_other_endpoint_is_listed(http: httpx.Client) -> None:
    listed = http.get("/gradio_api/info").json()
    assert set(listed["named_endpoints"]) == {"/analyze", "/annotate", "/explain", "/analyze_batch", "/analyze_video"}
    assert not listed["unnamed_endpoints"]


@pytest.mark.parametrize("path", ["/monitoring/summary", "/gradio_api/file=/etc/passwd", "/gradio_api/file=app.py"])
def test_private_pages_stay_closed(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code in {403, 404}


def test_the_page_asks_nobody_else(http: httpx.Client) -> None:
    page = http.get("/").text
    for host in ("googleapis.com", "gstatic.com", "jsdelivr.net", "cdnjs"):
        assert host not in page
