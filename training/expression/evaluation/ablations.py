"""A table of ablations: runs that differ in their recipe, compared on validation images.

    python -m training.expression.evaluation.ablations --runs runs/plain runs/wide --out training/reports/ablations.md

A row for each run: what differs from the first in its recipe, what its network costs, and how right its best epoch was
on the run's own validation pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from training.common.cli_errors import exit_on_error
from training.common.files import write_text
from training.common.knobs import flag
from training.common.markdown import table
from training.expression import ablation_networks
from training.expression.config import Config
from training.expression.evaluation import metrics
from training.expression.figures import run_figures

SAME_FOR_ALL = ("seed", "votes")  # or said otherwise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    runs = "run directories of training.expression.train; the first is compared to"
    add("--runs", type=Path, nargs="+", required=True, help=runs)
    add("--out", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    with exit_on_error():
        text = to_markdown(arguments.runs)
    print(text)
    if arguments.out:
        write_text(arguments.out, text)


def to_markdown(runs: Sequence[Path]) -> str:
    """The table.

    Raises:
        DataError: a folder is no run with an epoch in it.
    """
    first = Config.of_run(runs[0])
    head = ("run", "recipe", "million multiply-adds", "epochs", "seconds per epoch")
    rows = [(run.name, *cells(run, first if run != runs[0] else None)) for run in runs]
    return table((*head, "validation accuracy", "macro-F1", "lowest recall"), rows, numbers_from=2)


def cells(run: Path, first: Config | None) -> list[str]:
    """A run's cells but its name; `first` is the recipe that its own is told by, None tells the whole."""
    record, config = run_figures.read_run(run), Config.of_run(run)
    logits = record.logits[record.best]
    counts = metrics.confusion(logits, record.labels)
    return [
        recipe_differences(config, first),
        f"{ablation_networks.multiply_adds(ablation_networks.build(config.network)) / 1e6:.0f}",
        str(len(record.history)),
        f"{median(row['seconds'] for row in record.history):.1f}",
        f"{metrics.accuracy(logits, record.labels):.3f} of {len(record.labels):,}",
        f"{metrics.macro_f1(counts):.3f}",
        f"{min(row['recall'] for row in metrics.per_class(counts).values()):.2f}",
    ]


def recipe_differences(config: Config, first: Config | None) -> str:
    """The knobs that differ from the first run's, or for that run from the defaults, as flags."""
    other = Config() if first is None else first
    names = [name for name in Config.__dataclass_fields__ if name not in SAME_FOR_ALL]
    changed = {name: getattr(config, name) for name in names if getattr(config, name) != getattr(other, name)}
    return " ".join(f"`{as_flag(name, value)}`" for name, value in changed.items()) or "the same"


def as_flag(name: str, value: object) -> str:
    """A knob as a flag of the command line; of a pinned run only its name."""
    if isinstance(value, bool):
        return flag(name if value else f"no_{name}")
    values = value if isinstance(value, tuple) else (value,)
    return f"{flag(name)} {','.join(str(part).split('#')[0] for part in values) or repr('')}"


if __name__ == "__main__":
    main()
