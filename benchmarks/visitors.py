"""Visitors over HTTP, as the page's own script is one: sessions, uploads, the queue's protocol, camera streams."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

API = "/gradio_api"
META = {"_type": "gradio.FileData"}
PATIENCE_S = 300


@dataclass(frozen=True)
class Outcome:
    """How a request ended: "complete", "error" (with code and sentence), or "refused" before it was queued."""

    kind: str
    data: Any = None
    code: str = ""
    sentence: str = ""


class Visitor:
    """One open page: a session that is kept by its heartbeat until `close`, in threads of its own."""

    def __init__(self, url: str, heartbeat: bool = True) -> None:
        self.http = httpx.Client(base_url=url, timeout=httpx.Timeout(PATIENCE_S, connect=60))
        self.session = uuid.uuid4().hex[:12]
        self.config: dict[str, Any] = self.http.get("/config").raise_for_status().json()
        self._heart: httpx.Response | None = None
        if heartbeat:
            request = self.http.build_request("GET", f"{API}/heartbeat/{self.session}")
            self._heart = self.http.send(request, stream=True)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """As a closed tab: the heartbeat ends, and with it all connections."""
        if self._heart is not None:
            self._heart.close()
        self.http.close()

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """The file as an argument."""
        answer = self.http.post(f"{API}/upload", files={"files": (name, content)}).raise_for_status()
        return {"path": answer.json()[0], "orig_name": name, "meta": META}

    def endpoint(self, name: str) -> int:
        """The number of a named endpoint."""
        return self._find(lambda event: event["api_name"] == name)

    def event(self, element: str, kind: str) -> int:
        """The number of the handler of an event, such as "click", of the element with that id."""
        wanted = {part["id"] for part in self.config["components"] if part["props"].get("elem_id") == element}
        return self._find(lambda event: any(target in wanted and what == kind for target, what in event["targets"]))

    def join(self, number: int, data: list[Any]) -> tuple[str | None, Outcome | None]:
        """Queues a request: its event's id, or how it was refused."""
        body = {"data": data, "fn_index": number, "session_hash": self.session, "event_data": None, "trigger_id": None}
        answer = self.http.post(f"{API}/queue/join", json=body)
        if answer.status_code == 200:
            return answer.json()["event_id"], None
        said = answer.json()
        return None, Outcome("refused", None, str(said.get("title", "")), str(said.get("error") or said.get("detail")))

    def call(self, number: int, data: list[Any]) -> Outcome:
        """Queues a request and waits for its end; one at a time for each visitor."""
        event, refused = self.join(number, data)
        if refused is not None:
            return refused
        return next(outcome(message) for message in self.messages() if is_end(message, event))

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the server sends to this session, until it has nothing more to say."""
        with self.http.stream("GET", f"{API}/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

    def watch(self, frames: Iterator[bytes], each: Callable[[dict[str, Any]], bool]) -> Outcome:
        """Streams JPEGs as the page's camera does: the next one when the last is answered.

        `each` sees every answer to a frame and says whether to go on.
        """
        number = self.event("fm-camera", "stream")
        event, refused = self.join(number, [frame_argument(next(frames)), None])
        if refused is not None:
            return refused
        for message in self.messages():
            if is_end(message, event):
                return outcome(message)
            if message["msg"] == "process_streaming":
                if each(message):
                    body = {"data": [frame_argument(next(frames)), None], "fn_index": number}
                    self.http.post(f"{API}/stream/{event}", json=body | {"session_hash": self.session})
                else:
                    self.http.post(f"{API}/stream/{event}/close")
        raise ConnectionError("the stream ended without a last message")

    def _find(self, fits: Callable[[dict[str, Any]], bool]) -> int:
        return next(int(event["id"]) for event in self.config["dependencies"] if fits(event))


def frame_argument(jpeg: bytes) -> dict[str, Any]:
    """A frame as the page sends it."""
    return {"url": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()}


def is_end(message: dict[str, Any], event: str | None) -> bool:
    """Whether this is the last message of an event, or of all."""
    return message["msg"] in ("process_completed", "unexpected_error", "server_stopped") and message.get(
        "event_id", event
    ) in (event, None)


def outcome(message: dict[str, Any]) -> Outcome:
    """How the event of this last message ended."""
    output = message.get("output") or {}
    if message.get("success"):
        return Outcome("complete", output.get("data"))
    return Outcome("error", None, str(output.get("title", "")), str(output.get("error") or message.get("message")))


def rest(http: httpx.Client, endpoint: str, data: list[Any]) -> Outcome:
    """The same by the two requests that the README shows for curl."""
    answer = http.post(f"{API}/call/{endpoint}", json={"data": data})
    if answer.status_code != 200:
        said = answer.json()
        return Outcome("refused", None, str(said.get("title", "")), str(said.get("error") or said.get("detail")))
    text = http.get(f"{API}/call/{endpoint}/{answer.json()['event_id']}").text
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    said = json.loads(fields["data"])
    if fields["event"] == "complete":
        return Outcome("complete", said)
    return Outcome("error", None, str(said.get("title", "")), str(said.get("error")))


def in_threads(calls: list[Callable[[], Any]]) -> list[Any]:
    """What the calls return, in order, each in a thread of its own."""
    answers: list[Any] = [None] * len(calls)

    def work(index: int, call: Callable[[], Any]) -> None:
        try:
            answers[index] = call()
        except Exception as error:
            answers[index] = error

    threads = [threading.Thread(target=work, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def photo(name: str) -> bytes:
    """One of the example photos."""
    return (Path(__file__).resolve().parent.parent / "facemotion" / "assets" / "examples" / name).read_bytes()
