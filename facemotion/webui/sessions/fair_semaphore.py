"""FairSemaphore at the processor: those who wait come in the order in which they came."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock


class FairSemaphore:
    """As many at once as there are `permits`.

    Each camera has one frame here at most, so that first come, first served gives all of them the same share; a
    semaphore lets newcomers overtake. And the fewer threads compete, the sooner the server itself gets to run, which
    answers everybody else.
    """

    def __init__(self, permits: int) -> None:
        self._free = permits
        self._waiting: deque[Event] = deque()
        self._lock = Lock()

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Waits for a place, and gives it to the next afterwards."""
        with self._lock:
            granted = None if self._free else Event()
            if granted is None:
                self._free -= 1
            else:
                self._waiting.append(granted)
        if granted is not None:
            granted.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._free += 1


def cpu_count() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
