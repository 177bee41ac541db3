"""Distributed training under torchrun: shares of a batch, averaged gradients, summed metrics.

Each step's batch is dealt out to the processes, so a recipe means the same with any number of them: every row of
an epoch goes to one process, no row twice to fill a batch up, and the averaged gradient is that of the whole batch.
Shares may differ by one row; each process weighs its loss by its share.

Batch norm, which looks at the other pictures of a batch, is computed over all processes on GPUs (SyncBatchNorm).
PyTorch has that for GPUs only: on the CPU each process normalises its own share, and the running statistics are those
of process 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.common.errors import DataError

VARIABLES = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}  # what torchrun sets, and what holds without it
BACKENDS = {"cuda": "nccl", "cpu": "gloo"}
LEAST_SHARE = 2  # rows: batch norm cannot train on one


@dataclass(frozen=True)
class DistributedContext:
    """Rank and number of the processes of a run; only rank 0 validates, prints and writes."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # on this machine: the number of its GPU

    @classmethod
    def from_environment(cls) -> DistributedContext:
        """The context that torchrun set; a single process without it."""
        return cls(*(int(os.environ.get(name, default)) for name, default in VARIABLES.items()))

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """A context in which the process group is initialised.

        Raises:
            DataError: the device cannot be used by several processes.
        """
        if self.size == 1:
            yield
            return
        if device.type not in BACKENDS:
            raise DataError(f"several processes train on CUDA or on the CPU, not on {device.type}: --device cpu")
        if device.type == "cuda":
            torch.cuda.set_device(device)  # else each process keeps a context on the first GPU too
        distributed.init_process_group(BACKENDS[device.type])
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch of rows."""
        return rows[self.rank :: self.size]

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network with gradients that are averaged over the processes; it shares `network`'s parameters."""
        if self.size == 1:
            return network
        if device.type == "cuda":
            return DistributedDataParallel(
                nn.SyncBatchNorm.convert_sync_batchnorm(network),  # type: ignore[no-untyped-call]
                device_ids=[device],
            )
        return DistributedDataParallel(network)

    def loss(self, losses: Tensor, batch_rows: int) -> Tensor:
        """The loss of this process's share, to differentiate.

        Args:
            losses: [n], of this process's share.
            batch_rows: in the whole batch.

        Returns:
            a scalar whose average over the processes is the mean over the whole batch.
        """
        return losses.sum() * (self.size / batch_rows)

    def total(self, sums: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            distributed.all_reduce(sums)
        return sums


def batches(rows: Tensor, size: int, context: DistributedContext) -> list[Tensor]:
    """The rows in their order, in batches of `size`; every process must give the same ones.

    A last batch too small to give each process `LEAST_SHARE` rows is joined to the one before it.

    Raises:
        DataError: `size` or the number of rows is too small for that.
    """
    least = LEAST_SHARE * context.size
    if min(len(rows), size) < least:
        raise DataError(f"{context.size} process(es) need {least} training pictures and a batch of {least} at least")
    chunks = list(torch.split(rows, size))
    if len(chunks[-1]) < least:
        chunks[-2:] = [torch.cat(chunks[-2:])]
    return chunks
