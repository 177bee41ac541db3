"""The numbers and tables of a run's report, filled into templates/run_report.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from facemotion.faces import EMOTIONS
from training.common.constants import FER2013
from training.common.markdown import fill, table
from training.expression.config import PRESETS
from training.expression.data import inspect
from training.expression.evaluation import evaluate
from training.expression.figures.image_grids import SURE_MISTAKES
from training.publish.model_card import TITLES, dataset
from training.reports import paper_results
from training.reports.paper_results import percent

if TYPE_CHECKING:
    from training.reports.material import Material

TEMPLATE = Path(__file__).parent / "templates" / "run_report.md"
# Keys of a config.json that tell of the machine and the code, not of the recipe.
PROVENANCE = ("commit", "dirty", "torch")
MACHINE = ("processor", "gpu", "device", "threads", "python", "torch", "numpy", "platform", "commit")


def render(material: Material, folder: str, drawn: Sequence[str], machine: str | None = None) -> str:
    """The whole report.

    Args:
        material: all that is told.
        folder: where the figures lie, relative to the report.
        drawn: the names of those that were drawn, without suffix.
        machine: what the run ran on, where it did not record that itself.
    """
    history, knobs = material.record.history, material.config.items()
    first_counts, last_counts = material.counts(1), material.counts(int(history[-1]["epoch"]))
    findings = paper_results.findings(first_counts, last_counts, int(history[-1]["epoch"]))
    return fill(
        TEMPLATE,
        config=material.config,
        record=material.record,
        history=history,
        study=is_study(material),
        fer2013=is_fer2013(material),
        recipe=[(k.replace("_", " "), f"`{v}`") for k, v in knobs if k not in PROVENANCE and v not in ([], "")],
        machines=machines(material, machine),
        seconds=[row["seconds"] for row in history],
        lowest=min(history, key=lambda row: row["validation_loss"]),
        last=history[-1],
        epochs=last_epochs(material),
        pictures=len(material.fresh),
        unseen=int(material.fresh.sum()),
        first_counts=first_counts,
        last_counts=last_counts,
        findings=[(found.statement, f"**{found.holds}**", found.numbers) for found in findings],
        best=material.best,
        parity=material.model["metrics"]["parity"],
        data=material.data,
        votes=material.votes,
        **{"folder": folder, "drawn": drawn, "titles": TITLES, "sure_mistakes": SURE_MISTAKES},
        **{"evaluate": evaluate, "inspect": inspect, "paper_results": paper_results, "percent": percent},
        **{"counts_table": counts_table, "median": median, "min": min, "max": max, "sum": sum},
    )


def is_fer2013(material: Material) -> bool:
    """Whether the data are one of FER2013's known splits."""
    return dataset(material.model) == FER2013


def is_study(material: Material) -> bool:
    """Whether the run is of the study's network, and so is to be held against its numbers."""
    return bool(material.config["network"] == PRESETS["study"].network)


def machines(material: Material, machine: str | None) -> str:
    """What the run ran on: each thing once, though it was started several times."""
    sessions: Sequence[Mapping[str, Any]] = material.machines or [
        {"processor": machine} | {name: material.config[name] for name in PROVENANCE if name in material.config}
    ]
    found = {name: distinct(session.get(name) for session in sessions) for name in MACHINE}
    rows = [(name, ", then ".join(values)) for name, values in found.items() if values]
    lines = [table(("ran on", ""), rows)]
    if not found["processor"]:
        lines.append("The run did not record its processor.\n")
    if any(session.get("dirty") for session in sessions):
        lines.append("The code was changed since that commit in files that git knows.\n")
    if len(material.machines) > 1:
        lines.append(f"It was started {len(material.machines)} times, each time going on where it had stopped.\n")
    return "\n".join(lines)


def distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def last_epochs(material: Material) -> list[tuple[str, ...]]:
    """Rows of the last five epochs, of the study's recipe beside the reference run's, and of the best one."""
    record = material.record
    shown = [*record.history[-5:]]
    if record.best not in {int(row["epoch"]) for row in shown}:
        shown.insert(0, next(row for row in record.history if int(row["epoch"]) == record.best))
    rows = [epoch_row(material, row) for row in shown]
    if is_study(material):
        accuracies = " to ".join(percent(share, 1) for share in paper_results.REFERENCE_LAST_FIVE)
        losses = f"{paper_results.REFERENCE_TRAIN_LOSS}", "", ""
        rows.append(("the reference run's last five", *losses, accuracies, "not reported"))
    return rows


def epoch_row(material: Material, row: Mapping[str, float]) -> tuple[str, ...]:
    epoch = int(row["epoch"])
    name = f"**{epoch}, the best**" if epoch == material.record.best else str(epoch)
    fresh = material.accuracy_on_fresh(epoch)
    losses = f"{row['train_loss']:.3f}", percent(row["train_accuracy"]), f"{row['validation_loss']:.3f}"
    return name, *losses, percent(row["validation_accuracy"]), "" if fresh is None else percent(fresh)


def counts_table(counts: Any) -> str:
    rows = [(f"**{emotion}**", *(f"{n:,}" for n in row)) for emotion, row in zip(EMOTIONS, counts, strict=True)]
    return table(("labelled", *EMOTIONS), rows)
