"""Model folders as `training.expression.export` writes them, of weights that no run gave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from facemotion import EMOTIONS
from facemotion.expression.classifier import CONFIG_FILE, WEIGHTS_FILE
from training.expression import networks
from training.expression.config import Config


def write(folder: Path, tensors: Mapping[str, Tensor], network: str = "simplecnn", **more: Any) -> Path:
    """A network with these weights and a temperature of 2, in a new folder; `more` goes into its config.json. Returns
    `folder`."""
    folder.mkdir()
    save_file(dict(tensors), folder / WEIGHTS_FILE)
    about = {
        "network": network,
        "labels": list(EMOTIONS),
        "input": {"size": networks.input_size(network)},
        "normalisation": {"mean": Config.mean, "std": Config.std},
        "temperature": 2.0,
        "uncertain": {"min_confidence": 0.4, "min_lead": 0.1},
    }
    (folder / CONFIG_FILE).write_text(json.dumps(about | more))
    return folder
