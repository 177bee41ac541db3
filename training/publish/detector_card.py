"""The files of a detector's repository on the Hub, and its card from templates/detector_card.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facemotion.detectors.onnx_yolo import CONFIG_FILE, WEIGHTS_FILE, OnnxYolo
from training.common.markdown import table
from training.detector import evaluate
from training.expression.onnx_export import ExportError
from training.publish.model_card import LICENSE, figures_section, fill
from training.publish.model_repo import CARD, figure_files
from training.publish.space import ROOT


def collect(
    folder: Path, repo: str, results: Path | None = None, figures: Path | None = None
) -> tuple[OnnxYolo, dict[str, bytes]]:
    """Loads the export and gathers its files by their path in the repository: weights, configuration, licence, figures
    and the card.

    Args:
        folder: config.json and model.onnx.
        repo: owner/name, for the card.
        results: detectors.json of `training.detector.evaluate`, for the card.
        figures: a folder of pictures for the card.

    Raises:
        ExportError: a folder or file is missing, or is not what it should be.
        WeightsError: the folder holds no detector that this version can load.
    """
    for named in filter(None, (folder, figures)):
        if not named.is_dir():
            raise ExportError(f"There is no folder {named}.")
    detector = OnnxYolo.from_path(folder)
    pictures = {f"figures/{file.name}": file for file in figure_files(figures)}
    sources = {name: folder / name for name in (WEIGHTS_FILE, CONFIG_FILE)} | {"LICENSE": ROOT / "LICENSE"} | pictures
    text = render(detector.config, repo, read_results(results), tuple(pictures))
    return detector, {path: file.read_bytes() for path, file in sources.items()} | {CARD: text.encode()}


def read_results(file: Path | None) -> dict[str, Any]:
    """detectors.json; {} where none is named.

    Raises:
        ExportError: it is none.
    """
    if file is None:
        return {}
    try:
        rows = dict(json.loads(file.read_text(encoding="utf-8")))
        evaluate.markdown(rows)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        raise ExportError(f"The file {file} is no detectors.json, as training.detector.evaluate writes it.") from error
    return rows


def render(config: Mapping[str, Any], repo: str, results: Mapping[str, Any], figures: Sequence[str] = ()) -> str:
    """The card in Markdown, with metadata that the Hub reads; sections for which there are no data are left out."""
    parity = config.get("parity", {})
    runtimes = [parity[name] for name in ("onnxruntime", "opencv") if name in parity]
    worst = {kind: max((row[kind] for row in runtimes), default=0.0) for kind in ("pixels", "score")}
    return fill(
        "detector_card.md",
        {"license": LICENSE, "pipeline_tag": "object-detection", "tags": ["face-detection", "yolo", "onnx"]},
        name=repo.split("/")[1],
        repo=repo,
        config=config,
        parity=worst | {"photos": parity.get("photos", 0)},
        data=data(config),
        data_summary=data_summary(config.get("data", {})),
        results=evaluate.markdown(dict(results)) if results else "",
        recipe=recipe(config),
        figures=figures_section(figures, {}),
    )


def data(config: Mapping[str, Any]) -> str:
    """A table of the sets with their licences and the changes of their labels; empty where none are known."""
    counts, sources = config.get("data", {}), config.get("sources", {})
    changes, licences = counts.get("changes", {}), sources.get("licences", {})
    names = list(dict.fromkeys([*changes, *licences]))
    if not names:
        return ""
    rows = [
        (
            name,
            sources.get("sources", {}).get(name, ""),
            licences.get(name, "not recorded"),
            *(f"{changes.get(name, {}).get(what, 0):,}" for what in ("photos", "labels", "tightened", "added")),
        )
        for name in names
    ]
    head = ("set", "source", "licence", "photos", "faces", "boxes tightened", "faces added")
    return table(head, rows)


def data_summary(counts: Mapping[str, Any]) -> str:
    """The composition of the training data, in sentences."""
    made = ", ".join(
        f"{counts.get(key, 0):,} {what}"
        for key, what in (
            ("close_ups", "close-ups cut out of them"),
            ("free_parts", "parts of them without faces"),
            ("patterns", "drawn patterns"),
            ("negatives", "other pictures without faces"),
        )
        if counts.get(key, 0)
    )
    changed = any(row["tightened"] or row["added"] for row in counts.get("changes", {}).values())
    who = "where several detectors agreed" if counts.get("teachers") else "by a large detector"
    cleaned = f"Boxes were tightened, and faces added, {who}; " if changed else ""
    often = counts.get("repeated", 0)
    crowds = f" Photos of crowds were shown several times, which adds {often:,} to each epoch." if often else ""
    return (
        f"It learned from {counts.get('train_photos', 0):,} photos{' and from ' + made if made else ''}.{crowds} "
        f"{counts.get('val_photos', 0):,} photos were held out. "
        f"{cleaned}{counts.get('train_ignored', 0):,} faces too small or marked invalid were blanked.\n"
    )


def recipe(config: Mapping[str, Any]) -> str:
    """A table of the knobs; empty where the configuration has none."""
    rows = [(name.replace("_", " "), f"`{value}`") for name, value in config.get("recipe", {}).items()]
    return table(("setting", "value"), rows) if rows else ""
