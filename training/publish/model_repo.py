"""The files of a classifier's repository on the Hub, from a run or a model folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from facemotion import EmotionClassifier
from facemotion.expression.classifier import CONFIG_FILE, WEIGHTS_FILE
from training.expression import onnx_export
from training.expression.export import export
from training.expression.onnx_export import ExportError
from training.publish import model_card
from training.publish.space import ROOT

ONNX_FILE = "model.onnx"
CARD = "README.md"
FIGURES = {".png", ".jpg", ".gif", ".webp"}
# These of training.expression.figures.run_figures and training.reports.detector_report show pictures of the data, which
# are not ours to publish.
PICTURES_OF_DATA = {"samples", "equal", "near", "mistakes", "hits", "misses", "false_alarms", "changes"}
RUN_FILES = ("config.json", "best.pt", "history.csv", "predictions")


def from_run(run: Path, sources: Sequence[Path], votes: Path | None, scratch: Path) -> Path:
    """Exports a run's best epoch to a model folder in `scratch`; `sources` and `votes` are what it was trained on.

    Raises:
        ExportError: it is no run with a finished epoch, or no source is named.
        DataError: the pictures are not those it was trained on.
    """
    if missing := [name for name in RUN_FILES if not (run / name).exists()]:
        raise ExportError(f"{run} is no run with a finished epoch: it lacks {', '.join(missing)}.")
    if not sources:
        raise ExportError("--run needs --data, the pictures it was trained on, to calibrate and evaluate the model.")
    data, *photos = sources
    export(run, data, scratch / "model", photos, votes)
    return scratch / "model"


def collect(folder: Path, repo: str, figures: Path | None, scratch: Path) -> tuple[EmotionClassifier, dict[str, bytes]]:
    """Loads the model and gathers its files by their path in the repository: weights, configuration, ONNX, licence,
    figures and the card.

    Args:
        folder: config.json and model.safetensors.
        repo: owner/name, for the card.
        figures: a folder of pictures for the card.
        scratch: where model.onnx may be written.

    Raises:
        ExportError: a folder is missing, or the export to ONNX failed.
        WeightsError: the folder holds no model that this version can load.
    """
    for named in filter(None, (folder, figures)):
        if not named.is_dir():
            raise ExportError(f"There is no folder {named}.")
    classifier = EmotionClassifier.from_pretrained(str(folder.resolve()))
    parity = onnx_export.export(classifier, scratch / ONNX_FILE)
    pictures = {f"figures/{file.name}": file for file in figure_files(figures)}
    sources = {name: folder / name for name in (WEIGHTS_FILE, CONFIG_FILE)}
    sources |= {ONNX_FILE: scratch / ONNX_FILE, "LICENSE": ROOT / "LICENSE"} | pictures
    about = model_card.Onnx(parity, len(onnx_export.sample_crops()))
    text = model_card.render(classifier.config, repo, about, tuple(pictures))
    return classifier, {path: file.read_bytes() for path, file in sources.items()} | {CARD: text.encode()}


def figures_of(run: Path | None) -> Path | None:
    """The folder of figures that a run has drawn, if it has."""
    return run / "figures" if run and (run / "figures").is_dir() else None


def figure_files(folder: Path | None) -> list[Path]:
    """The figures in a folder that may be published, by name."""
    found = folder.glob("*") if folder else ()
    return sorted(file for file in found if file.suffix in FIGURES and file.stem not in PICTURES_OF_DATA)


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
