"""Atomic writes of arrays, JSON and text; images of a folder; checksums of the assets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from facemotion.atomic import atomic_write
from facemotion.weights import CHECKSUMS, sha256
from training.common.constants import SUFFIXES


def write_array(path: Path, array: np.ndarray) -> None:
    """`numpy.save`, atomically."""
    replace(path, lambda file: np.save(file, array))


def write_json(path: Path, content: Any) -> None:
    """Indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """UTF-8, with line ends as they are, atomically."""
    replace(path, lambda file: file.write(text.encode("utf-8")))


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically; its folder is made where it is missing.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as (temporary,), temporary.open("wb") as file:
        write(file)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, by name, without hidden files: macOS leaves a "._0.jpg" beside each file it copies."""
    return sorted(f for f in folder.glob("*") if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))


def update_checksums(assets: Path) -> None:
    """Writes SHA256SUMS anew for the weights and configurations in the folders of `assets`; a folder without that file,
    which only the package's assets have, is left as it is."""
    if not (assets / CHECKSUMS).exists():
        return
    files = sorted(file for file in assets.glob("*/*") if file.suffix in {".safetensors", ".json", ".onnx"})
    lines = [f"{sha256(file)}  {file.relative_to(assets).as_posix()}\n" for file in files]
    write_text(assets / CHECKSUMS, "".join(lines))
