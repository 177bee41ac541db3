"""Device and precision of a run."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from training.common.errors import DataError

DEVICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True)
class Precision:
    """Data type of matrix products; weights and losses are always float32.

    `scaled`: the loss is multiplied before its gradients are taken, because small ones vanish in float16.
    """

    dtype: torch.dtype
    scaled: bool = False

    def autocast(self, kind: str) -> torch.autocast:
        """A context in which the network computes in `dtype` on a device of that kind."""
        return torch.autocast(kind, self.dtype, enabled=self.dtype is not torch.float32)


FLOAT32 = Precision(torch.float32)


def precision_for(kind: str, bf16: bool) -> Precision:
    """The fastest precision that trains reliably on a kind of device.

    bfloat16 has float32's range and needs no care; processors and old GPUs without units for it emulate it, slower than
    float32. Old GPUs have units for float16. On Apple's GPUs float32 is used: there float16 gains little with a network
    of this size, and PyTorch does not scale losses there.

    Args:
        kind: "cuda", "mps" or "cpu".
        bf16: whether it has units for bfloat16, as `has_bf16_units` tells.
    """
    if kind == "cuda":
        return Precision(torch.bfloat16) if bf16 else Precision(torch.float16, scaled=True)
    return Precision(torch.bfloat16) if kind == "cpu" and bf16 else FLOAT32


def precision_of(device: torch.device) -> Precision:
    """`precision_for` this device."""
    return precision_for(device.type, has_bf16_units(device.type))


def choose_device(wanted: str = "auto", index: int = 0) -> torch.device:
    """The device of that name, or the fastest here.

    Args:
        wanted: one of `DEVICES`.
        index: of several GPUs, which one.

    Raises:
        DataError: this machine has no such device, or fewer GPUs.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = next(name for name, found in there.items() if found) if wanted == "auto" else wanted
    if not there[kind]:
        usable = ", ".join(name for name, found in there.items() if found)
        raise DataError(f"PyTorch {torch.__version__} finds no {kind} device here: choose --device {usable}, or auto")
    if kind == "cuda" and index >= torch.cuda.device_count():
        raise DataError(f"there are {torch.cuda.device_count()} GPUs, too few for this many processes")
    return torch.device(kind, index) if kind == "cuda" else torch.device(kind)


def has_bf16_units(kind: str = "cpu") -> bool:
    """Whether devices of this kind multiply bfloat16 faster than float32; others emulate it, ten times slower."""
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return kind == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
