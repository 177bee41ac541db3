"""Expression networks as served: an ONNX graph without weights, filled from safetensors.

`training.expression.served_graphs` writes a graph for each network of `networks`, into assets/graphs: NAME.onnx, whose
initializers carry the names of the tensors and no values, and NAME.json, which lists them. So any weights of a known
network, embedded, from the Hub or from a folder, are served by ONNX Runtime, and PyTorch need not be imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from facemotion import runtime, weights
from facemotion.errors import UnsafeWeights, WeightsMismatch

FOLDER = "graphs"


@dataclass(frozen=True)
class Spec:
    """Input and tensor shapes of a network.

    `unused` are those that only training reads, such as batch normalisation's counters.
    """

    input_channels: int
    input_size: int
    tensors: Mapping[str, tuple[int, ...]]
    unused: frozenset[str] = frozenset()


class Network:
    """A network with the weights of a safetensors file, float16 or float32; several threads may call it.

    Raises:
        KeyError: there is no network of that name.
        UnsafeWeights: the file is no safetensors; a pickle is never opened.
        WeightsMismatch: names, shapes or types of its tensors are not the network's; the message lists how.
    """

    def __init__(self, name: str, file: Path) -> None:
        self.name, self.file, self.spec = name, file, spec(name)
        tensors = read_strictly(file, self.spec.tensors)
        used = {key: tensor.astype(np.float32) for key, tensor in tensors.items() if key not in self.spec.unused}
        self._session = runtime.open_session(weights.embedded(FOLDER) / f"{name}.onnx", used)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the name and the file; the other process opens its own session."""
        return type(self), (self.name, self.file.absolute())

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits float32 [N, 7], in the order of `EMOTIONS`, of `images`, float32 [N, channels, size, size]."""
        (logits,) = self._session.run(None, {"images": images})
        return np.asarray(logits, np.float32)


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Names of the networks that can be served."""
    return tuple(sorted(file.stem for file in weights.embedded(FOLDER).glob("*.onnx")))


@lru_cache(maxsize=8)
def spec(name: str) -> Spec:
    """Specification of a network.

    Raises:
        KeyError: there is none of that name.
    """
    if name not in names():
        raise KeyError(name)
    content = json.loads((weights.embedded(FOLDER) / f"{name}.json").read_text("utf-8"))
    shapes = {key: tuple(shape) for key, shape in content["tensors"].items()}
    return Spec(content["input"]["channels"], content["input"]["size"], shapes, frozenset(content["unused"]))


def read_strictly(file: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.generic]]:
    """Read a safetensors file whose tensors have exactly the names and shapes in `expected`.

    Raises:
        UnsafeWeights: it is no safetensors; a pickle is never opened.
        WeightsMismatch: names or shapes differ; the message lists how. Or a tensor is of a type that NumPy lacks.
    """
    try:
        tensors = load_file(file)
    except SafetensorError:
        raise UnsafeWeights(f"{file.name} is not in the safetensors format, and nothing else is loaded.") from None
    except (KeyError, TypeError, ValueError):  # bfloat16 or float8
        raise _unsupported_type(file) from None
    if any(tensor.dtype.kind not in "fiu" for tensor in tensors.values()):  # likewise, where a library defines them
        raise _unsupported_type(file)
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if differences := _differences(expected, found):
        raise WeightsMismatch(f"{file.name} does not fit the network: {'; '.join(differences)}.")
    return tensors


def _unsupported_type(file: Path) -> WeightsMismatch:
    return WeightsMismatch(f"{file.name} must hold float16 or float32, not another kind of number.")


def _differences(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> list[str]:
    missing = [f"{name} is missing" for name in expected if name not in found]
    surplus = [f"{name} is unknown" for name in found if name not in expected]
    shapes = [
        f"{name} is {found[name]}, not {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    return missing + surplus + shapes
