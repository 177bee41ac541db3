"""ONNX Runtime sessions with the same options for all networks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from facemotion import settings

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: "<microseconds> <period>", or "max <period>"
_ERRORS_ONLY = 3


def open_session(file: Path, tensors: Mapping[str, NDArray[np.float32]] | None = None) -> Any:
    """Open an InferenceSession; several threads may use it at once.

    Args:
        file: the ONNX graph.
        tensors: the values of the initializers that the graph declares as external, by name.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = cores()  # the default pins a thread to each processor of the host
    # Spinning threads would take processor time from the rest of the pipeline.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # it keeps a plan for each image size, and is no faster
    if tensors:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tensor)) for tensor in tensors.values()]
        options.add_external_initializers(list(tensors), values)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=1)
def cores() -> int:
    """Number of processors for this process: its affinity, or fewer by a quota or FACEMOTION_MAX_THREADS."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    available = min(available, settings.MAX_THREADS)
    try:
        quota, period = _QUOTA.read_text("utf-8").split()
        return max(1, min(available, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no container, or no limit
        return available
