"""What gradio keeps of visits that are over, emptied: the server's memory depends on who is there, not on who was.

gradio 6.31 remembers every request for statistics, the queue's entry of every session, the state of every caller who
sends none for as long as there are fewer than `settings.MAX_SESSIONS`, every upload that was watched, and the names of
files that others deleted.
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
UNCLAIMED_S = 300.0  # a result that nobody has come for is dropped
MAX_PENDING = 2000  # sessions with results to fetch, as in gradio
MAX_SESSION_NAME = 255  # characters of a session's name: the page draws 11; gradio keeps each as a key, however long
CLOSED_S = 600.0  # the state of a closed page is dropped; a connection that was only interrupted is back by then


def install(page: gr.Blocks) -> None:
    """Keeps a page clean from its start on. Comes after `page.queue`."""
    page._queue.ANALYTICS_MAX_EVENTS = 0  # nobody reads these statistics, for which pandas runs after each request
    page._queue.pending_messages_per_session = PendingMessages(page._queue)  # type: ignore[assignment]
    StateHolder.__getitem__ = get_state  # type: ignore[method-assign]
    Queue.wait_for_event_or_timeout = staticmethod(wait_for_event_or_timeout)  # type: ignore[method-assign,assignment]

    async def start() -> None:
        sweeps.add(asyncio.create_task(_sweep_forever(page)))

    sweeps: set[asyncio.Task[None]] = set()  # the event loop itself keeps only weak references
    page.extra_startup_events.append(start)


def drop_anonymous_state(page: gr.Blocks, session: str | None, event: str | None) -> None:
    """Drops the state that was made for one request of a caller who sent no session."""
    if session is not None and session == event:
        _drop_state(page, session)


def mark_closed(page: gr.Blocks, session: str | None) -> None:
    """Marks the state of a page that is being closed. gradio does so before it runs the handlers of "unload", and only
    where there is a state; for a page that did nothing, those handlers then make one that would stay."""
    state = page.state_holder.session_data.get(session or "")
    if state is not None:
        state.is_closed = True


def forget_value(page: gr.Blocks, session: str, component: gr.components.Component) -> None:
    """Drops the last value of a component, which Gradio keeps with the state of a closed page for an hour."""
    state = page.state_holder.session_data.get(session)
    if state is not None:
        state.config_values.pop(component._id, None)


_gradio_get_state = StateHolder.__getitem__


def get_state(holder: StateHolder, session: str) -> SessionState:
    """As gradio's own, before anything else is kept under the session's name.

    Raises:
        RequestError: the name is longer than any that is drawn; two hundred of the longest bodies were 5 GB of names.
    """
    if len(session) > MAX_SESSION_NAME:
        raise for_status(422)
    return _gradio_get_state(holder, session)


class PendingMessages(dict[str, Any]):
    """The messages that wait for each session. gradio makes room by dropping those that came first, though their
    visitors may be listening; here what is dropped first are results whose visitors never came for them."""

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self._queue = queue

    def __setitem__(self, session: str, messages: Any) -> None:
        if session not in self and len(self) >= MAX_PENDING:
            busy = {event.session_hash for event in self._queue.event_ids_to_events.values()}
            self.pop(next((name for name in self if name not in busy), ""), None)
        super().__setitem__(session, messages)


async def wait_for_event_or_timeout(event: Any, timeout: float) -> str:
    """As gradio's own: "signal" when a stream's next frame has come, or "timeout"; but nothing waits on. gradio leaves
    a task behind for each frame, which sleeps until the stream's time limit has passed: 3000 of a camera."""
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
    """Looks through gradio's containers from time to time, in the server's event loop, which alone changes them."""

    def __init__(self, page: gr.Blocks) -> None:
        self._page = page
        self._files_s = 0.0  # when the names of files were last looked through
        self._since: dict[tuple[str, str], float] = {}  # when a leftover, by kind and name, was first seen

    def sweep(self, now_s: float) -> None:
        """Drops what has been left for long enough."""
        queue = self._page._queue
        busy = {event.session_hash for event in queue.event_ids_to_events.values()}
        due = self._due("session", _idle_sessions(queue, busy), now_s, UNCLAIMED_S)
        for session in [*due, *_delivered_sessions(queue, busy)]:
            queue.pending_messages_per_session.pop(session, None)
            queue.pending_event_ids_session.pop(session, None)
        self._page.app.iterators_to_reset &= queue.event_ids_to_events.keys()
        for session in self._due("state", self._closed_sessions(busy), now_s, CLOSED_S):
            _drop_state(self._page, session.split(" ")[0])
        for upload in self._due("upload", _uploads(), now_s, UNCLAIMED_S):
            file_upload_statuses._statuses.pop(upload, None)
            file_upload_statuses._signals.pop(upload, None)
        if now_s - self._files_s >= settings.CLEAN_EVERY_S:
            self._files_s = now_s
            for files in self._page.temp_file_sets:
                files.difference_update([file for file in tuple(files) if not Path(file).exists()])

    def _due(self, kind: str, names: Iterable[str], now_s: float, after_s: float) -> list[str]:
        """Those of `names` that have been given for so long without a pause."""
        keys = {(kind, name) for name in names}
        for key in [key for key in self._since if key[0] == kind and key not in keys]:
            del self._since[key]
        return [key[1] for key in keys if now_s - self._since.setdefault(key, now_s) >= after_s]

    def _closed_sessions(self, busy: set[str]) -> set[str]:
        """The sessions whose page was closed, each with its last use, since one that comes back stays marked so."""
        holder = self._page.state_holder
        closed = {name for name, state in holder.session_data.items() if state.is_closed}
        return {f"{name} {holder.time_last_used.get(name)}" for name in closed - busy}


def _idle_sessions(queue: Any, busy: set[str]) -> set[str]:
    return {*queue.pending_messages_per_session, *queue.pending_event_ids_session} - busy


def _delivered_sessions(queue: Any, busy: set[str]) -> set[str]:
    """Those whose every result was fetched, or whose visitor left; a session's next request makes its entry anew."""
    ids, messages = queue.pending_event_ids_session, queue.pending_messages_per_session
    return {name for name in ids if not ids[name] or name not in messages} - busy


def _uploads() -> set[str]:
    return {*file_upload_statuses._statuses, *file_upload_statuses._signals}


def _drop_state(page: gr.Blocks, session: str) -> None:
    holder = page.state_holder
    holder.delete_state(session)
    with holder.lock:
        holder.session_data.pop(session, None)
        holder.time_last_used.pop(session, None)
