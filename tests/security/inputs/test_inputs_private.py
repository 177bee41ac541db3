"""Every endpoint of the page, private ones too, given what no page would send: a result, or a code and a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from facemotion.errors import BadOption
from facemotion.webui.components.select_events import ItemSelect, PointSelect
from tests.web.server.test_server import META

pytestmark = pytest.mark.slow

MANY = 20  # no endpoint takes as many arguments
DATA: dict[str, list[Any]] = {
    "nothing": [],
    "null": [None] * MANY,
    "text": ["x"] * MANY,
    "formula": ["=cmd|'calc'!A0", "../../etc/passwd", "\0", "<script>", "\ud800"] * 4,
    "numbers": [10**400, -1, 1e308, 0, 2**63] * 4,
    "lists": [[[[]]], [None], [{}], ["a", 1]] * 5,
    "objects": [{"path": None}, {"url": 7}, {"__type__": "update"}, {"path": "/etc/passwd", "meta": META}, {}] * 4,
    "truth": [True, False] * 10,
}
EVENTS: list[Any] = [
    None, "x", 7, [], {}, {"index": None}, {"index": "a", "value": 1}, {"index": [1], "value": None},
    {"index": -1}, {"index": 10**400, "value": {}}, {"index": [10**400, 0]}, {"index": [None, {}]}, {"index": True},
]  # fmt: skip


@pytest.fixture(scope="module")
def http(app_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app_url, timeout=200) as http:
        yield http


@pytest.fixture(scope="module")
def endpoints(http: httpx.Client) -> list[dict[str, Any]]:
    """Those that run anything on the server; not those that start a stream, whose frames have tests of their own."""
    listed = http.get("/config").json()["dependencies"]
    found = [one for one in listed if one["backend_fn"] and one["targets"] and one["targets"][0][1] != "stream"]
    assert len(found) > 10 and len({one["api_visibility"] for one in found}) > 1
    return found


def outcomes(http: httpx.Client, endpoints: list[dict[str, Any]], session: str, **request: Any) -> dict[str, Any]:
    """What came of the same request to each endpoint, by its number and name: None, or the error."""
    waiting, refused = {}, {}
    headers = {"content-type": "application/json"}
    for one in endpoints:
        name = f"{one['id']} {one['api_name']}"
        sent = {"fn_index": one["id"], "session_hash": session, "trigger_id": one["targets"][0][0], **request}
        answer = http.post("/gradio_api/queue/join", content=json.dumps(sent), headers=headers)
        if answer.status_code == 200:
            waiting[answer.json()["event_id"]] = name
        else:
            refused[name] = answer.json()
    return refused | _results(http, waiting, session)


def _results(http: httpx.Client, waiting: dict[str, str], session: str) -> dict[str, Any]:
    results: dict[str, Any] = {}
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as lines:
        for line in lines.iter_lines():
            message = json.loads(line[6:]) if line.startswith("data: ") else {}
            if message.get("msg") == "process_completed":
                name = waiting.pop(message["event_id"])
                results[name] = None if message["success"] else message["output"]
            if not waiting:
                break
    assert not waiting
    return results


def assert_answered(found: dict[str, Any]) -> None:
    for name, error in found.items():
        if error is not None:
            assert error["title"] not in ("internal", "Error", None), (name, error)
            assert "/" not in error["error"] and error["error"].endswith("."), (name, error)


@pytest.mark.parametrize("name", DATA)
def test_any_arguments(name: str, http: httpx.Client, endpoints: list[dict[str, Any]]) -> None:
    found = outcomes(http, endpoints, f"any-{name}", data=DATA[name])
    assert_answered(found)
    assert len(found) == len(endpoints) and any(found.values())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: repr(event)[:30])
def test_any_click(event: Any, http: httpx.Client, endpoints: list[dict[str, Any]]) -> None:
    clicked = [one for one in endpoints if one["targets"][0][1] == "select"]
    assert clicked
    for one in clicked:
        found = outcomes(
            http, [one], f"click-{EVENTS.index(event)}", data=[None] * len(one["inputs"]), event_data=event
        )
        assert_answered(found)


@pytest.mark.parametrize("kind", [ItemSelect, PointSelect])
@pytest.mark.parametrize("data", EVENTS, ids=lambda event: repr(event)[:30])
def test_a_click_that_is_none(kind: Any, data: Any) -> None:
    if kind is ItemSelect and isinstance(data, dict) and data.get("index") == 10**400:
        assert ItemSelect(None, data).index == 10**400  # no gallery holds it
        return
    with pytest.raises(BadOption):
        kind(None, data)


def test_clicks_that_are_some() -> None:
    assert ItemSelect(None, {"index": 3, "value": None}).index == 3
    assert tuple(PointSelect(None, {"index": [3, 4.5]}).index) == (3, 4.5)
