"""Model folders as `training.expression.export` writes them, of weights that no run gave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from facemotion import EMOTIONS
from facemotion.expression.classifier import CONFIG_FILE, WEIGHTS_FILE
from training.expression.config import Config


def write(folder: Path, tensors: Mapping[str, Tensor]) -> Path:
    """A SimpleCNN with these weights and a temperature of 2, in a new folder. Returns `folder`."""
    folder.mkdir()
    save_file(dict(tensors), folder / WEIGHTS_FILE)
    about = {
        "network": "simplecnn",
        "labels": list(EMOTIONS),
        "input": {"size": 48},
        "normalisation": {"mean": Config.mean, "std": Config.std},
        "temperature": 2.0,
        "uncertain": {"min_confidence": 0.4, "min_lead": 0.1},
    }
    (folder / CONFIG_FILE).write_text(json.dumps(about))
    return folder
