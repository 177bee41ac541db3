"""Draws every figure of a run from its directory and the data; the network is not run again.

    python -m training.expression.figures.run_figures --run runs/study --data fer2013 --out reports/figures
    python -m training.expression.figures.run_figures --run runs/study --data fer2013 --out reports/figures \\
        --photo photo.jpg
    python -m training.expression.figures.run_figures --data fer2013 --out reports/figures  # only those of the data

Of the data: distribution, samples, equal (with different labels), near (nearly equal). Of the run: curves,
confusion/NNN for each epoch, confusion.gif, and for the best epoch classes, reliability, coverage, mistakes. With
--photo, chain: the boxes alone, then with labels, as the program that serves the weights draws them.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from facemotion.faces import EMOTIONS
from training.common import duplicates
from training.common.cli_errors import exit_on_error
from training.common.errors import DataError
from training.expression.config import Config
from training.expression.data.dataset import Split, load_split
from training.expression.data.inspect import joined
from training.expression.data.sources import available
from training.expression.evaluation import evaluate, metrics
from training.expression.figures import charts, image_grids
from training.expression.inference import resized_split
from training.expression.networks import MULTI_HEAD

FRAME_MS, LAST_FRAME_MS = 350, 2500
GIF_WIDTH = 960  # pixels
NEAR_SHOWN, EQUAL_SHOWN = 16, 16  # pairs


@dataclass(frozen=True)
class Record:
    """What a run directory tells: history.csv, and the validation logits [N, 7] of each epoch by its number, with the
    labels [N] and names of their pictures."""

    history: list[dict[str, float]]
    logits: dict[int, metrics.Floats]
    labels: metrics.Labels
    names: tuple[str, ...]
    split: str
    saved: int | None = None

    @property
    def best(self) -> int:
        """The epoch that was `saved` in best.pt and is exported; where that is not known, the first with the highest
        validation accuracy."""
        if self.saved is not None and self.saved in {row["epoch"] for row in self.history}:
            return self.saved
        highest = max(row["validation_accuracy"] for row in self.history)
        return next(int(row["epoch"]) for row in self.history if row["validation_accuracy"] == highest)


def main() -> None:
    arguments = parse_arguments()
    with exit_on_error():
        made = draw_all(arguments)
    print(f"wrote {len(made)} figures to {arguments.out}: {', '.join(made)}")


def parse_arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--run", type=Path, help="a run directory of training.expression.train; without, only the data are drawn")
    add("--data", type=Path, help="the data that the run was trained on; without, only curves and matrices are drawn")
    add("--out", type=Path, required=True, help="the folder to write to")
    add("--reference", type=float, nargs=2, metavar=("LOW", "HIGH"), help="accuracies to compare with: a band, 0..1")
    add("--near", action=argparse.BooleanOptionalAction, default=True, help="look for nearly equal pictures too")
    add("--photo", type=Path, help="a photo to draw the whole chain on")
    add("--weights", default="default", help="the classifier for --photo (%(default)s)")
    return parser.parse_args(given)


def draw_finished(out: Path, training: Split, validation: Split) -> None:
    """The figures of the run and of its data, into out/figures."""
    print("drawing the figures ...", flush=True)
    figures = FigureWriter(out / "figures")
    same_size = resized_split(training, validation.pictures.shape[-1])
    draw_data(figures, {"train": same_size, "validation": validation}, near=False)
    record = read_run(out)
    draw_mistakes(figures, record, draw_run(figures, record), validation)


def draw_all(arguments: argparse.Namespace) -> list[str]:
    """Writes the figures that were asked for, and returns their names.

    Raises:
        DataError: the run or the data cannot be read, or don't belong together.
    """
    figures = FigureWriter(arguments.out)
    splits = {}
    if arguments.data:
        splits = {name: load_split(arguments.data, name) for name in available(arguments.data)}
        draw_data(figures, splits, near=arguments.near)
    if arguments.run:
        record = read_run(arguments.run)
        probabilities = draw_run(figures, record, tuple(arguments.reference) if arguments.reference else None)
        # A run of several heads was validated on other labels and on photos too, which no single --data holds.
        if record.split in splits and Config.of_run(arguments.run).network != MULTI_HEAD:
            draw_mistakes(figures, record, probabilities, splits[record.split])
    if arguments.photo:
        draw_pipeline_stages(figures, arguments.photo, arguments.weights)
    return figures.names


class FigureWriter:
    """Saves figures by name in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.names = folder, list[str]()

    def add(self, name: str, make: Callable[[], Figure]) -> Path:
        """Makes a figure in the common style and writes it as `name`.png."""
        file = self.folder / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        with charts.style():
            make().savefig(file)
        self.names.append(f"{name}.png")
        return file


def read_run(run: Path) -> Record:
    """Reads a run directory; it may still be growing.

    Raises:
        DataError: a file is missing, or the predictions are not of these labels.
    """
    try:
        config = json.loads((run / "config.json").read_text())
        with (run / "history.csv").open(newline="") as lines:
            history = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]
        labels = np.load(run / "validation_labels.npy")
        names = tuple(json.loads((run / "validation_names.json").read_text()))
        epochs = [int(row["epoch"]) for row in history]
        logits = {epoch: np.load(run / "predictions" / f"{epoch:03d}.npy").astype(np.float64) for epoch in epochs}
    except (OSError, ValueError) as error:
        raise DataError(
            f"{run} is no run directory of training.expression.train with an epoch in it: {error}"
        ) from error
    if not history or any(rows.shape != (len(labels), len(EMOTIONS)) for rows in logits.values()):
        raise DataError(f"{run} holds no epoch, or predictions of other pictures than its validation_labels.npy")
    return Record(history, logits, labels, names, config["validation_split"], saved_epoch(run))


def saved_epoch(run: Path) -> int | None:
    """Which epoch's weights best.pt holds; its tensors are not read."""
    file = run / "best.pt"
    return torch.load(file, map_location="cpu", weights_only=True, mmap=True)["epoch"] if file.is_file() else None


def draw_data(figures: FigureWriter, splits: dict[str, Split], near: bool = True) -> None:
    """The figures of the data alone; `near` adds the nearly equal pairs, the search for which takes longest."""
    figures.add("distribution", lambda: charts.distribution({name: split.counts() for name, split in splits.items()}))
    figures.add("samples", lambda: image_grids.samples(next(iter(splits.values()))))
    everything = joined(list(splits.values()))
    where = [f"{name} {row}" for name, split in splits.items() for row in split.names]

    def tile(row: int) -> image_grids.Tile:
        emotion = EMOTIONS[everything.labels[row]]
        return image_grids.Tile(everything.pictures[row], f"{emotion}\n{where[row]}", emotion)

    if conflicts := conflicting_pairs(everything):
        shown = [(tile(i), tile(j)) for i, j in islice(conflicts, EQUAL_SHOWN)]
        title = f"Equal pictures with different labels: {len(shown)} of {len(conflicts)} sets"
        figures.add("equal", lambda: image_grids.pairs(shown, title))
    if near and (found := duplicates.near_pairs(everything.pictures)):
        # The most alike first, as they were found; spread over the list, the figure shows where the limit lies.
        spread = [found[round(place)] for place in np.linspace(0, len(found) - 1, min(NEAR_SHOWN, len(found)))]
        chosen = [(tile(pair.first), tile(pair.second)) for pair in spread]
        limits = f"correlation {found[0].correlation:.3f} to {found[-1].correlation:.3f}"
        figures.add(
            "near", lambda: image_grids.pairs(chosen, f"Nearly equal: {len(chosen)} of {len(found):,} pairs, {limits}")
        )


def conflicting_pairs(split: Split) -> list[tuple[int, int]]:
    """For each set of equal pictures with different labels, two rows that differ; blank ones are left out."""
    blank = duplicates.blank(split.pictures)
    found = []
    for first, *others in duplicates.equal_groups(split.pictures):
        differing = [row for row in others if split.labels[row] != split.labels[first]]
        if differing and not blank[first]:
            found.append((first, differing[0]))
    return found


def draw_run(figures: FigureWriter, record: Record, reference: tuple[float, float] | None = None) -> metrics.Floats:
    """The figures of a run for which no picture is needed; returns the best epoch's calibrated probabilities."""
    figures.add("curves", lambda: charts.curves(record.history, reference, record.best))
    frames = [draw_confusion(figures, record, epoch) for epoch in tqdm(record.logits, desc="epochs", leave=False)]
    animate(frames, figures.folder / "confusion.gif")
    figures.names.append("confusion.gif")
    logits = record.logits[record.best]
    numbers = evaluate.evaluate_logits(logits, record.labels)
    figures.add("classes", lambda: charts.classes(numbers["per_class"], numbers["intervals"]))
    probabilities = metrics.softmax(logits, numbers["temperature"])
    _, reported_on = metrics.halves(len(record.labels))
    before, after = (
        metrics.reliability(p[reported_on], record.labels[reported_on])
        for p in (metrics.softmax(logits), probabilities)
    )
    texts = [
        f"As trained: calibration error {100 * numbers['ece_before_temperature']:.1f} %",
        f"At temperature {numbers['temperature']:.3g}: {100 * numbers['ece_after_temperature']:.1f} %",
    ]
    figures.add("reliability", lambda: charts.reliability(before, after, texts))
    figures.add("coverage", lambda: charts.coverage(metrics.accuracy_by_coverage(probabilities, record.labels)))
    return probabilities


def draw_confusion(figures: FigureWriter, record: Record, epoch: int) -> Path:
    """The confusion matrix of one epoch."""
    logits = record.logits[epoch]
    counts = metrics.confusion(logits, record.labels)
    title = f"Epoch {epoch}: {100 * metrics.accuracy(logits, record.labels):.1f} % of {len(record.labels):,} right"
    return figures.add(f"confusion/{epoch:03d}", lambda: charts.confusion(counts, title))


def animate(files: list[Path], out: Path) -> None:
    """The figures as one animation, all in the same colours: else the background would flicker."""
    pictures = [Image.open(file).convert("RGB") for file in files]
    size = (GIF_WIDTH, round(GIF_WIDTH * pictures[0].height / pictures[0].width))
    pictures = [picture.resize(size, Image.Resampling.LANCZOS) for picture in pictures]
    frames = [picture.quantize(palette=palette(), dither=Image.Dither.NONE) for picture in pictures]
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    frames[0].save(out, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)


def palette() -> Image.Image:
    """Shades of a confusion matrix's cells and greys of its text; white stands alone, as Pillow confuses near ones."""
    shades = 255 * charts.SHADES(np.linspace(0.08, 1, 64))[:, :3]
    greys = np.repeat(np.linspace(0, 255, 17)[:, None], 3, axis=1)
    image = Image.new("P", (1, 1))
    image.putpalette(np.concatenate([shades, greys]).round().astype(np.uint8).tobytes())
    return image


def draw_mistakes(figures: FigureWriter, record: Record, probabilities: metrics.Floats, split: Split) -> None:
    """The most confident mistakes among the probabilities of one epoch, [N, 7].

    Raises:
        DataError: the run was validated on other images than `split` holds.
    """
    aligned = validation_pictures(record, split)
    figures.add("mistakes", lambda: image_grids.mistakes(aligned, probabilities))


def validation_pictures(record: Record, split: Split) -> Split:
    """The images of `split` that the run was validated on, in its order.

    Raises:
        DataError: the run was validated on other images than `split` holds.
    """
    place = {
        (name, label): row for row, (name, label) in enumerate(zip(split.names, split.labels.tolist(), strict=True))
    }
    try:
        rows = np.array([place[key] for key in zip(record.names, record.labels.tolist(), strict=True)])
    except KeyError as error:
        raise DataError(
            f"the run was validated on the image {error}, which the data don't hold: name its own"
        ) from error
    return Split(split.pictures[rows], record.labels, record.names)


def draw_pipeline_stages(figures: FigureWriter, photo: Path, weights: str) -> None:
    """A photo, the boxes alone, the boxes with labels. This one runs the detector and the classifier."""
    from facemotion import Pipeline, annotate, images  # noqa: PLC0415  (the other figures do without the models)

    pipeline = Pipeline.from_pretrained(classifier=weights)
    picture = images.load_picture(photo)
    analysis = pipeline.analyze(picture)
    faces = len(analysis.faces)
    stages = [
        ("The photo", picture.pixels),
        (f"{faces} face{'' if faces == 1 else 's'} found", annotate(picture.pixels, analysis, labels=False)),
        ("What each shows, and how sure that is", annotate(picture.pixels, analysis)),
    ]
    figures.add("chain", lambda: image_grids.chain(stages))


if __name__ == "__main__":
    main()
