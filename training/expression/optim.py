"""Optimizer, learning-rate schedule, moving average of the weights, loss, and mixup."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from training.expression.config import Config

MOMENTUM = 0.9


def make_optimizer(config: Config, network: nn.Module) -> torch.optim.Optimizer:
    """Adam as the study used it, or stochastic gradient descent with Nesterov's momentum.

    Weight decay spares biases and the scales of batch norm, which it would only shrink (Goyal et al., "Accurate,
    Large Minibatch SGD", 2017).
    """
    if config.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=MOMENTUM, nesterov=True)


def learning_rate_at(config: Config, progress: float) -> float:
    """The learning rate after the share `progress`, 0..1, of the run: constant, or rising in a line over the warm-up
    and then falling to 0 along half a cosine (Loshchilov and Hutter, "SGDR", 2017)."""
    if config.schedule == "constant":
        return config.learning_rate
    warm_up = config.warmup_epochs / config.epochs
    if progress < warm_up:
        return config.learning_rate * progress / warm_up
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of all parameter groups."""
    for group in optimizer.param_groups:
        group["lr"] = value


def ema_of(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the weights and of batch norm's statistics (Polyak).

    Call `update_parameters` after every step. The first steps use a smaller decay, to forget the initial weights.
    """

    def move(averages: Sequence[Tensor], values: Sequence[Tensor], _: object) -> None:
        if not averages[0].is_floating_point():
            torch._foreach_copy_(list(averages), list(values))
            return
        steps = int(averaged.n_averaged)  # which stays with the processor: asking a GPU would make it wait
        torch._foreach_lerp_(list(averages), list(values), 1 - min(decay, (1 + steps) / (10 + steps)))

    averaged = AveragedModel(network, multi_avg_fn=move, use_buffers=True)
    return averaged


def log_priors(targets: Tensor) -> Tensor:
    """Log share of each class among targets [N, 7]: [7]."""
    return targets.double().mean(0).clamp_min(1e-6).log().float()


def classification_losses(logits: Tensor, targets: Tensor, config: Config, prior: Tensor) -> Tensor:
    """Cross entropy of each row, [N].

    With `config.balance` the logits are shifted by that much of the classes' log shares before they are judged: what
    the network itself learns is then less about how frequent an expression is than about how it looks (Menon et al.,
    "Long-Tail Learning via Logit Adjustment", 2021).

    Args:
        logits: float [N, 7].
        targets: labels int [N], or distributions float [N, 7].
        config: balance and label smoothing.
        prior: from `log_priors`.
    """
    shifted = logits.float() + config.balance * prior if config.balance else logits.float()
    return functional.cross_entropy(shifted, targets, reduction="none", label_smoothing=config.label_smoothing)


def mixup(pictures: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Mix each image and its targets with another of the batch (Zhang et al., "mixup", 2018).

    Args:
        pictures: float [N, ...].
        targets: distributions float [N, 7].
        alpha: of the Beta distribution that the shares are drawn from; small ones blend little.
    """
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    share = max(share, 1 - share)  # the picture that gives its place outweighs the other
    others = torch.randperm(len(pictures), device=pictures.device)
    return share * pictures + (1 - share) * pictures[others], share * targets + (1 - share) * targets[others]


def count_correct(logits: Tensor, targets: Tensor) -> Tensor:
    """The number of rows whose highest logit is at the highest target."""
    labels = targets.argmax(1) if targets.ndim == 2 else targets
    return (logits.argmax(1) == labels).sum()
