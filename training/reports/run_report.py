"""Writes the report of a run: Markdown and figures, computed from the run directory and the data.

    python -m training.reports.run_report --run runs/study --data fer2013 --out training/reports/simplecnn.md
    python -m training.reports.run_report --run runs/study --data fer2013 --out report.md --photo photo.jpg
    python -m training.reports.run_report --run runs/modern --data official rafdb --votes fer2013new.csv --out report.md

The figures go to a folder named like the report (simplecnn.md: simplecnn/); what lay there before is replaced. The
report of a run that is not finished says so at the top.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import facemotion
from training.common.cli_errors import exit_on_error
from training.common.errors import DataError
from training.common.knobs import current_names
from training.expression import export
from training.expression.config import FORMER, Config
from training.expression.data.dataset import load_split
from training.expression.data.mixture import validation_parts, validation_split
from training.expression.data.sources import available
from training.expression.evaluation import metrics
from training.expression.figures import charts, run_figures
from training.expression.figures.run_figures import FigureWriter
from training.reports import paper_results, run_report_sections
from training.reports.material import Material

PHOTO = Path(facemotion.__file__).parent / "assets" / "examples" / "group.jpg"
COLOURS = 256  # of a palette


def main(given: list[str] | None = None) -> None:
    arguments = parse_arguments(given)
    with exit_on_error():
        options = {name: getattr(arguments, name) for name in ("photo", "machine", "votes")}
        files = write(arguments.run, arguments.data, arguments.out, **options)
    size = sum(file.stat().st_size for file in files)
    print(f"wrote {arguments.out} with {len(files) - 1} figures, {size / 1e6:.1f} MB in all")


def parse_arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--run", type=Path, required=True, help="a run directory of training.expression.train, finished or not")
    add("--data", type=Path, nargs="+", required=True, help="the data that it was trained on, all sources")
    add("--out", type=Path, required=True, help="the Markdown file to write")
    add("--photo", type=Path, default=PHOTO, help="the photo to show the whole chain on (an example photo)")
    add("--machine", help='what it ran on, for a run that did not record it: "two cores of an AMD EPYC"')
    add("--votes", type=Path, help="FER+'s votes by row, a CSV file: needed where the run learned from them")
    return parser.parse_args(given)


def write(
    run: Path,
    data: Sequence[Path],
    out: Path,
    *,
    photo: Path = PHOTO,
    machine: str | None = None,
    votes: Path | None = None,
) -> list[Path]:
    """Writes the report and its figures, and returns their paths, the report's first.

    Raises:
        DataError: the run or the data cannot be read, or don't belong together.
        InputError: the photo cannot be read.
    """
    with TemporaryDirectory() as scratch:
        material = gather(run, data, Path(scratch) / "model", votes)
        drawn = draw(material, Path(scratch) / "figures", photo, Path(scratch) / "model")
        folder = out.with_suffix("")
        kept = keep(drawn, folder)
    text = run_report_sections.render(material, folder.name, [file.stem for file in kept], machine)
    out.write_text(text, encoding="utf-8")
    return [out, *kept]


def gather(run: Path, sources: Sequence[Path], model: Path, votes: Path | None = None) -> Material:
    """Reads the run and the sources of its data, and exports the best epoch to the folder `model`."""
    data, *photos = sources
    record = run_figures.read_run(run)
    if record.saved is None:
        raise DataError(
            f"{run} holds no best.pt: it is no run directory of training.expression.train with an epoch in it"
        )
    config = current_names(json.loads((run / "config.json").read_text()), FORMER)
    environment = run / "environment.json"
    machines = json.loads(environment.read_text()) if environment.is_file() else []
    splits = {name: load_split(data, name) for name in available(data)}
    if missing := {record.split, config["train_split"]} - set(splits):
        raise DataError(f"{data} has no {', '.join(sorted(missing))}: name the data that the run was trained on")
    exported = export.export(run, data, model, photos, votes)
    recipe = Config.of_run(run)
    if votes:
        recipe = dataclasses.replace(recipe, votes=str(votes))
    parts = validation_parts(splits[record.split], photos, recipe)
    return Material(record, config, machines, splits, validation_split(parts, recipe), exported, votes)


def draw(material: Material, folder: Path, photo: Path, model: Path) -> list[Path]:
    """Draws all figures of the report into `folder`, in the order of the report."""
    figures, record = FigureWriter(folder), material.record
    last = int(record.history[-1]["epoch"])
    titles = [confusion_title(material, epoch) for epoch in (1, last)]
    figures.add("first_last", lambda: charts.two_confusions(material.counts(1), material.counts(last), titles))
    reference = paper_results.REFERENCE_LAST_FIVE if run_report_sections.is_study(material) else None
    probabilities = run_figures.draw_run(figures, record, reference)
    run_figures.draw_mistakes(figures, record, probabilities, material.validation)
    run_figures.draw_data(figures, material.splits)
    run_figures.draw_pipeline_stages(figures, photo, str(model))
    return [folder / name for name in figures.names if "/" not in name]  # the matrix of each epoch is in the animation


def confusion_title(material: Material, epoch: int) -> str:
    accuracy = metrics.accuracy(material.record.logits[epoch], material.record.labels)
    return f"Epoch {epoch}: {paper_results.percent(accuracy, 1)} right"


def keep(drawn: list[Path], folder: Path) -> list[Path]:
    """Moves the figures to `folder`, in place of those there, charts with few colours as small files."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for file in drawn:
        if file.suffix == ".png" and file.stem != "chain":  # a photo has too many colours
            shrink(file, folder / file.name)
        else:
            shutil.move(file, folder / file.name)
    return [folder / file.name for file in drawn]


def shrink(source: Path, target: Path) -> None:
    """Writes the PNG with a palette of its most frequent colours, each other pixel in the nearest of these.

    Pillow's own choice of a palette spoils the colours that few pixels have, which here tell the expressions apart.
    """
    with Image.open(source) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.int32)
    keys = pixels @ np.array([1 << 16, 1 << 8, 1], np.int32)
    packed, where, counts = np.unique(keys, return_inverse=True, return_counts=True)
    found = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.float32)
    palette = found[np.argsort(-counts, kind="stable")[:COLOURS]]
    distances = (palette**2).sum(1) - 2 * found @ palette.T  # squared, but for what is the same for a whole row
    indices = distances.argmin(1).astype(np.uint8)[where.reshape(pixels.shape[:2])]
    reduced = Image.fromarray(indices).convert("P")
    reduced.putpalette(palette.astype(np.uint8).tobytes())
    reduced.save(target, optimize=True)


if __name__ == "__main__":
    main()
