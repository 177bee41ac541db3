"""ONNX Runtime, set up once for all networks that are served."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: "<microseconds> <period>", or "max <period>"
_ERRORS_ONLY = 3


class Session:
    """A network from an ONNX file, which several threads may run at once.

    Alone, a run is shared out over all processors. While others are at work it takes one thread: sharing out costs time
    of its own, and would then gain nothing.

    Args:
        file: the ONNX graph.
        tensors: the values of the initializers that the graph declares as external, by name.
    """

    def __init__(self, file: Path, tensors: Mapping[str, Floats] | None = None) -> None:
        self._wide, self._narrow = (_open(file, tensors or {}, threads) for threads in (cores(), 1))
        self.input: str = self._wide.get_inputs()[0].name

    def run(self, values: Floats, outputs: Sequence[str] | None = None) -> list[Floats]:
        """The outputs of those names, or all, for the one input."""
        with _running() as others:
            session = self._narrow if others else self._wide
            found: list[Floats] = session.run(outputs, {self.input: values})
            return found


class _Count:
    """How many networks are being run in this process."""

    lock, now = Lock(), 0


@contextmanager
def _running() -> Iterator[int]:
    """Counts this run, and gives how many others there are."""
    with _Count.lock:
        others = _Count.now
        _Count.now += 1
    try:
        yield others
    finally:
        with _Count.lock:
            _Count.now -= 1


def _open(file: Path, tensors: Mapping[str, Floats], threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads  # left to itself it binds one thread to each processor of the host
    # Threads that wait in a loop for the next pass would take the processor from the rest of the pipeline.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # it would keep a plan for each size of picture, and is no faster
    if tensors:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(one)) for one in tensors.values()]
        options.add_external_initializers(list(tensors), values)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=1)
def cores() -> int:
    """How many processors this process may use: those it is bound to, or fewer where a container's quota says so."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text("utf-8").split()
        return max(1, min(available, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no container, or no limit
        return available
