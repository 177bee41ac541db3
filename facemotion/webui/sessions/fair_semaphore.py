"""A semaphore that serves waiting threads in order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock


class FairSemaphore:
    """First come, first served semaphore with a number of permits.

    Each camera has at most a single frame here, so all cameras get the same share; `threading.Semaphore` lets newcomers
    overtake. And the fewer threads compete, the sooner the server itself gets to run, which answers everybody else.
    """

    def __init__(self, permits: int) -> None:
        self._free = permits
        self._waiting: deque[Event] = deque()
        self._lock = Lock()

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Hold a permit; wait for it in order of arrival."""
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
