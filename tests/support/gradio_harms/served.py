"""Faults that are seen by what a server keeps of its visitors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
from gradio.routes import file_upload_statuses
from PIL import Image

from tests.support.gradio_harms.environment import FOLDER, PATCHED, SECRET, page

PATIENCE_S = 30.0  # for a request, and for the server to forget
SETTLED_S = 4.0  # after which what is still kept counts as kept for good: our sweeps come every 0.2 s in here
FRAME = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def hidden(text: str) -> str:
    return text


hidden._mcp_type = "none"  # type: ignore[attr-defined]


class Log(logging.Handler):
    """The loggers by which something that a visitor sent was written down."""

    def __init__(self) -> None:
        super().__init__()
        self.names = set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        if SECRET in record.getMessage():
            self.names.add(record.name)


class Visit:
    """A served page after some visits that are over: what is still kept of them."""

    SESSIONS = ("unfetched", "echo", "write", "count", "stream", "looked")

    def __init__(self) -> None:
        self.log = Log()
        logging.getLogger().addHandler(self.log)
        with page() as self.blocks:
            text, image, file = gr.Textbox(), gr.Image(streaming=True, type="filepath"), gr.File()
            button = gr.Button()
            button.click(self.echo, text, text, api_name="echo")
            button.click(self.write, text, file, api_name="write")
            button.click(self.count, text, text, api_name="count")
            button.click(hidden, text, text, api_name="hidden")
            image.stream(lambda image: "seen", image, text, time_limit=60, concurrency_id="camera", api_name="stream")
            self.blocks.unload(lambda: None)
        self.blocks.launch(prevent_thread_lock=True, quiet=True, mcp_server=True, server_name="127.0.0.1")
        self.http = httpx.Client(base_url=f"{self.blocks.local_url}gradio_api", timeout=PATIENCE_S)
        self.queue: Any = self.blocks._queue

    def echo(self, text: str) -> str:
        return text

    def write(self, text: str) -> str:
        path = FOLDER / "result.txt"
        path.write_text(text)
        return str(path)

    async def count(self, text: str) -> AsyncIterator[str]:
        for number in range(1000):
            yield f"{text}{number}"
            await asyncio.sleep(0.05)

    def number(self, name: str) -> int:
        return next(key for key, function in self.blocks.fns.items() if function.api_name == name)

    def join(self, name: str, data: Any, session: str = "") -> dict[str, Any]:
        """Queues an event: the body of the request, with the event's id."""
        body = {"data": [data], "fn_index": self.number(name), "session_hash": session or name, "trigger_id": None}
        return body | self.http.post("/queue/join", json=body).raise_for_status().json()

    def until(self, name: str, message: str) -> None:
        with self.http.stream("GET", "/queue/data", params={"session_hash": name}) as stream:
            assert any(message in line for line in stream.iter_lines()), f"{name}: no {message}"

    def heartbeat(self, name: str) -> None:
        """A page that is opened and closed."""
        with self.http.stream("GET", f"/heartbeat/{name}") as stream:
            next(stream.iter_lines())

    def ask_mcp(self, tool: str, argument: Any) -> str:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        message |= {"params": {"name": tool, "arguments": argument}}
        accept = {"accept": "application/json, text/event-stream"}
        return self.http.post("/mcp/", json=message, headers=accept).text

    def visit(self) -> None:
        """Everything that visitors do, once."""
        event = self.http.post("/call/echo", json={"data": ["a"]}).json()["event_id"]
        self.http.get(f"/call/echo/{event}")
        self.join("echo", "a")
        self.until("echo", "process_completed")
        self.join("echo", "a", "unfetched")
        self.join("write", "a")
        self.until("write", "process_completed")
        counting = self.join("count", "a")
        self.until("count", "process_generating")
        self.http.post("/cancel", json=counting | {"fn_index": 99})  # what the page sends cannot be relied upon
        self.join("stream", {"url": FRAME})
        self.until("stream", "process_streaming")
        self.http.post("/upload?upload_id=a", files={"files": ("a.txt", b"a")})
        self.heartbeat("looked")
        for names in self.blocks.temp_file_sets:
            for name in names:
                Path(name).unlink(missing_ok=True)
        secret = FOLDER / "secret.png"
        Image.new("L", (9, 9)).save(secret)
        self.ask_mcp("hidden", {"text": {"path": str(secret), "meta": {"_type": "gradio.FileData"}}})
        self.ask_mcp("echo", SECRET)
        self.ask_mcp(SECRET, {})

    def kept(self) -> dict[str, bool]:
        """Whether the server still has what nobody needs any more."""
        states = self.blocks.state_holder.session_data
        return {
            "the_state_of_callers_without_a_session_is_kept": bool(states.keys() - {*self.SESSIONS}),
            "the_state_of_a_page_that_was_only_looked_at_is_kept": "looked" in states,
            "the_queue_keeps_sessions_whose_results_were_fetched": "echo" in self.queue.pending_event_ids_session,
            "the_names_of_deleted_files_are_kept": any(self.blocks.temp_file_sets),
            "the_ids_of_cancelled_generators_are_kept": bool(self.blocks.app.iterators_to_reset),
            "the_ids_of_watched_uploads_are_kept": "a" in file_upload_statuses._signals,
            "every_request_is_remembered_for_statistics": bool(self.queue.event_analytics),
            "a_silent_camera_keeps_its_place": bool(
                self.queue.event_queue_per_concurrency_id["camera"].current_concurrency
            ),
            "tools_upload_files_of_the_machine": any((FOLDER / "uploads").rglob("secret.png")),
            "what_callers_of_tools_send_is_logged_by_mcp": bool(self.log.names - {"root"}),
            "what_callers_of_tools_send_is_logged_by_the_root_logger": "root" in self.log.names,
            "results_that_nobody_fetches_are_kept": "unfetched" in self.queue.pending_messages_per_session,
        }


def served() -> dict[str, bool]:
    """What is still kept some time after the visits."""
    visit = Visit()
    visit.visit()
    ends = time.monotonic() + (PATIENCE_S if PATCHED else SETTLED_S)
    while any(visit.kept().values()) and time.monotonic() < ends:
        time.sleep(0.2)
    kept = visit.kept()
    visit.blocks.close()
    return kept
