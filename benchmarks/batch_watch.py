"""What a driver of `facemotion batch` and the processes below it use, looked at while it runs."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import psutil

EVERY_S = 0.5
KEPT = 200  # of the looks at the memory, for a chart


class Watch:
    """Looks at a process and those below it until the block ends."""

    def __init__(self, process: int) -> None:
        self._driver = psutil.Process(process)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._processor_s: dict[int, float] = {}
        self.seen: list[tuple[float, float, float]] = []
        """Seconds, and megabytes of the driver and of its largest worker."""

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def driver_mb(self) -> float:
        """The most that the driver had in memory."""
        return max((driver for _, driver, _ in self.seen), default=0.0)

    @property
    def worker_mb(self) -> float:
        """The most that a worker had in memory."""
        return max((worker for _, _, worker in self.seen), default=0.0)

    @property
    def processor_s(self) -> float:
        """Seconds of a processor that all of them took, Ray's own included, up to the last look at each."""
        return round(sum(self._processor_s.values()), 2)

    def thinned(self) -> list[tuple[float, float, float]]:
        """What was seen, at most `KEPT` of it."""
        return self.seen[:: -(-len(self.seen) // KEPT) or 1]

    def _look(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(EVERY_S):
            try:
                driver = self._driver.memory_info().rss / 1e6
                family = [self._driver, *self._driver.children(recursive=True)]
            except psutil.Error:
                continue
            largest = max(map(self._look_at, family))
            self.seen.append((round(time.monotonic() - started, 1), round(driver, 1), round(largest, 1)))

    def _look_at(self, one: psutil.Process) -> float:
        """Notes its processor time; returns the resident megabytes of a worker, 0 for any other process."""
        try:
            with one.oneshot():
                times = one.cpu_times()
                self._processor_s[one.pid] = times.user + times.system
                return one.memory_info().rss / 1e6 if "MapWorker" in " ".join(one.cmdline()) else 0.0
        except psutil.Error:
            return 0.0
