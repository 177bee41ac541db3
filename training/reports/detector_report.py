"""Writes the report of a face detector: training, and comparison with others; Markdown and figures.

    python -m training.detector.evaluate --test faces_test --data faces --detectors runs/faces/export --out runs/faces
    python -m training.detector.speed --networks runs/faces/export a.pt --out runs/faces
    python -m training.reports.detector_report --run runs/faces --data faces --out training/reports/detector.md

The detectors are those of detectors.json; they look at the held-out photos once more, for the curves. The first is the
one that the report is about: its hits, misses and false alarms are shown. What lies beside detectors.json in speed.json
becomes a section.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from facemotion import FaceDetector, images
from training.common.cli_errors import exit_on_error
from training.common.errors import DataError
from training.common.files import replace, write_text
from training.common.markdown import table
from training.detector import evaluate
from training.detector import speed as detector_speed
from training.detector import train as detector
from training.detector.data.yolo_format import Photo
from training.detector.metrics import Found, curve, matched, sides
from training.expression.figures import charts, image_grids
from training.publish.detector_card import data_summary, read_results

LEAST_PX = 16
DETAIL = "auto"  # how the photos are looked at for the curves
COLUMNS, SHOWN = 8, 16  # of each kind, on the contact sheet
SIDE = 96  # pixels of a picture there
AROUND = 0.6  # of a face's longer side, shown around it
LOSSES = ("train/box_loss", "train/cls_loss", "val/box_loss", "val/cls_loss")


def main(given: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(given)
    with exit_on_error():
        write(arguments.run, arguments.data, arguments.results or arguments.run / "detectors.json", arguments.out)
    print(arguments.out)


def write(run: Path, data: Sequence[Path], results: Path, out: Path) -> None:
    """Writes the report to `out` and its figures to the folder of that name.

    Raises:
        DataError: there is no such run or data.
        ExportError: `results` is no detectors.json.
        WeightsError: a detector in it cannot be had.
    """
    history, config = read_run(run)
    evaluated = read_results(results)
    chosen = evaluate.load(data)
    names = dict.fromkeys(row["name"] for group in evaluated["groups"] for row in group["rows"])
    detectors = {name: FaceDetector.from_pretrained(name) for name in names}
    found = {name: look(detector, chosen, DETAIL) for name, detector in detectors.items()}
    first = next(iter(detectors))
    with charts.style():
        made = {
            "curves.png": curves(history),
            "precision_recall.png": precision_recall({detectors[name].description: f for name, f in found.items()}),
        }
        threshold = detectors[first].default_threshold
        made |= {f"{kind}.png": sheet for kind, sheet in sheets(chosen, found[first], threshold).items()}
        for name, figure in made.items():
            save(figure, out.with_suffix("") / name)
    shown = list(made)
    changes = run / "data" / "changes.jpg"
    if changes.is_file():
        replace(out.with_suffix("") / "changes.jpg", lambda file: file.write(changes.read_bytes()))
        shown.append("changes.jpg")
    write_text(out, text(config, history, evaluated, out.stem, shown, speed=detector_speed.read(results.parent)))


def read_run(run: Path) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """The rows of results.csv, and config.json.

    Raises:
        DataError: `run` has none.
    """
    history = detector.read_history(run)
    try:
        return history, json.loads((run / detector.CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{run} is no run of training.detector.train: {error}") from error


def look(finder: FaceDetector, chosen: Sequence[Photo], detail: str) -> list[Found]:
    """What the detector finds in each photo, down to the lowest scores."""
    found = []
    for photo in tqdm(chosen, desc=finder.description, leave=False, mininterval=1):
        seen = finder.detect(images.load(photo.path), detail=detail, threshold=evaluate.LOWEST)
        found.append(Found(*seen, evaluate.counted(photo)))
    return found


def curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Losses, and average precision on the held-out photos, after each epoch."""
    figure = Figure(figsize=(9, 3.4))
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for name in LOSSES:
        style = {"linestyle": "-" if name.startswith("val") else "--"}
        shade = charts.BLUE if "box" in name else charts.ORANGE
        left.plot(epochs, [row.get(name, np.nan) for row in history], color=shade, label=name, **style)
    for name, shade in (("metrics/mAP50(B)", charts.BLUE), ("metrics/mAP50-95(B)", charts.ORANGE)):
        right.plot(epochs, [row.get(name, np.nan) for row in history], color=shade, label=name[8:-3])
    for axes, title in ((left, "Losses"), (right, "Average precision, held out")):
        axes.set(title=title, xlabel="epoch")
        axes.grid(axis="y")
        axes.legend()
    return figure


def precision_recall(found: Mapping[str, Sequence[Found]]) -> Figure:
    """A curve for each detector, of faces from `LEAST_PX` pixels on, over all photos."""
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    for name, pictures in found.items():
        recall, precision = curve(pictures, LEAST_PX)
        axes.plot(recall, precision, label=name)
    axes.set(
        title=f"Faces of {LEAST_PX} pixels and more", xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01)
    )
    axes.grid()
    axes.legend(loc="lower left")
    return figure


def sheets(chosen: Sequence[Photo], found: Sequence[Found], threshold: float) -> dict[str, Figure]:
    """Faces that were found, spread over all scores; the largest that were missed; the surest false alarms."""
    cut: dict[str, list[tuple[float, Photo, np.ndarray, str]]] = {"hits": [], "misses": [], "false_alarms": []}
    for photo, picture in zip(chosen, found, strict=True):
        kept = picture.scores >= threshold
        boxes, scores = picture.boxes[kept], picture.scores[kept]
        face_of = matched(boxes, scores, picture.faces)
        for box, score, face in zip(boxes, scores, face_of, strict=True):
            kind = "hits" if face >= 0 else "false_alarms"
            if sides(box[None])[0] >= LEAST_PX:
                cut[kind].append((float(score), photo, box, f"{score:.2f}"))
        for face in np.setdiff1d(np.arange(len(picture.faces)), face_of):
            side = float(sides(picture.faces[face][None])[0])
            if side >= LEAST_PX:
                cut["misses"].append((side, photo, picture.faces[face], f"{side:.0f} px"))
    titles = {"hits": "Found, by score", "misses": "Missed, the largest", "false_alarms": "False alarms, the surest"}
    made = {}
    for kind, listed in cut.items():
        ordered = sorted(listed, key=lambda item: -item[0])
        step = max(1, len(ordered) // SHOWN) if kind == "hits" else 1
        tiles = [image_grids.Tile(part(photo, box), words) for _, photo, box, words in ordered[::step][:SHOWN]]
        made[kind] = image_grids.tile_grid(
            tiles, COLUMNS, f"{titles[kind]} ({len(listed):,} of {LEAST_PX} pixels and more)"
        )
    return made


def part(photo: Photo, box: np.ndarray) -> np.ndarray:
    """The box with something around it, RGB uint8, `SIDE` pixels on its longer side."""
    around = AROUND * float((box[2:] - box[:2]).max())
    x0, y0 = np.maximum(box[:2] - around, 0).astype(int)
    x1, y1 = np.ceil(box[2:] + around).astype(int)
    cut = Image.fromarray(images.load(photo.path)[y0:y1, x0:x1])
    scale = SIDE / max(cut.size)
    return np.asarray(cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))))


def save(figure: Figure, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=110)
    replace(file, lambda opened: opened.write(content.getvalue()))


def text(
    config: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
    evaluated: Mapping[str, Any],
    folder: str,
    figures: Sequence[str],
    *,
    speed: Mapping[str, Any] | None = None,
) -> str:
    """The report in Markdown."""
    counts = config["data"]
    recipe = [(k, f"`{v}`") for k, v in config.items() if k not in ("data", "sources", "sessions")]
    changed = [(name, *(f"{value:,}" for value in row.values())) for name, row in counts["changes"].items()]
    wanted, done = config["epochs"], len(history)
    state = f"{done} epochs" if done >= wanted else f"{done} of {wanted} epochs so far: this run is not finished"
    parts = [
        f"# The face detector\n\n{config['base']}, fine-tuned on faces; {state}.\n",
        f"## Comparison with other detectors\n\n{evaluate.markdown(dict(evaluated))}",
        *([f"## One runtime\n\n{detector_speed.markdown(speed)}"] if speed else []),
        f"## Data\n\n{data_summary(counts)}",
        table(("set", "photos", "faces", "boxes tightened", "faces added"), changed),
        "## Figures\n",
        *(f"![{Path(name).stem.replace('_', ' ')}]({folder}/{name})\n" for name in figures),
        f"## Recipe\n\n{table(('setting', 'value'), recipe)}",
    ]
    return "\n".join(parts)


def parse_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.reports.detector_report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--run", type=Path, required=True, help="a run directory of training.detector.train")
    add("--data", type=Path, nargs="+", required=True, help="the photos, of which those held out are looked at")
    add("--results", type=Path, help="detectors.json of training.detector.evaluate (RUN/detectors.json)")
    add("--out", type=Path, required=True, help="the Markdown file to write")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
