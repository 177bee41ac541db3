"""Training in the numbers of another processor: forced float32, or bfloat16, which a processor without units emulates.

A run chooses its arithmetic by the processor (`training.common.devices`), so a test that leaves it the choice cannot
find here what fails elsewhere. A test whose bound depends on the arithmetic takes the fixture `arithmetic` and runs
twice; `pytest --arithmetic=bfloat16` forces all others. A bound is a number of roundings, each off by `UNIT` of
the value at most.
"""

from __future__ import annotations

import pytest
import torch

CHOICES = ("float32", "bfloat16")
UNIT = {"float32": 2.0**-24, "bfloat16": 2.0**-9}  # half the distance from 1 to the next number


def force(choice: str, patch: pytest.MonkeyPatch) -> None:
    """Makes PyTorch tell that the processor has units for bfloat16, or that it has none."""
    known = torch.cpu.get_capabilities()
    patch.setattr(torch.cpu, "get_capabilities", lambda: known | {"avx512_bf16": choice == "bfloat16"})
