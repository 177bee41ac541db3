"""An exported detector -> every file of its repository on the Hub, the model card among them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from facemotion.detectors.onnx_yolo import CONFIG_FILE, WEIGHTS_FILE, OnnxYolo
from training.common.markdown import table
from training.detector import evaluate
from training.expression.onnx_export import ExportError
from training.publish.model_card import LICENSE, show
from training.publish.model_repo import CARD, figure_files
from training.publish.space import ROOT

USE = """\
## Use

A picture in, boxes out, with the facemotion package:

```python
from facemotion import FaceDetector, images

detector = FaceDetector.from_pretrained("{repo}")
boxes, scores = detector.detect(images.load("photo.jpg"))
```

Write `{repo}@<revision>#<sha256 of model.onnx>` to pin it, or set `FACEMOTION_DETECTOR` to that for the page and the
API. Without the package: `model.onnx` takes {input}, and returns {output}. Rows that score {threshold} or more are
faces. Reduce a large picture, never enlarge a small one. The export differs from the checkpoint by {pixels:.0e} pixels
and {score:.0e} of a score at most, on {photos} photos in ONNX Runtime and OpenCV.
"""

LIMITS = """\
## Limits

- Found are faces from about 10 pixels in the picture that the network sees. Smaller ones were blanked in training.
- Profiles, strong shadows, covered faces and drawings are missed more often; hands, statues and animals are sometimes
  taken for faces. The table tells how often on its photos, which are few and of the same sources as those learned from.
- The pictures are no fair sample of ages, skin colours and cultures, and nobody recorded which they show: expect
  errors that differ between groups of people, which the figures cannot show.
- It finds faces. It does not recognise whose they are, and is not meant to be part of what does.

## Licence

AGPL-3.0, like the program and the checkpoint that it was fine-tuned from. The licences of the pictures stand above;
those of WIDER FACE are for research. The weights are published for research and demonstration. No picture is in this
repository.
"""


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
    """The card in Markdown, with metadata that the Hub reads; what `config` does not hold is left out."""
    name = repo.split("/")[1]
    front = {"license": LICENSE, "pipeline_tag": "object-detection", "tags": ["face-detection", "yolo", "onnx"]}
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n",
        f"# {name}\n",
        what_it_is(config),
        use(config, repo),
        data(config),
        f"## Results\n\n{evaluate.markdown(dict(results))}" if results else "",
        recipe(config),
        show(figures, {}),
        LIMITS,
    ]
    return "\n".join(part for part in parts if part)


def what_it_is(config: Mapping[str, Any]) -> str:
    head = (
        f"to be followed by suppression of boxes that overlap by more than {config['suppress']}"
        if config.get("suppress")
        else "end-to-end (no suppression of overlapping boxes is needed)"
    )
    return (
        f"## What it is\n\nA face detector: {config.get('network', 'a YOLO')}, fine-tuned on faces, {head}, "
        "as ONNX. It was made by facemotion, a program that finds faces in pictures and says which expression each one "
        "shows.\n"
    )


def use(config: Mapping[str, Any], repo: str) -> str:
    parity = config.get("parity", {})
    runtimes = [parity[name] for name in ("onnxruntime", "opencv") if name in parity]
    worst = {kind: max((row[kind] for row in runtimes), default=0.0) for kind in ("pixels", "score")}
    about = {name: config.get(name, "") for name in ("input", "output", "threshold")}
    return USE.format(repo=repo, photos=parity.get("photos", 0), **about, **worst)


def data(config: Mapping[str, Any]) -> str:
    """The sets with their licences, what was learned from, and how labels were changed."""
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
    return f"## Data\n\n{table(head, rows)}\n{sentences(counts)}"


def sentences(counts: Mapping[str, Any]) -> str:
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
    often = counts.get("repeated", 0)
    crowds = f" Photos of crowds were shown several times, which adds {often:,} to each epoch." if often else ""
    return (
        f"It learned from {counts.get('train_photos', 0):,} photos{' and from ' + made if made else ''}.{crowds} "
        f"{counts.get('val_photos', 0):,} photos were held out. "
        "Boxes were tightened, and faces added, where several detectors agreed; "
        f"{counts.get('train_ignored', 0):,} faces too small or marked invalid were blanked.\n"
    )


def recipe(config: Mapping[str, Any]) -> str:
    if "recipe" not in config:
        return ""
    rows = [(name.replace("_", " "), f"`{value}`") for name, value in config["recipe"].items()]
    return f"## Recipe\n\n{table(('setting', 'value'), rows)}"
