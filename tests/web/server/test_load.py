"""The short form of `make load`: more requests than the queue holds, and many equal ones."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from benchmarks import load
from benchmarks.visitors import Outcome, Visitor, photo
from tests.support.servers.running import PATIENCE_S, Server, grown

pytestmark = pytest.mark.slow

QUEUE = 12  # of the server `strained`
SENT = 30
WARM_UP, EQUAL = 30, 60


def test_more_requests_than_the_queue_holds_are_done_or_refused(strained: Server) -> None:
    strained.slow_down(PATIENCE_S)
    visitors = [Visitor(strained.url, heartbeat=False) for _ in range(SENT)]
    pictures = [visitor.upload("photo.jpg", photo("fr_obama.jpg")) for visitor in visitors]

    def send(index: int) -> Outcome:
        return visitors[index].call(visitors[index].endpoint("analyze"), [pictures[index], None, "auto"])

    with ThreadPoolExecutor(SENT) as pool:
        sent = [pool.submit(send, index) for index in range(SENT)]
        try:  # what is neither at work nor in the queue is refused at once
            strained.until(lambda numbers: sum(one.done() for one in sent) >= SENT - QUEUE - numbers["working"])
        finally:
            strained.slow_down(0)
    outcomes = [one.result() for one in sent]
    for visitor in visitors:
        visitor.close()
    kinds = Counter(outcome.kind for outcome in outcomes)
    assert kinds["complete"] + kinds["refused"] == SENT
    assert kinds["complete"] >= QUEUE and kinds["refused"] > 0
    refusals = {(one.code, one.sentence) for one in outcomes if one.kind == "refused"}
    assert [code for code, _ in refusals] == ["busy"]
    assert all("Try again" in sentence and sentence.endswith(".") for _, sentence in refusals)
    assert all(len(one.data[0]["faces"]) == 1 for one in outcomes if one.kind == "complete")


def test_equal_requests_leave_the_server_as_it_was(strained: Server) -> None:
    load.equal_requests(strained.url, load.Load(), WARM_UP)
    before = strained.settled()
    sent = load.Load()
    load.equal_requests(strained.url, sent, EQUAL)
    after = strained.settled(before)
    assert sent.ends == {("equal", "complete"): EQUAL}
    assert grown(before, after) == {}
    assert after["process"]["memory_bytes"] - before["process"]["memory_bytes"] < load.MEMORY_LIMIT


def test_a_broken_promise_is_seen(strained: Server) -> None:
    """The census notices what `make load` is to notice: results that nobody fetches."""
    before = strained.settled()
    with httpx.Client(base_url=strained.url, timeout=60) as http:
        events = [http.post("/gradio_api/call/analyze", json={"data": [None]}).json()["event_id"] for _ in range(3)]
        after = strained.until(lambda numbers: not numbers["working"]) and strained.held()
        for event in events:
            assert "missing" in http.get(f"/gradio_api/call/analyze/{event}").text
    sent = load.Load()
    sent.count("equal", load.Outcome("error", None, "internal"), 0.1)
    sent.memory, sent.files = [(0.0, 1)], [(0.0, 1)]
    document = load.summary(before["process"], sent, before, after, 1)
    assert "page._queue.pending_messages_per_session" in document["containers_grown"]
    kept = document["promises"]
    assert not kept["no container of the server has grown"]
    assert not kept["every request was completed or refused"]
    assert kept["completed + refused = sent"] and kept["memory is back within 50 MB"]
    assert "NO" in load.as_markdown(document)


def test_the_chart_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    document = {
        "kinds": {"photo": {"p50_ms": 100.0, "p95_ms": 300.0}},
        "memory_over_time": [(0.0, 300_000_000), (2.0, 310_000_000)],
        "files_over_time": [(0.0, 2_000_000), (2.0, 30_000_000)],
        "before": {"memory_bytes": 300_000_000},
    }
    load.draw(document, tmp_path / "load.png")
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
