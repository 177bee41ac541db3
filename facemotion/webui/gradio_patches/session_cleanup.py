"""Frees per-session state that Gradio never releases.

Gradio 6.31.0 keeps every request for statistics, the queue entries of every session, the state of callers without a
session up to `settings.MAX_SESSIONS`, every watched upload, and the names of deleted files.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.queueing import Queue
from gradio.routes import file_upload_statuses
from gradio.state_holder import SessionState, StateHolder

from facemotion import settings
from facemotion.webui.server.error_responses import for_status

SWEEP_EVERY_S = 10.0
UNCLAIMED_S = 300.0  # unclaimed results are dropped after this
MAX_PENDING = 2000  # sessions with results to fetch, as in gradio
MAX_SESSION_NAME = 255  # characters of a session's name: the page draws 11; gradio keeps each as a key, however long
CLOSED_S = 600.0  # the state of a closed page is dropped; a connection that was only interrupted is back by then


def install(page: gr.Blocks) -> None:
    """Start the cleanup of a page. Call it after `page.queue`."""
    page._queue.ANALYTICS_MAX_EVENTS = 0  # else 10,000 requests are kept, and pandas runs after each
    page._queue.pending_messages_per_session = PendingMessages(page._queue)  # type: ignore[assignment]
    StateHolder.__getitem__ = get_state  # type: ignore[method-assign]
    Queue.wait_for_event_or_timeout = staticmethod(wait_for_event_or_timeout)  # type: ignore[method-assign,assignment]

    async def start() -> None:
        sweeps.add(asyncio.create_task(_sweep_forever(page)))

    sweeps: set[asyncio.Task[None]] = set()  # the event loop itself keeps only weak references
    page.extra_startup_events.append(start)


def drop_anonymous_state(page: gr.Blocks, session: str | None, event: str | None) -> None:
    """Drop the state of a request without a session."""
    if session is not None and session == event:
        _drop_state(page, session)


def mark_closed(page: gr.Blocks, session: str | None) -> None:
    """Mark the state of a page that is being closed.

    Gradio does so before the handlers of "unload" run, and only if a state exists. For an unused page, those handlers
    then create a state that would stay.
    """
    state = page.state_holder.session_data.get(session or "")
    if state is not None:
        state.is_closed = True


def forget_value(page: gr.Blocks, session: str, component: gr.components.Component) -> None:
    """Drop the last value of a component, which Gradio keeps for an hour after a page is closed."""
    state = page.state_holder.session_data.get(session)
    if state is not None:
        state.config_values.pop(component._id, None)


_gradio_get_state = StateHolder.__getitem__


def get_state(holder: StateHolder, session: str) -> SessionState:
    """Gradio's `StateHolder.__getitem__` for session names of bounded length.

    Raises:
        RequestError: the name is longer than any that is drawn; two hundred of the longest bodies were 5 GB of names.
    """
    if len(session) > MAX_SESSION_NAME:
        raise for_status(422)
    return _gradio_get_state(holder, session)


class PendingMessages(dict[str, Any]):
    """Messages waiting for each session.

    Gradio makes room by dropping the oldest, whose visitors may be listening. Here results that nobody is waiting for
    are dropped first.
    """

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self._queue = queue

    def __setitem__(self, session: str, messages: Any) -> None:
        if session not in self and len(self) >= MAX_PENDING:
            busy = {event.session_hash for event in self._queue.event_ids_to_events.values()}
            self.pop(next((name for name in self if name not in busy), ""), None)
        super().__setitem__(session, messages)


async def wait_for_event_or_timeout(event: Any, timeout: float) -> str:
    """Wait for the next frame of a stream: "signal", or "timeout".

    Gradio leaves a task for each frame, which sleeps until the time limit of the stream: 3000 for a camera.
    """
    try:
        await asyncio.wait_for(event.signal.wait(), timeout)
        return "signal"
    except asyncio.TimeoutError:  # another class than TimeoutError until Python 3.11
        return "timeout"
    finally:
        event.signal.clear()


async def _sweep_forever(page: gr.Blocks) -> None:
    sweeper = Sweeper(page)
    while page.is_running:
        await asyncio.sleep(SWEEP_EVERY_S)
        sweeper.sweep(time.monotonic())


class Sweeper:
    """Cleans Gradio's containers periodically in the server's event loop, which alone changes them."""

    def __init__(self, page: gr.Blocks) -> None:
        self._page = page
        self._files_s = 0.0  # when the names of files were last looked through
        self._since: dict[tuple[str, str], float] = {}  # when a leftover, by kind and name, was first seen

    def sweep(self, now_s: float) -> None:
        """Drop what has been unused for long enough."""
        queue = self._page._queue
        busy = {event.session_hash for event in queue.event_ids_to_events.values()}
        waiting = {*queue.pending_messages_per_session, *queue.pending_event_ids_session}
        due = self._due("session", waiting - busy, now_s, UNCLAIMED_S)
        for session in [*due, *_delivered_sessions(queue, busy)]:
            queue.pending_messages_per_session.pop(session, None)
            queue.pending_event_ids_session.pop(session, None)
        self._page.app.iterators_to_reset &= queue.event_ids_to_events.keys()
        for session in self._due("state", self._closed_sessions(busy), now_s, CLOSED_S):
            _drop_state(self._page, session.split(" ")[0])
        uploads = {*file_upload_statuses._statuses, *file_upload_statuses._signals}
        for upload in self._due("upload", uploads, now_s, UNCLAIMED_S):
            file_upload_statuses._statuses.pop(upload, None)
            file_upload_statuses._signals.pop(upload, None)
        if now_s - self._files_s >= settings.CLEAN_EVERY_S:
            self._files_s = now_s
            for files in self._page.temp_file_sets:
                files.difference_update([file for file in tuple(files) if not Path(file).exists()])

    def _due(self, kind: str, names: Iterable[str], now_s: float, after_s: float) -> list[str]:
        """Names that have been passed continuously for `after_s` seconds."""
        keys = {(kind, name) for name in names}
        for key in [key for key in self._since if key[0] == kind and key not in keys]:
            del self._since[key]
        return [key[1] for key in keys if now_s - self._since.setdefault(key, now_s) >= after_s]

    def _closed_sessions(self, busy: set[str]) -> set[str]:
        """Closed sessions with their last use, since a session that comes back stays marked as closed."""
        holder = self._page.state_holder
        closed = {name for name, state in holder.session_data.items() if state.is_closed}
        return {f"{name} {holder.time_last_used.get(name)}" for name in closed - busy}


def _delivered_sessions(queue: Any, busy: set[str]) -> set[str]:
    """Sessions whose results were all fetched, or whose visitor left. The next request creates the entry again."""
    ids, messages = queue.pending_event_ids_session, queue.pending_messages_per_session
    return {name for name in ids if not ids[name] or name not in messages} - busy


def _drop_state(page: gr.Blocks, session: str) -> None:
    holder = page.state_holder
    holder.delete_state(session)
    with holder.lock:
        holder.session_data.pop(session, None)
        holder.time_last_used.pop(session, None)
