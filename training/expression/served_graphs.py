"""Exports the networks of training/expression/networks.py to ONNX graphs in facemotion/assets/graphs.

    python -m training.expression.served_graphs  # after a change of the networks, or for one that is new there

A graph holds no weights: its initializers carry the names of the network's tensors, and
facemotion/expression/onnx_network.py fills them from model.safetensors. So one export serves all weights of a network,
and a new training needs none. Prints the largest difference of a probability between PyTorch and the graph in ONNX
Runtime, on random weights and pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from facemotion.expression import onnx_network
from facemotion.weights import CHECKSUMS
from training.common.constants import ASSETS
from training.common.files import update_checksums, write_json
from training.expression import networks
from training.expression.onnx_export import exported

MAX_PARITY_ERROR = 1e-4  # of a probability
PICTURES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    folder = ASSETS / onnx_network.FOLDER
    folder.mkdir(exist_ok=True)
    for name in networks.NETWORKS:
        write(name, folder)
    update_checksums(ASSETS)
    onnx_network.names.cache_clear()
    onnx_network.spec.cache_clear()
    for name in networks.NETWORKS:
        error = parity_error(name)
        print(f"{name}: largest difference of a probability {error:.1e}, limit {MAX_PARITY_ERROR}")
        if error > MAX_PARITY_ERROR:
            raise SystemExit(f"The graph of {name} does not compute what PyTorch computes: do not serve it.")
    print(f"Written to {folder}, and {CHECKSUMS} anew.")


def write(name: str, folder: Path) -> None:
    """NAME.onnx and NAME.json."""
    network = networks.build(name).eval()
    model = graph(network)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    write_json(folder / f"{name}.json", describe(network, {tensor.name for tensor in model.graph.initializer}))


def describe(network: nn.Module, used: set[str]) -> dict[str, Any]:
    """What `onnx_network.Spec` holds."""
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    return {
        "input": {"channels": network.input_channels, "size": network.input_size},
        "tensors": shapes,
        "unused": [name for name in shapes if name not in used],
    }


def graph(network: nn.Module) -> Any:
    """The network as an ONNX model, its tensors' values left out."""
    import onnx  # noqa: PLC0415  (of requirements-train.txt)
    from onnxscript import optimizer  # noqa: PLC0415

    program = exported(network, network.input_channels, network.input_size, "logits", optimize=False)  # type: ignore[arg-type]
    # Not the exporter's whole optimisation: that folds batch normalisation into weights, which then have other values
    # than the tensors of that name. ONNX Runtime folds it when it loads the graph with its weights.
    tensors = network.state_dict()
    optimizer.inline(program.model)
    optimizer.fold_constants(program.model, should_fold=lambda node: None if _is_fixed(node, tensors) else False)
    optimizer.remove_unused_nodes(program.model)
    _strip(program.model)
    model = program.model_proto
    for initializer in model.graph.initializer:
        if initializer.name in tensors:
            _leave_out(initializer, onnx.TensorProto.EXTERNAL)
    return model


def _is_fixed(node: Any, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether no input of the operation is a tensor of the network, which another file of weights has otherwise."""
    return not any(value is not None and value.name in tensors for value in node.inputs)


def _strip(model: Any) -> None:
    """Leaves out where in which file of this machine each operation came from."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for part in (*model.graph, *model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        part.metadata_props.clear()
        for value in getattr(part, "outputs", ()):
            value.metadata_props.clear()


def _leave_out(initializer: Any, external: int) -> None:
    """Says that the values stand elsewhere; ONNX Runtime is handed them and reads no file."""
    length = int(np.prod(initializer.dims)) * np.dtype(np.float32).itemsize
    initializer.ClearField("raw_data")
    initializer.data_location = external
    for key, value in (("location", "model.safetensors"), ("offset", "0"), ("length", str(length))):
        entry = initializer.external_data.add()
        entry.key, entry.value = key, value


def parity_error(name: str, seed: int = 2013) -> float:
    """The largest difference of a probability between PyTorch and the graph, on random weights and pictures."""
    network = randomised(name, seed)
    size, channels = int(network.input_size), int(network.input_channels)  # type: ignore[arg-type]
    pictures = torch.rand(PICTURES, channels, size, size)
    with torch.inference_mode(), TemporaryDirectory() as folder:
        expected = torch.softmax(network(pictures), 1)
        save_file(network.state_dict(), Path(folder) / "model.safetensors")
        served = onnx_network.Network(name, Path(folder) / "model.safetensors")(pictures.numpy())
        return float((torch.softmax(torch.from_numpy(served), 1) - expected).abs().max())


def randomised(name: str, seed: int) -> nn.Module:
    """A network with random weights, and with statistics and weights of heads that are not the initial ones."""
    torch.manual_seed(seed)
    network = networks.build(name).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    if isinstance(network, networks.MultiHeadNet):
        network.mix.copy_(torch.rand(len(networks.HEADS)).softmax(0))
    return network


if __name__ == "__main__":
    main()
