"""The graphs that serve the networks: as PyTorch computes them, filled strictly, from any folder."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from facemotion.errors import UnsafeWeights, WeightsMismatch
from facemotion.expression import onnx_network
from training.expression import networks
from training.expression import served_graphs as exporting

RUN = "run `python -m training.expression.served_graphs`"


def saved(name: str, folder: Path, change: dict[str, torch.Tensor | None] | None = None) -> Path:
    """Random weights of a network, some tensors replaced or, where None, left out."""
    tensors = exporting.randomised(name, seed=1).state_dict() | (change or {})
    save_file({key: value for key, value in tensors.items() if value is not None}, folder / "model.safetensors")
    return folder / "model.safetensors"


def test_there_is_one_for_each_network() -> None:
    assert set(onnx_network.names()) == set(networks.NETWORKS), RUN


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_it_lists_the_tensors_of_the_network(name: str) -> None:
    spec, network = onnx_network.spec(name), networks.build(name)
    assert dict(spec.tensors) == {key: tuple(one.shape) for key, one in network.state_dict().items()}, RUN
    assert (spec.input_channels, spec.input_size) == (networks.input_channels(name), network.input_size), RUN
    assert all(key.endswith("num_batches_tracked") for key in spec.unused)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_it_computes_what_pytorch_computes(name: str) -> None:
    assert exporting.parity_error(name, seed=5) < exporting.MAX_PARITY_ERROR, RUN


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_the_graph_holds_no_path_of_the_machine_that_wrote_it(name: str) -> None:
    content = (exporting.ASSETS / onnx_network.FOLDER / f"{name}.onnx").read_bytes()
    assert not any(word in content for word in (b".py", b"site-packages", str(exporting.ASSETS.parent).encode()))


def test_any_number_of_faces_from_several_threads(tmp_path: Path) -> None:
    network = onnx_network.Network("emotionnet", saved("emotionnet", tmp_path))
    pictures = np.random.default_rng(0).normal(size=(9, 1, 48, 48)).astype(np.float32)
    whole = network(pictures)
    assert whole.shape == (9, 7) and whole.dtype == np.float32
    with ThreadPoolExecutor(8) as pool:
        single = list(pool.map(lambda index: network(pictures[index : index + 1])[0], range(9)))
    np.testing.assert_allclose(np.stack(single), whole, atol=1e-4)


@pytest.mark.parametrize("kind", [torch.float16, torch.float64])
def test_other_numbers_are_converted(tmp_path: Path, kind: torch.dtype) -> None:
    pictures = np.random.default_rng(0).normal(size=(2, 3, 48, 48)).astype(np.float32)
    expected = onnx_network.Network("simplecnn", saved("simplecnn", tmp_path))(pictures)
    tensors = exporting.randomised("simplecnn", seed=1).state_dict()
    change = {key: value.to(kind) for key, value in tensors.items() if value.is_floating_point()}
    served = onnx_network.Network("simplecnn", saved("simplecnn", tmp_path, change))(pictures)
    np.testing.assert_allclose(served, expected, atol=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stem.0.weight": None}, "stem.0.weight is missing"),
        ({"more": torch.zeros(1)}, "more is unknown"),
        ({"head.3.bias": torch.zeros(8)}, r"head.3.bias is \(8,\), not \(7,\)"),
        ({"head.3.bias": torch.zeros(7, dtype=torch.bfloat16)}, "must hold float16 or float32"),
    ],
)
def test_refuses_other_tensors(tmp_path: Path, change: dict[str, torch.Tensor | None], message: str) -> None:
    with pytest.raises(WeightsMismatch, match=message):
        onnx_network.Network("emotionnet", saved("emotionnet", tmp_path, change))


def test_refuses_what_is_no_safetensors(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"neither")
    with pytest.raises(UnsafeWeights):
        onnx_network.Network("emotionnet", tmp_path / "model.safetensors")


def test_an_unknown_network_is_none(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        onnx_network.Network("../yunet", tmp_path)


@pytest.mark.slow
def test_the_list_of_tensors_is_what_the_command_writes(tmp_path: Path) -> None:
    exporting.write("simplecnn", tmp_path)
    known = exporting.ASSETS / onnx_network.FOLDER / "simplecnn.json"
    assert json.loads((tmp_path / "simplecnn.json").read_text()) == json.loads(known.read_text()), RUN
