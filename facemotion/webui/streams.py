"""The places of the cameras: each is given back after a time, and earlier when no frames come any more."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from facemotion import settings


@dataclass
class _Place:
    """One stream, from its first call on."""

    since_s: float = field(default_factory=time.monotonic)
    timer: asyncio.TimerHandle | None = None


class Streams:
    """Watches the calls of streams. gradio itself counts only the seconds in which a stream's handler runs, and
    waits as long again for each next frame, so that a caller who sends nothing could keep a place for himself."""

    def __init__(self) -> None:
        self._places: WeakKeyDictionary[Any, _Place] = WeakKeyDictionary()

    @contextmanager
    def step(self, event: Any, has_frame: bool) -> Iterator[None]:
        """Around one call of a stream's handler, in the server's event loop. `event` is gradio's; without one it does
        nothing."""
        if event is None:
            yield
            return
        place = self._places.setdefault(event, _Place())
        if has_frame and place.timer is not None:
            place.timer.cancel()
            place.timer = None
        yield
        if time.monotonic() - place.since_s > settings.STREAM_SECONDS:
            event.run_time = math.inf  # this answer is the last
        elif place.timer is None:
            place.timer = asyncio.get_running_loop().call_later(settings.STREAM_IDLE_S, _close, event)


def _close(event: Any) -> None:
    """As gradio does when a page closes its stream."""
    event.run_time = math.inf
    event.closed = True
    event.signal.set()
