"""Runs every step of the kit on a few images, in under a minute: data, training, figures, export, card, evaluation.

    python -m training.smoke                            # on crops of the example photos
    python -m training.smoke --data fer2013             # on a few pictures of FER2013
    python -m training.smoke --out runs/smoke           # keeps what it made
    make train-smoke                                    # on FER2013 where FACEMOTION_DATA names it

It shows that everything runs, not how well. The crops are the example photos' few faces, moved, mirrored and lit
differently, and their labels are dealt out in turn: nothing about expressions can be learned from them, and the weights
that come out are worth nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facemotion import FaceDetector, Pipeline, images
from facemotion.expression import crops
from facemotion.faces import EMOTIONS, Analysis, Box
from training.common.cli_errors import exit_on_error
from training.common.constants import SIDE, SUFFIXES
from training.common.devices import DEVICES
from training.common.errors import DataError
from training.common.files import write_json
from training.expression import export, train
from training.expression.config import PRESETS, Config
from training.expression.data import inspect
from training.expression.data.dataset import Split, load_split
from training.expression.evaluation import evaluate, scorers
from training.expression.figures import run_figures
from training.publish import model_repo

EXAMPLES = Path(__file__).resolve().parent.parent / "facemotion" / "assets" / "examples"
PHOTO = EXAMPLES / "grace_hopper.jpg"
SPLITS = {"train": 8, "validation": 4}  # pictures of each expression, cut from the photos
JITTER = 0.12  # of the box's side: how far a crop may lie beside the face
RESAMPLES = 200  # for the intervals, which here say nothing

Result = TypeVar("Result")


@dataclass
class Parts:
    """Runs the steps in turn, prints their names, and records the seconds of each."""

    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, name: str, work: Callable[[], Result]) -> Result:
        """`work()`, announced and timed."""
        print(f"[{len(self.seconds) + 1}] {name} ...", flush=True)
        started = time.perf_counter()
        result = work()
        self.seconds[name] = round(time.perf_counter() - started, 2)
        return result


def run(out: Path | None = None, data: Path | None = None, device: str = "auto") -> dict[str, float]:
    """Runs every part of the kit.

    Args:
        out: a new folder for data/, run/, model/, repository/ and evaluation/; a temporary one by default.
        data: as for `load_split`; a few of its pictures are used. By default crops of the example photos.
        device: one of `training.common.devices.DEVICES`.

    Returns:
        the seconds that each part took.

    Raises:
        DataError: `out` is not empty, or the data won't do.
    """
    with folder(out) as place:
        parts = Parts()
        config = PRESETS["smoke"]
        tree = parts.run("data", lambda: subset(data, place / "data", config) if data else from_photos(place / "data"))
        parts.run("check", lambda: inspect.write(inspect.inspect(tree), place / "check"))
        parts.run("train", lambda: train.train(config, tree, place / "run", device=device))
        drawn = ["--run", str(place / "run"), "--data", str(tree), "--out", str(place / "run" / "figures")]
        parts.run("figures", lambda: run_figures.draw_all(run_figures.parse_arguments(drawn)))
        parts.run("export", lambda: export.export(place / "run", tree, place / "model"))
        parts.run("onnx and card", lambda: write_repository(place))
        parts.run("evaluate", lambda: evaluate_export(place, tree))
        analysis = parts.run("label a photo", lambda: label(place))
        write_json(place / "analysis.json", analysis.to_dict())
        face = analysis.faces[0]
        print(f"{PHOTO.name}: {face.expression}, {face.confidence:.0%} (from weights that learned nothing)")
        print(f"all of it ran, in {sum(parts.seconds.values()):.0f} s: {parts.seconds}", flush=True)
        return parts.seconds


def main() -> None:
    arguments = parse_arguments()
    with exit_on_error():
        run(arguments.out, arguments.data, arguments.device)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of pictures, fer2013.csv, or kaggle (example photos)")
    parser.add_argument("--out", type=Path, help="a new or empty folder to keep what is made (a temporary one)")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="(%(default)s)")
    return parser.parse_args()


@contextmanager
def folder(out: Path | None) -> Iterator[Path]:
    """`out`, which must be new or empty, or a temporary folder."""
    if out is None:
        with TemporaryDirectory(prefix="facemotion-smoke-") as temporary:
            yield Path(temporary)
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is not empty: choose another --out, or leave it out")
    out.mkdir(parents=True, exist_ok=True)
    yield out


def subset(data: Path, out: Path, config: Config) -> Path:
    """A tree of the first pictures of each expression that the recipe's limit allows, in both of its splits."""
    for name in (config.train_split, config.validation_split):
        split = load_split(data, name)
        each = config.limit // len(EMOTIONS)
        rows = np.concatenate([np.flatnonzero(split.labels == label)[:each] for label in range(len(EMOTIONS))])
        write_split(Split(split.pictures[rows], split.labels[rows], tuple(split.names[r] for r in rows)), out / name)
    return out


def from_photos(out: Path) -> Path:
    """A tree cut from the example photos, with labels dealt out in turn. The same each time."""
    generator = np.random.default_rng(2013)
    faces = list(found_faces())
    for name, count in SPLITS.items():
        labels = np.repeat(np.arange(len(EMOTIONS)), count)
        pictures = [jittered(*faces[turn % len(faces)], generator) for turn in range(len(labels))]
        write_split(Split(np.stack(pictures), labels, tuple(str(turn) for turn in range(len(labels)))), out / name)
    return out


def found_faces() -> Iterator[tuple[NDArray[np.uint8], Box]]:
    """Each face that the detector finds in the example photos: the photo, RGB uint8 [H, W, 3], and the box in it."""
    detector = FaceDetector.from_pretrained("yunet")
    for file in sorted(file for file in EXAMPLES.iterdir() if file.suffix in SUFFIXES):
        picture = images.load(file)
        boxes, _ = detector.detect(picture)
        yield from ((picture, Box(*map(float, box))) for box in boxes)


def jittered(picture: NDArray[np.uint8], box: Box, generator: np.random.Generator) -> NDArray[np.uint8]:
    """A randomly shifted, scaled, mirrored and lit crop around the box: grey uint8 [48, 48]."""
    side = max(box.width, box.height)
    x, y = generator.uniform(-JITTER, JITTER, 2) * side
    moved = Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y)
    crop = crops.square(picture, moved, generator.uniform(-JITTER, JITTER))
    grey = crops.resize(crops.to_grey(crop), SIDE)[:, :: generator.choice([1, -1])]
    lit = grey * generator.uniform(0.7, 1.2) + generator.uniform(-20, 20)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def write_split(split: Split, out: Path) -> None:
    """A folder per expression, a PNG per picture."""
    for emotion in EMOTIONS:
        (out / emotion).mkdir(parents=True)
    for picture, label_, name in zip(split.pictures, split.labels, split.names, strict=True):
        Image.fromarray(picture).save(out / EMOTIONS[label_] / f"{name}.png")


def write_repository(place: Path) -> None:
    """What `training.publish` would put on the Hub."""
    figures_ = model_repo.figures_of(place / "run")
    _, files = model_repo.collect(place / "model", "you/facemotion-smoke", figures_, place)
    for path, content in files.items():
        (place / "repository" / path).parent.mkdir(parents=True, exist_ok=True)
        (place / "repository" / path).write_bytes(content)


def evaluate_export(place: Path, tree: Path) -> None:
    """Scores the exported weights on the validation pictures."""
    model = scorers.load_model(str(place / "model"))
    validation, known = load_split(tree, "validation"), load_split(tree, "train")
    evaluate.write(evaluate.evaluate(model, validation, known, resamples=RESAMPLES), place / "evaluation")


def label(place: Path) -> Analysis:
    """The photo as the product sees it with the exported weights."""
    return Pipeline.from_pretrained(classifier=str(place / "model")).analyze(PHOTO)


if __name__ == "__main__":
    main()
