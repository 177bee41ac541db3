"""Provenance of a run: commit, versions and machine, without names of people, hosts or folders."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

import facemotion

HERE = Path(__file__).parent


def commit() -> dict[str, Any]:
    """`commit` of the code that runs, and whether it is `dirty`: other than that commit in a file that git knows.

    "unknown" and None outside a clone.
    """
    revision = _git("rev-parse", "HEAD")
    if revision is None:
        return {"commit": "unknown", "dirty": None}
    return {"commit": revision, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def _git(*arguments: str) -> str | None:
    try:
        # Without locks: to look at a clone must not write to it.
        command = ["git", "--no-optional-locks", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False)
    except OSError:  # there is no git
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, the device and the machine, ready for JSON."""
    return commit() | {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "facemotion": facemotion.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """Its name, which Linux tells only through PyTorch."""
    return str(torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine())
