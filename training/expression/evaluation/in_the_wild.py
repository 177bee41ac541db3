"""Evaluates classifiers on face crops from photos, in colour and of any size.

    python -m training.expression.evaluation.in_the_wild --faces wild --weights emotionnet simplecnn

`--faces` is a folder with a folder of pictures for each expression. They are a test set: nothing is trained,
fitted or chosen on them. Each model sees every picture twice: used as it is, and as the product would cut it, by the
box of the detector's largest face. A picture in which the detector finds none counts as wrong there.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facemotion import images
from facemotion.detectors import FaceDetector
from facemotion.detectors.boxes import areas
from facemotion.errors import InputError
from facemotion.expression import crops
from facemotion.faces import EMOTIONS, Box
from training.common.cli_errors import exit_on_error
from training.common.constants import SIDE
from training.common.errors import DataError, naming_all
from training.common.files import pictures_in, write_json
from training.common.markdown import table
from training.expression.evaluation import evaluate, metrics, scorers


@dataclass(frozen=True)
class InTheWildFaces:
    """Pictures in the form that networks take, and their labels.

    `whole` uint8 [N, side, side]: each picture used as it is; `framed` likewise: as the detector's box cuts it;
    `found` bool [N]: whether there was a box (without one, `framed` is blank); `labels` int64 [N] into `EMOTIONS`.
    """

    whole: NDArray[np.uint8]
    framed: NDArray[np.uint8]
    found: NDArray[np.bool_]
    labels: NDArray[np.int64]


def main() -> None:
    arguments = parse_arguments()
    with exit_on_error():
        models = [scorers.load_model(weights) for weights in arguments.weights]
        faces = load(arguments.faces, FaceDetector.from_pretrained(arguments.detector), {m.side for m in models})
        results = [evaluate_faces(model, faces[model.side]) for model in models]
        print(to_markdown(results))
        if arguments.out:
            write_json(arguments.out, {"models": results})


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--faces", type=Path, required=True, help="folder with a folder of pictures for each expression")
    add(
        "--weights", nargs="+", required=True, help="what to score, each as for training.expression.evaluation.evaluate"
    )
    add("--detector", default="default", help="whose boxes cut the faces (%(default)s)")
    add("--out", type=Path, help="a JSON file to write")
    return parser.parse_args()


def load(root: Path, detector: FaceDetector, sides: Collection[int] = (SIDE,)) -> dict[int, InTheWildFaces]:
    """Reads the folder and looks for a face in every picture.

    Args:
        root: a folder with a folder for each expression.
        detector: whose largest box frames the face.
        sides: of the pictures that the models take.

    Returns:
        the faces in each of the sizes.

    Raises:
        DataError: an expression has no folder or no pictures, or pictures cannot be read; all of these are named.
    """
    files = [(file, label) for label, emotion in enumerate(EMOTIONS) for file in _files(root / emotion)]
    whole = {side: np.empty((len(files), side, side), np.uint8) for side in sides}
    framed = {side: np.zeros_like(pictures) for side, pictures in whole.items()}
    found, problems = np.zeros(len(files), bool), list[str]()
    for row, (file, _) in enumerate(tqdm(files, desc="looking for faces", leave=False, mininterval=1)):
        try:
            picture = images.load(file)
        except InputError as error:
            problems.append(f"{file}: {error.message}")
            continue
        boxes, _scores = detector.detect(picture)
        found[row] = len(boxes) > 0
        cut = crops.square(picture, largest(boxes)) if len(boxes) else None
        for side in sides:
            whole[side][row] = _small(picture, side)
            if cut is not None:
                framed[side][row] = _small(cut, side)
    if problems:
        raise naming_all(problems)
    labels = np.array([label for _, label in files], np.int64)
    return {side: InTheWildFaces(whole[side], framed[side], found, labels) for side in sides}


def largest(boxes: NDArray[np.float32]) -> Box:
    """The box of the largest area among [N, 4]."""
    return Box(*map(float, boxes[int(areas(boxes).argmax())]))


def evaluate_faces(model: scorers.Model, faces: InTheWildFaces) -> dict[str, Any]:
    """The numbers of one model, ready for JSON: used as they are ("whole") and through the detector ("framed")."""
    whole = scorers.logits_of(model.score, faces.whole)
    framed = scorers.logits_of(model.score, faces.framed)
    right = (framed.argmax(1) == faces.labels) & faces.found
    return {
        "model": model.description,
        "whole": _numbers(whole, faces.labels),
        "framed": _numbers(framed[faces.found], faces.labels[faces.found])
        | {"found": float(faces.found.mean()), "accuracy_of_all": float(right.mean())},
    }


def _numbers(logits: metrics.Floats, labels: metrics.Labels) -> dict[str, Any]:
    probabilities = metrics.softmax(logits)
    numbers = metrics.summary(probabilities, labels)
    del numbers["ece"]
    return numbers | {
        "interval": metrics.bootstrap(probabilities, labels)["accuracy"],
        "lowest_recall_of_highest": metrics.lowest_recall_of_highest(np.array(numbers["confusion"])),
    }


def to_markdown(results: Sequence[dict[str, Any]]) -> str:
    """A row for each model in each framing."""
    head = ("model", "crop", "images", "accuracy", "95 % interval", "macro-F1", *EMOTIONS, "lowest / highest recall")
    rows: list[tuple[str, ...]] = []
    for result in results:
        for framing, crop in (("whole", "none"), ("framed", "by the detector")):
            rows.append((result["model"], crop, *_cells(result[framing])))
        framed = result["framed"]
        crop = f"by the detector, missed faces count as wrong ({framed['found']:.1%} found)"
        cells = (result["model"], crop, f"{result['whole']['rows']:,}", f"{framed['accuracy_of_all']:.3f}")
        rows.append((*cells, *[""] * (len(head) - len(cells))))
    return table(head, rows, numbers_from=2)


def _cells(numbers: dict[str, Any]) -> list[str]:
    recalls = (f"{row['recall']:.2f}" for row in numbers["per_class"].values())
    first = (f"{numbers['rows']:,}", f"{numbers['accuracy']:.3f}", evaluate.between(numbers["interval"]))
    return [*first, f"{numbers['macro_f1']:.3f}", *recalls, f"{numbers['lowest_recall_of_highest']:.2f}"]


def _small(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """RGB [h, w, 3] -> grey [side, side], as `crops.to_input` makes it."""
    return crops.resize(crops.to_grey(picture), side)


def _files(folder: Path) -> list[Path]:
    files = pictures_in(folder)
    if not files:
        raise DataError(f"{folder} holds no pictures: expected a folder for each of {', '.join(EMOTIONS)}")
    return files


if __name__ == "__main__":
    main()
