"""A server of its own settings, and a visitor who speaks the queue's protocol as the page does, private events too."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.servers.processes import ROOT, free_port, server_environment, stop, wait_until_it_answers

META = {"_type": "gradio.FileData"}


@dataclass(frozen=True)
class Server:
    """A running app.py: its address, its process, what it has printed, and its folder of uploads."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    uploads: Path

    def files(self) -> list[Path]:
        """Everything that it keeps on disk, the page's example photos included."""
        return [file for file in self.uploads.rglob("*") if file.is_file()]


@contextmanager
def server(folder: Path, command: tuple[str, ...] = (), **environment: str) -> Iterator[Server]:
    """Starts app.py on a free port and ends it; `command` comes before Python's, `environment` is added."""
    port, log = free_port(), folder / "log.txt"
    arguments = [*command, sys.executable, "app.py"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env=server_environment(port, folder) | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_it_answers(process, url, log)
        yield Server(url, process, log, folder / "uploads")
    finally:
        stop(process)


class Visitor:
    """One page, open at a server."""

    def __init__(self, url: str, session: str | None = None) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=120, headers={"connection": "close"})
        self.session = session or uuid.uuid4().hex
        self.config = self.http.get("/config").json()

    def function(self, name: str, event: str, inputs: tuple[str, ...] | None = None) -> int:
        """The number of the page's handler of that name and event, whose inputs are of those types."""
        types = {one["id"]: one["type"] for one in self.config["components"]}
        return next(
            int(one["id"])
            for one in self.config["dependencies"]
            if one["api_name"].startswith(name)
            and event in {target[1] for target in one["targets"]}
            and (inputs is None or tuple(types[index] for index in one["inputs"]) == inputs)
        )

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """A file, as the arguments of handlers name it."""
        answer = self.http.post("/gradio_api/upload", files={"files": (name, content)})
        answer.raise_for_status()
        return {"path": answer.json()[0], "orig_name": name, "meta": META}

    def join(self, function: int, data: list[Any], trigger: int | None = None) -> httpx.Response:
        """Puts a call into the queue."""
        body = {"data": data, "fn_index": function, "session_hash": self.session, "trigger_id": trigger}
        return self.http.post("/gradio_api/queue/join", json=body)

    def events(self, session: str | None = None) -> Iterator[dict[str, Any]]:
        """What the queue tells this page, until it has no more to say."""
        with self.http.stream("GET", f"/gradio_api/queue/data?session_hash={session or self.session}") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def ask(self, function: int, data: list[Any]) -> dict[str, Any]:
        """Calls a handler and waits for its last answer: `output` and `success`."""
        joined = self.join(function, data)
        assert joined.status_code == 200, joined.text
        for event in self.events():
            if event["msg"] == "process_completed":
                return event
        raise AssertionError("the queue said nothing")

    def look(self, photo: dict[str, Any]) -> dict[str, Any]:
        """Analyses a photo on the Image tab."""
        return self.ask(self.function("analyse", "change"), [photo, 0.6, "auto", True])

    def download(self) -> dict[str, Any]:
        """Clicks the Image tab's "Download JSON"."""
        names = [one["id"] for one in self.config["components"] if one["props"].get("value") == "Download JSON"]
        function = next(
            one["id"] for one in self.config["dependencies"] if any(target[0] == names[0] for target in one["targets"])
        )
        return self.ask(function, [None])

    def close(self) -> None:
        """Leaves."""
        self.http.close()


def call(http: httpx.Client, endpoint: str, data: list[Any]) -> tuple[str, Any]:
    """What a REST caller gets: ("complete", results) or ("error", {"title", "error", ...})."""
    event = http.post(f"/gradio_api/call/{endpoint}", json={"data": data}).json()["event_id"]
    text = http.get(f"/gradio_api/call/{endpoint}/{event}").text
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return fields["event"], json.loads(fields["data"])


def data_url(path: Path) -> str:
    """A JPEG as the webcam sends it."""
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
