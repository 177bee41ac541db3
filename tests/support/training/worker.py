"""One process of a run, watched: `torchrun ... -m tests.support.training.worker DATA FOLDER PORT...` trains in each
arithmetic, to FOLDER/<arithmetic>/run, and writes FOLDER/<arithmetic>/<rank>.pt. Each has a free PORT to meet at.

The network is SimpleCNN with batch norm in evaluation mode and dropout off, so that one process and several compute the
same; the learning rate is so small that the weights stay where they are.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.support.training import arithmetic
from training.expression import networks, train
from training.expression.config import Config

WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")


class Frozen(networks.SimpleCNN):
    """Always in evaluation mode."""

    def train(self, mode: bool = True) -> Frozen:
        return super().train(False)


def recipe() -> Config:
    """41 rows in batches of 20: the last row joins the second batch, whose shares differ by one."""
    return Config(network="frozen", epochs=1, batch_size=20, limit=41, learning_rate=1e-9, seed=3)


@contextmanager
def watched() -> Iterator[dict[str, list[Any]]]:
    """Collects the gradients at each step of the optimizer, and which pictures were learned from; in float32, as
    bfloat16 rounds the shares of two processes otherwise than their whole."""
    seen: dict[str, list[Any]] = {"gradients": [], "pictures": []}

    def before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        seen["gradients"].append(torch.cat([parameter.grad.flatten().clone() for parameter in parameters]))

    def before_forward(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, Frozen) and torch.is_grad_enabled():
            pictures = inputs[0][:, 0].contiguous().numpy()
            seen["pictures"].extend(hashlib.sha256(picture).hexdigest() for picture in pictures)

    networks.NETWORKS["frozen"] = Frozen
    hooks = [register_optimizer_step_pre_hook(before_step), register_module_forward_pre_hook(before_forward)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
        del networks.NETWORKS["frozen"]


def watch_writing(folder: Path) -> list[str]:
    """From now on, what this process creates, changes or removes in `folder`."""
    written: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in WRITES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if changes and str(arguments[0]).startswith(str(folder)):
            written.append(str(arguments[0]))

    sys.addaudithook(hook)
    return written


def main() -> None:
    data, folder, *ports = sys.argv[1:]
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"  # torchrun's own remembers the first meeting at the second
    for numbers, port in zip(arithmetic.CHOICES, ports, strict=True):
        os.environ["MASTER_PORT"] = port
        place = Path(folder) / numbers
        place.mkdir(exist_ok=True)
        written = watch_writing(place / "run")
        with watched() as seen, pytest.MonkeyPatch.context() as patch:
            arithmetic.force(numbers, patch)
            metrics = train.train(recipe(), Path(data), place / "run", device="cpu")
        torch.save(seen | {"written": written, "metrics": bool(metrics)}, place / f"{os.environ['RANK']}.pt")


if __name__ == "__main__":
    main()
