"""The places of the cameras: each is given back when no frames come any more."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from facemotion import settings


class IdleStreams:
    """Watches the calls of streams. gradio itself waits for each next frame for `settings.STREAM_SECONDS`, so that a
    few callers who send nothing could keep all places for themselves."""

    def __init__(self) -> None:
        self._timers: dict[Any, asyncio.TimerHandle] = {}  # by gradio's event, for `STREAM_IDLE_S` after each frame

    @contextmanager
    def step(self, event: Any, has_frame: bool) -> Iterator[None]:
        """Around one call of a stream's handler, in the server's event loop. `event` is gradio's; without one it does
        nothing."""
        if has_frame and (timer := self._timers.pop(event, None)):
            timer.cancel()
        yield
        if event is not None and event not in self._timers:
            later = asyncio.get_running_loop().call_later
            self._timers[event] = later(settings.STREAM_IDLE_S, self._close, event)

    def _close(self, event: Any) -> None:
        """As gradio does when a page closes its stream; of one that has ended, nothing is left to close."""
        del self._timers[event]
        event.run_time = math.inf
        event.closed = True
        event.signal.set()
