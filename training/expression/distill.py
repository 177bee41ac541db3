"""Distillation: teacher networks from finished runs, and their mean probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from facemotion import weights
from facemotion.faces import EMOTIONS
from training.expression import ablation_networks, networks
from training.expression.config import Config, ConfigError
from training.expression.data.dataset import Split
from training.expression.inference import as_input, predict
from training.expression.networks import HEADS, MULTI_HEAD, MultiHeadNet

BATCH = 1024  # pictures


@dataclass(frozen=True)
class Teacher:
    """A trained network, its recipe, and the pin `folder#sha256`."""

    network: nn.Module
    config: Config
    pin: str


def load(run: Path, device: torch.device) -> Teacher:
    """The best weights of a run of training.expression.train.

    Raises:
        ConfigError: it is no run with an epoch in it.
    """
    config = Config.of_run(run)
    file = run / "best.pt"
    if not file.is_file():
        raise ConfigError(f"--teachers names {run}, which holds no best.pt: it is no run with an epoch in it")
    network = ablation_networks.build(config.network)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["network"])
    ready = networks.channels_last(network, device).eval()
    return Teacher(ready, config, f"{run.absolute().name}#{weights.sha256(file)}")


def teacher_probabilities(teachers: Sequence[Teacher], pictures: Tensor, prior: Tensor, bf16: bool) -> Tensor:
    """The mean of the teachers' probabilities, float32 [N, 7].

    A teacher that learned with `balance` has logits that are to be shifted by as much of the log shares before they
    answer for these pictures (`optim.classification_losses`).

    Args:
        teachers: one or more.
        pictures: grey float32 [N, 1, S, S], 0..1, where the teachers are.
        prior: log share of each class among the pictures, [7].
        bf16: whether they compute in bfloat16.
    """
    mean = torch.zeros(len(pictures), len(prior), device=pictures.device)
    for teacher in teachers:
        logits = predict(teacher.network, (pictures - teacher.config.mean) / teacher.config.std, bf16, BATCH)
        mean += (logits + teacher.config.balance * prior).softmax(1) / len(teachers)
    return mean


@torch.inference_mode()
def head_probabilities(teachers: Sequence[Teacher], split: Split, bf16: bool) -> Tensor:
    """The mean probabilities of the teachers' heads, float32 [N, 4, 7] on the CPU, in the order of `HEADS`.

    Each picture is seen as it is and mirrored, without augmentation: what the teachers see best in it. A head counts
    where it learned from labels; one that no teacher learned has probabilities of 0.

    Args:
        teachers: one or more networks of several heads.
        split: the pictures, of any side.
        bf16: whether they compute in bfloat16.

    Raises:
        ConfigError: a teacher has a single head.
    """
    mean, count = torch.zeros(len(split), len(HEADS), len(EMOTIONS)), torch.zeros(len(HEADS))
    for teacher in teachers:
        if not isinstance(teacher.network, MultiHeadNet):
            name = teacher.pin.partition("#")[0]
            raise ConfigError(f"--teachers names {name}, which has a single head: name runs of --network {MULTI_HEAD}")
    for teacher in teachers:
        network = teacher.network
        assert isinstance(network, MultiHeadNet)
        learned = learned_heads(network)
        count += learned
        device = next(network.parameters()).device
        for start in range(0, len(split), BATCH):
            grey = torch.from_numpy(split.pictures[start : start + BATCH]).to(device).unsqueeze(1).float() / 255
            normal = as_input((grey - teacher.config.mean) / teacher.config.std, network)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                views = torch.stack([network.head_logits(normal), network.head_logits(normal.flip(3))])
            mean[start : start + BATCH] += views.float().softmax(3).mean(0).cpu() * learned[:, None]
    return mean / count.clamp_min(1)[:, None]


def learned_heads(network: MultiHeadNet) -> Tensor:
    """Which heads of a trained network learned from labels, as 0 or 1, float32 [4]: training gives no weight to the
    others."""
    learned = (network.mix > 0).float().cpu()
    learned[HEADS.index("labels")] = 1
    return learned


def blended(targets: Tensor, weights: Tensor, taught: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Targets [N, 4, 7] and weights [N, 4] of heads that learn from teachers too.

    Beside a label the teachers' probabilities `taught`, [N, 4, 7], have the weight `share` in the target. Where a head
    has no label (its weight is 0) they are the whole target, and count by `share`. Where no teacher knows the head (all
    of them are 0) nothing changes.
    """
    labelled, known = weights > 0, taught.sum(2) > 0
    both, alone = labelled & known, ~labelled & known
    targets = torch.where(both.unsqueeze(2), torch.lerp(targets, taught, share), targets)
    targets = torch.where(alone.unsqueeze(2), taught, targets)
    return targets, torch.where(alone, torch.full_like(weights, share), weights)
