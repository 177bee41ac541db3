"""Pictures -> what the network takes -> logits, the same in training, judging and exporting."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from training.data import Split


class Normalisation(Protocol):
    """`training.config.Config`, or anything else that says which grey levels, on the scale 0..1, become 0 and 1."""

    @property
    def mean(self) -> float: ...
    @property
    def std(self) -> float: ...


def to_device(split: Split, config: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Normalised grey pictures float32 [N, 1, 48, 48] and labels int64 [N]."""
    pictures = torch.from_numpy(split.pictures).unsqueeze(1).float().div_(255)
    return ((pictures - config.mean) / config.std).to(device), torch.from_numpy(split.labels).to(device)


def as_input(grey: Tensor) -> Tensor:
    """Grey [N, 1, H, W] repeated to the three channels that the network takes."""
    return grey.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def predict(network: nn.Module, pictures: Tensor, bf16: bool = False, batch_size: int = 256) -> Tensor:
    """Logits, float32 [N, 7], with the network in evaluation mode; computed in float32, or in bfloat16."""
    network.eval()
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=bf16):
        return torch.cat([network(as_input(chunk)) for chunk in pictures.split(batch_size)]).float()
