"""Turns at the processor: those who wait come in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock


class Turns:
    """As many at once as there are `places`.

    Each camera has one frame here at most, so that first come, first served gives all of them the same share; a
    semaphore lets newcomers overtake. And the fewer threads compete, the sooner the server itself gets to run, which
    answers everybody else.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[Event] = deque()
        self._lock = Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for a place, and gives it to the next afterwards."""
        with self._lock:
            called = None if self._free else Event()
            if called is None:
                self._free -= 1
            else:
                self._waiting.append(called)
        if called is not None:
            called.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._free += 1
