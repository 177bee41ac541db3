"""The architectures that were only tried: what they take, give and cost, and that nobody serves them by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.training.tree import write_tree
from training.common.errors import DataError
from training.expression import ablation_networks, export, networks, train
from training.expression.config import Config

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ablation_networks.CANDIDATES)
def test_a_candidate_learns_at_the_cost_of_the_network_it_stands_beside(name: str) -> None:
    torch.manual_seed(0)
    network = ablation_networks.build(name)
    cost = ablation_networks.multiply_adds(networks.build("emotionnet"))
    assert 0.6 * cost < ablation_networks.multiply_adds(network) < 1.01 * cost
    assert networks.count_parameters(network) < 5_000_000
    network.train()(torch.randn(4, 1, 48, 48)).logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("name", ablation_networks.TEACHERS)
def test_a_teacher_may_cost_more(name: str) -> None:
    network = ablation_networks.build(name)
    assert ablation_networks.multiply_adds(network) == 266_004_160  # as its docstring tells
    assert network.eval()(torch.randn(2, 1, 48, 48)).shape == (2, 7)


def test_multiply_adds_by_hand() -> None:
    """SimpleCNN's convolutions and linear layers, as its docstring counts them: 293 million."""
    convolutions = 48**2 * 3 * 64 * 9 + 24**2 * 64 * 128 * 25 + 12**2 * 128 * 512 * 9 + 6**2 * 512 * 512 * 9
    linear = 512 * 9 * 256 + 256 * 512 + 512 * 7
    network = networks.build("simplecnn").train()
    assert ablation_networks.multiply_adds(network) == convolutions + linear
    assert network.training


def test_a_candidate_is_trained_and_not_served(tmp_path: Path) -> None:
    tree, run = write_tree(tmp_path / "data"), tmp_path / "run"
    train.train(Config(network="candidate-mobile", epochs=1, batch_size=16, limit=21), tree, run)
    with pytest.raises(DataError, match="candidate-mobile was only tried; what can be served is simplecnn, emotionnet"):
        export.export(run, tree, tmp_path / "out")
