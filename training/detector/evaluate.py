"""Evaluates face detectors on test photos, and on the held-out tenth of each training set.

    python -m training.detector.evaluate --test faces_test --data faces faces_more --detectors yolov8n-face yolo yunet

A detector is named as `FaceDetector.from_pretrained` takes it. Every photo is looked at by the bare network in one pass
("alone", the long side reduced to 640 pixels) and by the product's own `detect` at each `--details`. Precision and
recall are those of the boxes that the product shows. Photos under --test are a test set: select nothing by them.
Those under --data resemble what a detector of ours has learned from, and flatter it; "auto" alone looks at them.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facemotion import FaceDetector, images, settings
from facemotion.detectors.boxes import areas
from facemotion.detectors.tiling import AUTO_SIDE
from training.common.cli_errors import exit_on_error
from training.common.errors import DataError
from training.common.files import write_json, write_text
from training.common.markdown import table as markdown_table
from training.detector.data import yolo_format
from training.detector.metrics import Found, at_threshold, average_precision

ALONE = "alone"
LOOKS = (ALONE, *settings.DETAILS)
MAIN_LOOK = "auto"  # the only one at held-out photos, where it is among those asked for
LEAST_PX = (10, 16, 32)
SERVED_PX = 16  # the least for precision and recall
LOWEST = 0.02  # boxes that score less change an average precision by thousandths
CLOSE_UP = 0.4  # a face that covers this share of its photo fills it
TIMED = 20  # photos whose time is taken, after as many to warm up as make no difference any more
WARM_UP = 3
TRIES = 3  # of which the quickest counts: other programs can only slow it down
CLOCKS = {"clock": time.perf_counter, "processor": time.process_time}  # the second sums up all threads
TEST, HELD_OUT = "test", "held_out"
TITLES = {
    TEST: "{name}: a test set; no detector here was trained or selected on it",
    HELD_OUT: "{name}: held-out photos of a training set, which flatter a detector that learned from its other photos",
}
NO_FACES_TITLE = "{name}: photos without a face; no detector here was trained on them"
FILE = "detectors"
MILLISECONDS = ("ms by the clock", "ms of all processors")
JSON = dict[str, Any]
Group = tuple[str, str, list[yolo_format.Photo]]  # kind, name of the set, photos


def main(given: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(given)
    with exit_on_error():
        sets = groups(arguments.test, arguments.data, arguments.all)
        evaluated = evaluate_detectors(sets, arguments.detectors, arguments.details)
    text = markdown(evaluated)
    print(text)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_json(arguments.out / f"{FILE}.json", evaluated)
        write_text(arguments.out / f"{FILE}.md", text)


def parse_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--test", nargs="+", type=Path, default=[], metavar="FOLDER", help="photos with boxes, a test set")
    add(
        "--data", nargs="+", type=Path, default=[], metavar="FOLDER", help="training photos, the held-out ones are used"
    )
    add("--detectors", nargs="+", required=True, metavar="NAME", help="embedded, a path, or owner/name on the Hub")
    add("--details", nargs="+", choices=LOOKS, default=list(LOOKS), help="how to look (%(default)s)")
    add("--all", action="store_true", help="of --data use all photos, not only those held out")
    add("--out", type=Path, help=f"the folder for {FILE}.json and {FILE}.md")
    return parser.parse_args(given)


def groups(test: Sequence[Path], data: Sequence[Path], everything: bool = False) -> list[Group]:
    """Kind, name and photos of every set; the test sets first.

    Raises:
        DataError: no folder is named, or one holds no photos.
    """
    if not test and not data:
        raise DataError("name photos to evaluate on: --test FOLDER, or --data FOLDER for the held-out tenth")
    found = []
    of_kind = (
        (TEST, [photo for folder in test for photo in yolo_format.load(folder)]),
        (HELD_OUT, load(data, everything)),
    )
    for kind, chosen in of_kind:
        named = [(photo.set or photo.path.resolve().parent.parent.name, photo) for photo in chosen]
        for name in dict.fromkeys(name for name, _ in named):
            found.append((kind, name, [photo for of_set, photo in named if of_set == name]))
    return found


def load(data: Sequence[Path], everything: bool = False) -> list[yolo_format.Photo]:
    """The held-out photos of training folders, or all of them.

    Raises:
        DataError: there are none.
    """
    if not data:
        return []
    loaded, held = yolo_format.load_all(data)
    return [photo for photo, out in zip(loaded, held, strict=True) if out or everything]


def evaluate_detectors(sets: Sequence[Group], names: Sequence[str], looks: Sequence[str]) -> JSON:
    """Evaluate detectors on several sets: one row for each detector and detail.

    Raises:
        WeightsError: a detector cannot be had.
    """
    detectors = {name: FaceDetector.from_pretrained(name) for name in names}
    evaluated = []
    for kind, set_name, chosen in sets:
        ways = [MAIN_LOOK] if kind == HELD_OUT and MAIN_LOOK in looks else looks
        rows = [{"name": name} | score(detector, chosen, how) for name, detector in detectors.items() for how in ways]
        evaluated.append({"kind": kind, "set": set_name} | described(chosen) | {"rows": rows})
    return {"groups": evaluated}


def described(chosen: Sequence[yolo_format.Photo]) -> JSON:
    """Statistics of a set: photos, photos without faces, close-ups, and faces by size."""
    faces = [Found(*_nothing(), counted(photo)) for photo in chosen]
    return {
        "photos": len(chosen),
        "without_faces": sum(not len(photo.faces) for photo in faces),
        "close_ups": sum(photo.largest_share >= CLOSE_UP for photo in chosen),
        "faces": {str(px): at_threshold(faces, 1, px)["faces"] for px in LEAST_PX},
    }


def score(detector: FaceDetector, chosen: Sequence[yolo_format.Photo], how: str) -> JSON:
    """All figures of a detector on a set of photos, looked at in one of `LOOKS`."""
    found, milliseconds = detect_all(detector, chosen, how)
    with_faces = [f for f in found if len(f.faces)]
    without = [f for f in found if not len(f.faces)]
    threshold = detector.default_threshold
    close_ups = [f for f, photo in zip(found, chosen, strict=True) if photo.largest_share >= CLOSE_UP]
    return {
        "detector": detector.description,
        "detail": how,
        "threshold": threshold,
        "ap50": {str(px): average_precision(with_faces, px)[0] if with_faces else math.nan for px in LEAST_PX},
        "served": at_threshold(with_faces, threshold, SERVED_PX),
        "close_ups": {"photos": len(close_ups), "missed": missed_largest(close_ups, threshold)},
        "without_faces": {
            "photos": len(without),
            "false_alarms": at_threshold(without, threshold, LEAST_PX[0])["false_alarms"],
        },
        "milliseconds": milliseconds,
    }


def missed_largest(found: Sequence[Found], threshold: float) -> int:
    """The number of photos whose largest face is missed."""
    largest = [int(areas(f.faces).argmax()) for f in found]
    alone = [Found(f.boxes, f.scores, f.faces[[at]]) for f, at in zip(found, largest, strict=True)]
    return sum(at_threshold([photo], threshold, 0)["recall"] < 1 for photo in alone)


def detect_all(
    detector: FaceDetector, chosen: Sequence[yolo_format.Photo], how: str
) -> tuple[list[Found], dict[str, float]]:
    """What the detector finds in each photo, down to the lowest scores; and its median milliseconds at its own
    threshold, by the clock and of the processors' time."""

    def detect(image: NDArray[np.uint8], threshold: float | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if how == ALONE:
            return detector.detect_once(image, AUTO_SIDE, threshold)
        return detector.detect(image, how, threshold)

    found: list[Found] = []
    times: list[dict[str, float]] = []
    described_as = f"{detector.description}, {how}"
    for number, photo in enumerate(tqdm(chosen, desc=described_as, leave=False, mininterval=1)):
        image = images.load(photo.path)
        found.append(Found(*detect(image, LOWEST), counted(photo)))
        if number < WARM_UP + TIMED:
            times.append(quickest(lambda image=image: detect(image, None)))  # type: ignore[misc]
    kept = times[WARM_UP:] or times
    return found, {clock: float(np.median([row[clock] for row in kept])) for clock in CLOCKS}


def quickest(call: Callable[[], object]) -> dict[str, float]:
    """The least milliseconds of `TRIES` calls, by each of `CLOCKS`."""
    spent: dict[str, list[float]] = {name: [] for name in CLOCKS}
    for _ in range(TRIES):
        started = {name: clock() for name, clock in CLOCKS.items()}
        call()
        for name, clock in CLOCKS.items():
            spent[name].append((clock() - started[name]) * 1e3)
    return {name: min(values) for name, values in spent.items()}


def counted(photo: yolo_format.Photo) -> NDArray[np.float32]:
    """The faces of a photo that are large enough to be labelled reliably. (Smaller ones are below every limit of
    `LEAST_PX` anyway.)"""
    longer = (photo.boxes[:, 2:] - photo.boxes[:, :2]).max(axis=1, initial=0)
    return np.asarray(photo.boxes[longer >= yolo_format.IGNORED_PX])


def markdown(evaluated: JSON) -> str:
    """The figures: a heading and a table for every set, a row for every detector and way of looking."""
    return "\n".join(_group(group) for group in evaluated["groups"])


def _group(group: JSON) -> str:
    whole = group["set"] == yolo_format.NO_FACES
    title = (NO_FACES_TITLE if whole else TITLES[group["kind"]]).format(name=group["set"])
    faces = ", ".join(f"{group['faces'][str(px)]:,.0f} of {px} px and more" for px in LEAST_PX)
    note = f"{group['photos']:,} photos; faces: {faces}."
    head = ["detector", "looked at", *(f"AP from {px} px" for px in LEAST_PX)]
    head += [f"precision / recall from {SERVED_PX} px, as served"]
    head += [f"face fills the photo ({group['close_ups']}): missed"] if group["close_ups"] else []
    head += [f"false alarms per 100 ({group['without_faces']} without faces)"] if group["without_faces"] else []
    table = markdown_table([*head, *MILLISECONDS], [_cells(row, group) for row in group["rows"]])
    return f"### {title}\n\n{note}\n\n{table}"


def _cells(row: JSON, group: JSON) -> list[str]:
    served, without = row["served"], row["without_faces"]
    cells = [row["detector"], row["detail"], *(_share(row["ap50"][str(px)]) for px in LEAST_PX)]
    cells += [f"{_share(served['precision'])} / {_share(served['recall'])} at {row['threshold']}"]
    cells += [str(row["close_ups"]["missed"])] if group["close_ups"] else []
    cells += [f"{100 * without['false_alarms'] / without['photos']:.1f}"] if group["without_faces"] else []
    return [*cells, *(f"{row['milliseconds'][clock]:.0f}" for clock in CLOCKS)]


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _nothing() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)


if __name__ == "__main__":
    main()
