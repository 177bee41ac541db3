"""Fine-tunes an Ultralytics checkpoint on faces. Run from the repository's root.

    python -m training.detector.train --data faces --base yolo26n.pt --out runs/try --limit 60 --epochs 1      # a look
    python -m training.detector.train --data faces --base yolo26n.pt --out runs/faces --teachers a.pt yunet    # the run
    python -m training.detector.train --data faces more --teacher-boxes faces/teacher more/teacher --out runs/distilled
    python -m training.detector.train --resume --out runs/faces  # after a stop
    python -m training.detector.export --run runs/faces --out runs/faces/export                          # -> ONNX

The data are folders in YOLO's form (`training.detector.data.yolo_format`) or the WIDER FACE tree
(`training.detector.data.wider_face`). All that a run makes is in its directory: data/ (the pictures with cleaned
labels, `training.detector.data.dataset`), config.json, results.csv, weights/last.pt and best.pt, and at the end
summary.json.

The steps: --freeze epochs with the backbone frozen, then the whole network; AdamW, the learning rate falling in a
cosine, an exponential mean of the weights; four photos in a mosaic but for the last epochs, scaled by 0.25 to 2; small
faces pasted into other photos; photos without faces in every batch. With --teacher-boxes the boxes and scores of one
large detector are distilled: they tighten people's labels, add faces, and say how certain each label is.
Photos smaller than --imgsz are shown at their own size as often as enlarged, as the product looks at them.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.common import devices, provenance
from training.common.cli_errors import exit_on_error
from training.common.errors import DataError
from training.common.files import write_json
from training.common.knobs import Former, add_knobs, current_names, knob, known_values, with_current_flags
from training.detector.data import dataset
from training.detector.data.yolo_format import read_manifest

DATA, CONFIG, SUMMARY, RESULTS = "data", "config.json", "summary.json", "results.csv"
LAST = Path("weights") / "last.pt"
SOURCES = "SOURCES.json"


DATA_KNOBS, OPTIMISATION, AUGMENTATION = "the data", "the optimisation", "the augmentation"
FORMER: Former = {"crowds": "crowd_repeats", "loose": "loose_sets", "negatives_a_batch": "negatives_per_batch"}


@dataclass(frozen=True)
class Recipe:
    """The recipe of a run: everything that determines its result; kept in config.json.

    The defaults of 480 pixels and 16 images suit two CPU cores. A short run has too few steps for the 64 images per
    step that Ultralytics accumulates, hence AdamW at 1e-3 with a step per batch. There is no rotation: the upright box
    around a rotated box is loose.
    """

    base: str = knob("yolo26n.pt", OPTIMISATION, "Ultralytics checkpoint to start from.", metavar="FILE")
    epochs: int = knob(24, OPTIMISATION, "Passes over the training images.")
    freeze: int = knob(2, OPTIMISATION, "First epochs, with the backbone frozen.")
    imgsz: int = knob(480, OPTIMISATION, "Side of the network's input in pixels.")
    batch: int = knob(16, OPTIMISATION, "Images per step.")
    learning_rate: float = knob(1e-3, OPTIMISATION, "Learning rate of AdamW, the largest of its cosine schedule.")
    final_share: float = knob(0.02, OPTIMISATION, "Learning rate at the end, as a share of the largest.")
    weight_decay: float = knob(5e-4, OPTIMISATION, "Weight decay of AdamW.")
    warmup_epochs: float = knob(0.5, OPTIMISATION, "Epochs in which the learning rate rises from 0.")
    seed: int = knob(0, OPTIMISATION, "Random seed.")
    mosaic: float = knob(0.8, AUGMENTATION, "Share of the images that are mosaics of four photos.")
    close_mosaic: int = knob(4, AUGMENTATION, "Last epochs, without mosaics.")
    scale: tuple[float, float] = knob((0.25, 2.0), AUGMENTATION, "Smallest and largest scale.", nargs=2, metavar="X")
    translate: float = knob(0.1, AUGMENTATION, "Largest shift, as a share of the side.")
    paste: float = knob(0.3, AUGMENTATION, "Share of the images into which small faces of others are pasted.")
    negatives_per_batch: int = knob(2, AUGMENTATION, "Least number of images without faces in a batch.")
    limit: int = knob(0, DATA_KNOBS, "Photos to use; 0 takes all.")
    teachers: tuple[str, ...] = knob(
        (), DATA_KNOBS, "Detectors that clean the labels, two or more.", nargs="+", metavar="NAME"
    )
    teacher_boxes: tuple[str, ...] = knob(
        (), DATA_KNOBS, "Folders that training.detector.teacher_boxes wrote, to distill.", nargs="+", metavar="FOLDER"
    )
    loose_sets: tuple[str, ...] = knob(
        dataset.LOOSE_SETS, DATA_KNOBS, "Sets whose boxes the teachers tighten.", nargs="*", metavar="SET"
    )
    crowd_repeats: int = knob(1, DATA_KNOBS, "Times that a photo of many faces is shown in an epoch.")
    negatives: str = knob("", DATA_KNOBS, "Folder of images without faces to train on.", metavar="FOLDER")


def main(given: Sequence[str] | None = None) -> None:
    given = sys.argv[1:] if given is None else list(given)
    with exit_on_error():
        if given[:1] == ["export"]:
            from training.detector import export  # noqa: PLC0415  (needs onnx)

            export.main(given[1:])
        else:
            run(parse_arguments(given))


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Starts or continues a run and returns its summary.

    Raises:
        DataError: the data, the base or the directory will not do.
        WeightsError: a teacher cannot be had.
    """
    out: Path = arguments.out
    device = devices.choose_device(arguments.device)
    recipe = resumed_recipe(out) if arguments.resume else start_run(arguments, out, device)
    if arguments.resume:
        note_session(out, device)
    return train(recipe, out, device, arguments.resume)


def start_run(arguments: argparse.Namespace, out: Path, device: torch.device) -> Recipe:
    """Prepares the data and writes config.json."""
    recipe = recipe_of(arguments)
    if (out / LAST).exists():
        raise DataError(f"{out} already holds a run: continue it with --resume, or choose another --out")
    if not arguments.data:
        raise DataError("--data is missing: name a folder of photos with boxes, or the WIDER FACE tree")
    if recipe.teachers and recipe.teacher_boxes:
        raise DataError("--teachers clean labels and --teacher-boxes distil a detector: name one of them")
    if not Path(recipe.base).is_file():
        raise DataError(f"there is no checkpoint {recipe.base}: --base names a file, as nothing is downloaded")
    source = limited(dataset.read(*arguments.data), recipe.limit)
    elsewhere = Path(recipe.negatives) if recipe.negatives else None
    plan = dataset.Plan(negatives=elsewhere, loose_sets=recipe.loose_sets, crowd_repeats=recipe.crowd_repeats)
    plan = dataclasses.replace(plan, teacher_boxes=tuple(map(Path, recipe.teacher_boxes)))
    counts = dataset.prepare(source, out / DATA, recipe.teachers, plan)
    config = public_recipe(recipe) | {"data": counts, "sources": sources(*arguments.data, elsewhere)}
    write_json(out / CONFIG, config | {"sessions": [session(device)]})
    return recipe


def public_recipe(recipe: Recipe) -> dict[str, Any]:
    """The recipe for config.json, which is published: of paths only the names."""
    return dataclasses.asdict(recipe) | {
        "base": Path(recipe.base).name,
        "negatives": Path(recipe.negatives).name,
        "teachers": [Path(teacher).name for teacher in recipe.teachers],
        "teacher_boxes": [Path(folder).name for folder in recipe.teacher_boxes],
    }


def resumed_recipe(out: Path) -> Recipe:
    """The recipe of the run that is to go on."""
    if not (out / LAST).is_file():
        raise DataError(f"{out} holds no {LAST} to go on from: leave out --resume to start a run there")
    try:
        config = json.loads((out / CONFIG).read_text(encoding="utf-8"))
        known = known_values(current_names(config, FORMER), Recipe)  # a run of an earlier version has fewer
        if not {"base", "epochs"} <= set(known):
            raise ValueError("it names neither base nor epochs")
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{out / CONFIG} is no recipe of a run: {error}") from error
    if isinstance(known.get("scale"), float):  # of an earlier version: 1 - scale to 1 + scale
        known |= {"scale": (1 - known["scale"], 1 + known["scale"]), "paste": 0.0, "negatives_per_batch": 0}
    return Recipe(**known)


def note_session(out: Path, device: torch.device) -> None:
    config = json.loads((out / CONFIG).read_text(encoding="utf-8"))
    write_json(out / CONFIG, config | {"sessions": [*config["sessions"], session(device)]})


def session(device: torch.device) -> dict[str, Any]:
    """Versions and machine of one start."""
    from facemotion.detectors import ultralytics_compat  # noqa: PLC0415

    return provenance.environment(device) | {"ultralytics": ultralytics_compat.import_ultralytics().__version__}


def sources(*folders: Path | None) -> dict[str, dict[str, str]]:
    """Where the data come from and under which licences, by set, as SOURCES.json or manifest.csv in each folder tells.

    Raises:
        DataError: a SOURCES.json cannot be read.
    """
    told: dict[str, dict[str, str]] = {}
    for folder in filter(None, folders):
        for row in read_manifest(folder).values():
            for kind, column in (("sources", "source"), ("licences", "licence")):
                if row.get(column):
                    told.setdefault(kind, {}).setdefault(row["set"], row[column])
    for file in (folder / SOURCES for folder in folders if folder and (folder / SOURCES).is_file()):
        try:
            for kind, by_set in json.loads(file.read_text(encoding="utf-8")).items():
                told.setdefault(kind, {}).update(by_set)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{file} must hold sources and licences by set: {error}") from error
    return told


def limited(source: dataset.Source, limit: int) -> dataset.Source:
    """`limit` photos evenly drawn from all, and a quarter as many held out; all where it is 0."""
    if not limit:
        return source
    rows: list[int] = []
    for held, wanted in ((False, limit), (True, max(1, limit // 4))):
        of_part = [row for row in range(len(source.photos)) if bool(source.held_out[row]) == held]
        rows += of_part[:: max(1, len(of_part) // wanted)][:wanted]
    return dataset.Source([source.photos[row] for row in rows], source.held_out[rows], source.ignored)


def train(recipe: Recipe, out: Path, device: torch.device, resume: bool) -> dict[str, Any]:
    """Runs the epochs that are left."""
    from training.detector import trainer as detector_trainer  # noqa: PLC0415  (takes seconds)

    base = out / LAST if resume else Path(recipe.base)
    overrides = settings(recipe, out, base, device)
    overrides["nms"] = False if detector_trainer.is_end_to_end(base) else None  # evaluate the head that is exported
    overrides["amp"] = detector_trainer.precision(device)
    if resume:
        overrides["resume"] = str(base.resolve())
    started_at = time.time()
    try:
        more = detector_trainer.Augmentation(recipe.scale, recipe.paste, recipe.negatives_per_batch)
        trainer = detector_trainer.FaceTraining(overrides, out / DATA, recipe.freeze, more)
        with detector_trainer.bf16_network(device):
            trainer.train()
    except AssertionError as error:  # how ultralytics says that nothing is left to do
        if "nothing to resume" not in str(error):
            raise
        raise DataError(f"{out} has finished its {recipe.epochs} epochs") from error
    summary = summarised(read_history(out), time.time() - started_at)
    write_json(out / SUMMARY, summary)
    return summary


def settings(recipe: Recipe, out: Path, base: Path, device: torch.device) -> dict[str, Any]:
    """The recipe in ultralytics' words. Plots are off: they would fetch a font."""
    return {
        "model": str(base.resolve()),
        "data": str((out / DATA / "data.yaml").resolve()),
        "save_dir": str(out.resolve()),
        "device": "0" if device.type == "cuda" else device.type,
        "workers": 12,  # at most; it takes no more than there are processors
        "cache": "ram" if device.type == "cuda" else False,  # else a GPU waits for pictures to be decoded
        "plots": False,
        "verbose": False,
        "patience": 0,
        "cos_lr": True,
        "optimizer": "AdamW",
        "momentum": 0.9,
        "warmup_bias_lr": 0.0,
        "nbs": recipe.batch,
        "lr0": recipe.learning_rate,
        "lrf": recipe.final_share,
        **{name: getattr(recipe, name) for name in ("epochs", "imgsz", "batch", "weight_decay", "warmup_epochs")},
        **{name: getattr(recipe, name) for name in ("close_mosaic", "mosaic", "translate", "seed")},
    }


def read_history(out: Path) -> list[dict[str, float]]:
    """The rows of results.csv, one an epoch.

    Raises:
        DataError: there are none, or it cannot be read.
    """
    try:
        with (out / RESULTS).open(newline="", encoding="utf-8") as lines:
            rows = [{k.strip(): float(v) for k, v in row.items() if k and v} for row in csv.DictReader(lines)]
    except (OSError, ValueError) as error:
        raise DataError(f"{out} is no run of training.detector.train: {error}") from error
    if not rows:
        raise DataError(f"{out} has not finished an epoch")
    return rows


def summarised(rows: Sequence[dict[str, float]], seconds: float) -> dict[str, Any]:
    """The last epoch, the best one by average precision, and how long the last start took."""
    best = max(rows, key=lambda row: row.get("metrics/mAP50-95(B)", 0.0))
    return {"epochs": len(rows), "last": rows[-1], "best": best, "seconds": round(seconds, 1)}


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe of the command line; options that were not given have their defaults."""
    return Recipe(**known_values(vars(arguments), Recipe))


def parse_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.detector.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, nargs="+", default=[], help="folders of photos with boxes, or the WIDER FACE tree")
    add("--out", type=Path, required=True, help="the run directory")
    add("--resume", action="store_true", help="continue the run in --out with its own recipe")
    add("--device", choices=devices.DEVICES, default="auto", help="auto takes the fastest available (%(default)s)")
    for group in (DATA_KNOBS, OPTIMISATION, AUGMENTATION):
        add_knobs(parser.add_argument_group(group), Recipe, group, _described)
    return parser.parse_args(with_current_flags(sys.argv[1:] if given is None else given, FORMER))


def _described(field: dataclasses.Field[Any]) -> str:
    return f"{field.metadata['help']} ({'none' if field.default in ((), '') else field.default})"


if __name__ == "__main__":
    main()
