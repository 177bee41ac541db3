"""Scores any face detectors on the held-out photos, all in one run and one table.

    python -m training.detector.evaluate --data faces --detectors yunet runs/faces/best.onnx --out detectors

A detector is named as `FaceDetector.from_pretrained` takes it. Every photo is looked at as the product does it
(`--detail`), so what is scored is the detector with its passes. Photos are those of `photos.held_out` unless `--all`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from facemotion import FaceDetector, images, settings
from facemotion.errors import FacemotionError
from training.common.errors import DataError
from training.detector import yolo_format
from training.detector.metrics import Found, at_threshold, average_precision, sides

LEAST_PX = (10, 16, 32)
SET_PX = 16  # the least for the table by sets
LOWEST = 0.02  # boxes that score less change an average precision by thousandths
CLOSE_UP = 0.4  # a face that covers this share of its picture fills it
TIMED = 40  # photos whose time is taken, after as many to warm up as make no difference any more
WARM_UP = 3


def main() -> None:
    arguments = parse_arguments()
    try:
        chosen = load(arguments.data, arguments.all)
        table = {name: score(name, chosen, arguments.detail) for name in arguments.detectors}
    except (DataError, FacemotionError) as error:
        print(f"{str(error).rstrip('.')}.", file=sys.stderr)
        sys.exit(2)
    text = markdown(table)
    print(text)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "detectors.json").write_text(json.dumps(table, indent=2) + "\n")
        (arguments.out / "detectors.md").write_text(text)


def parse_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a folder of photos with boxes in YOLO's form")
    add("--detectors", nargs="+", required=True, metavar="NAME", help="yolo, yunet, a path, or owner/name on the Hub")
    add("--detail", choices=settings.DETAILS, default="auto", help="how closely to look (%(default)s)")
    add("--all", action="store_true", help="score on all photos, not only those held out from training")
    add("--out", type=Path, help="the folder for detectors.json and detectors.md")
    return parser.parse_args(given)


def load(data: Path, everything: bool = False) -> list[yolo_format.Photo]:
    """The photos to judge on.

    Raises:
        DataError: there are none.
    """
    loaded = yolo_format.load(data)
    if everything:
        return loaded
    return [photo for photo, out in zip(loaded, yolo_format.held_out(loaded), strict=True) if out]


def score(name: str, chosen: Sequence[yolo_format.Photo], detail: str) -> dict[str, Any]:
    """All figures of one detector.

    Raises:
        WeightsError: it cannot be had.
    """
    detector = FaceDetector.from_pretrained(name)
    found, milliseconds = look(detector, chosen, detail)
    with_faces = [f for f in found if len(f.faces)]
    without = [f for f in found if not len(f.faces)]
    threshold = detector.default_threshold
    close_ups = [f for f, photo in zip(found, chosen, strict=True) if photo.largest_share >= CLOSE_UP]
    return {
        "detector": detector.description,
        "detail": detail,
        "photos": len(chosen),
        "threshold": threshold,
        "sizes": {str(px): sized(with_faces, threshold, px) for px in LEAST_PX},
        "sets": by_set(found, chosen),
        "close_ups": {"photos": len(close_ups), "recall": recall_of_largest(close_ups, threshold)},
        "without_faces": {
            "photos": len(without),
            "false_alarms": at_threshold(without, threshold, LEAST_PX[0])["false_alarms"],
        },
        "milliseconds": milliseconds,
    }


def sized(found: Sequence[Found], threshold: float, least_px: float) -> dict[str, float]:
    """The figures for faces of `least_px` pixels and more."""
    at_half, over_ious = average_precision(found, least_px)
    return {"ap50": at_half, "ap50_95": over_ious} | at_threshold(found, threshold, least_px)


def by_set(found: Sequence[Found], chosen: Sequence[yolo_format.Photo]) -> dict[str, dict[str, float]]:
    """For each set with such faces, how many of `SET_PX` pixels and more it holds, and the average precision at IoU
    0.5: sets differ in what they show and in what their labels call a face's border."""
    table = {}
    for name in sorted({photo.set for photo in chosen}):
        of_set = [f for f, photo in zip(found, chosen, strict=True) if photo.set == name and len(f.faces)]
        at_half, _ = average_precision(of_set, SET_PX)
        if not math.isnan(at_half):
            faces = sum(int((sides(f.faces) >= SET_PX).sum()) for f in of_set)
            table[name] = {"photos": len(of_set), "faces": faces, "ap50": at_half}
    return table


def recall_of_largest(found: Sequence[Found], threshold: float) -> float:
    """The share of the pictures whose largest face is found."""
    largest = [Found(f.boxes, f.scores, f.faces[[int(sides(f.faces).argmax())]]) for f in found]
    return at_threshold(largest, threshold, 0)["recall"]


def look(
    detector: FaceDetector, chosen: Sequence[yolo_format.Photo], detail: str
) -> tuple[list[Found], dict[str, float]]:
    """What the detector finds in each photo, down to the lowest scores; and the median and 95th percentile of its
    milliseconds at its own threshold."""
    found, times = [], []
    for number, photo in enumerate(tqdm(chosen, desc=detector.description, leave=False, mininterval=1)):
        pixels = images.load(photo.path)
        boxes, scores = detector.detect(pixels, detail=detail, threshold=LOWEST)
        found.append(Found(boxes, scores, counted(photo)))
        if number < WARM_UP + TIMED:
            started = time.perf_counter()
            detector.detect(pixels, detail=detail)
            times.append((time.perf_counter() - started) * 1e3)
    kept = times[WARM_UP:] or times
    return found, {"median": float(np.median(kept)), "p95": float(np.percentile(kept, 95))}


def counted(photo: yolo_format.Photo) -> np.ndarray:
    """The faces of a photo that are large enough to be labelled reliably. (Smaller ones are below every limit of
    `LEAST_PX` anyway.)"""
    longer = (photo.boxes[:, 2:] - photo.boxes[:, :2]).max(axis=1, initial=0)
    return np.asarray(photo.boxes[longer >= yolo_format.IGNORED_PX])


def markdown(table: dict[str, dict[str, Any]]) -> str:
    """The figures as a table, a row a detector, and a line that says what they were measured on."""
    head = ["detector", *(f"AP50 from {px} px" for px in LEAST_PX), *(f"AP50:95 from {px} px" for px in LEAST_PX)]
    head += ["precision / recall from 16 px", "face fills the picture: found", "false alarms per 100", "ms (median)"]
    first = next(iter(table.values()))
    faces = ", ".join(f"{first['sizes'][str(px)]['faces']:.0f} of {px} px and more" for px in LEAST_PX)
    note = (
        f"{first['photos']} photos, {first['without_faces']['photos']} of them without faces and "
        f"{first['close_ups']['photos']} filled by one; faces: {faces}; detail {first['detail']}."
    )
    return "\n".join([table(head, list(map(_cells, table.values()))), note, "", _sets(table)])


def _sets(table: dict[str, dict[str, Any]]) -> str:
    """The same by sets, where the photos are of more than one."""
    sets = next(iter(table.values())).get("sets", {})
    if len(sets) < 2:
        return ""
    head = [f"AP50 from {SET_PX} px", *(f"{name or 'others'} ({row['faces']} faces)" for name, row in sets.items())]
    rows = [[row["detector"], *(_share(one["ap50"]) for one in row["sets"].values())] for row in table.values()]
    return table(head, rows)


def _cells(row: dict[str, Any]) -> list[str]:
    sizes, without = row["sizes"], row["without_faces"]
    cells = [row["detector"], *(_share(sizes[str(px)]["ap50"]) for px in LEAST_PX)]
    cells += [_share(sizes[str(px)]["ap50_95"]) for px in LEAST_PX]
    cells += [f"{_share(sizes['16']['precision'])} / {_share(sizes['16']['recall'])} at {row['threshold']}"]
    cells += [_share(row["close_ups"]["recall"])]
    cells += [f"{100 * without['false_alarms'] / without['photos']:.1f}" if without["photos"] else "-"]
    return [*cells, f"{row['milliseconds']['median']:.0f}"]


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


if __name__ == "__main__":
    main()
