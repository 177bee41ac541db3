"""Times of repeated calls, what they were measured on, and how they are summed up."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

PACKAGES = ("onnxruntime", "opencv-python-headless", "gradio", "numpy", "pillow")
WARM_UP = 2  # calls that are not counted


def repeat(call: Callable[[], Any], count: int) -> list[float]:
    """Milliseconds of `count` calls, after some that are not counted."""
    times = []
    for index in range(WARM_UP + count):
        started = time.perf_counter()
        call()
        if index >= WARM_UP:
            times.append((time.perf_counter() - started) * 1e3)
    return times


def summary(times: list[float]) -> dict[str, float]:
    """Median and 95th percentile, in the unit of the times; and how many there were."""
    high = quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    return {"median": round(median(times), 2), "p95": round(high, 2), "count": len(times)}


def machine(packages: tuple[str, ...] = PACKAGES) -> dict[str, Any]:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {name: version(name) for name in packages},
    }


def as_sentence(on: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in on["versions"].items())
    return f"{on['processor']}, {on['processors']} processors; Python {on['python']}, {versions}"
