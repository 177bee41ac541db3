"""The sections of a run's report as Markdown, in the order of reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from facemotion.faces import EMOTIONS
from training.common.constants import FER2013
from training.common.markdown import table
from training.expression.config import PRESETS
from training.expression.data import inspect
from training.expression.evaluation import evaluate
from training.expression.figures.image_grids import SURE_MISTAKES
from training.publish.model_card import TITLES, dataset
from training.reports import paper_results
from training.reports.paper_results import percent

if TYPE_CHECKING:
    from training.reports.material import Material

# Keys of a config.json that tell of the machine and the code, not of the recipe.
PROVENANCE = ("commit", "dirty", "torch")
MACHINE = ("processor", "gpu", "device", "threads", "python", "torch", "numpy", "platform", "commit")
RIGHTS = (
    "FER2013 (I. Goodfellow et al., arXiv:1307.0414) was gathered by a web search: research data, whose rights were "
    "not cleared one by one. Examples are shown here to assess the model.\n"
)


def render(material: Material, folder: str, drawn: Sequence[str], machine: str | None = None) -> str:
    """The whole report.

    Args:
        material: all that is told.
        folder: where the figures lie, relative to the report.
        drawn: the names of those that were drawn, without suffix.
        machine: what the run ran on, where it did not record that itself.
    """
    show = {name: figure(folder, name) if name in drawn else "" for name in TITLES}
    parts = [
        head(material),
        recipe(material, machine),
        learning(material, show),
        last_epochs(material),
        confusions(material, show),
        best_epoch(material, show),
        mistakes(material, show),
        data(material, show),
        chain(show),
        making(material),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts if part)


def figure(folder: str, name: str) -> str:
    suffix = "gif" if name == "confusion" else "png"
    return f"![{TITLES[name]}]({folder}/{name}.{suffix})\n"


def head(material: Material) -> str:
    """Title, how far the run came, and the verdict."""
    history, config = material.record.history, material.config
    lines = [f"# {config['network']} on {'FER2013' if is_fer2013(material) else 'pictures of our own'}\n"]
    if len(history) < config["epochs"]:
        lines.append(
            f"> **Not finished: {len(history)} of the {config['epochs']} planned epochs were run.** "
            "All that follows is of these; nothing is extrapolated.\n"
        )
    if is_study(material):
        lines.append(f"**Verdict.** {paper_results.verdict(history, config)}\n")
    like = ", as in the study" if is_study(material) else ""
    lines.append(
        f"Best epoch: {material.record.best}. It was selected on the validation images that it is evaluated on{like}; "
        "that flatters it a little."
    )
    return "\n".join(lines)


def is_fer2013(material: Material) -> bool:
    """Whether the data are one of FER2013's known splits."""
    return dataset(material.model) == FER2013


def is_study(material: Material) -> bool:
    """Whether the run is of the study's network, and so is to be held against its numbers."""
    return bool(material.config["network"] == PRESETS["study"].network)


def recipe(material: Material, machine: str | None) -> str:
    """What was run, on what, and how long it took."""
    knobs = {name: value for name, value in material.config.items() if name not in PROVENANCE}
    rows = [(name.replace("_", " "), f"`{value}`") for name, value in knobs.items() if value not in ([], "")]
    steps = "Adam at a constant rate, " if is_study(material) else ""
    drawn = material.config.get("rare_class_sampling") or material.config.get("photo_weight", 1) != 1
    order = "pictures drawn by their weights" if drawn else "every picture once an epoch"
    return "\n".join(
        [
            "## The run\n",
            f"Cross entropy, {steps}{order} in random order, and a validation after each epoch. "
            "From the run's config.json:\n",
            table(("knob", "value"), rows),
            machines(material, machine),
            duration(material.record.history),
        ]
    )


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


def duration(history: Sequence[Mapping[str, float]]) -> str:
    seconds = [row["seconds"] for row in history]
    return (
        f"An epoch took {median(seconds):,.0f} s (median; {min(seconds):,.0f} to {max(seconds):,.0f}), all "
        f"{len(seconds)} together {sum(seconds) / 3600:.1f} h by the clock, whatever else the machine did meanwhile.\n"
    )


def learning(material: Material, show: Mapping[str, str]) -> str:
    history = material.record.history
    lowest = min(history, key=lambda row: row["validation_loss"])
    gap = history[-1]["train_accuracy"] - history[-1]["validation_accuracy"]
    return (
        f"## Learning\n\n{show['curves']}\n"
        f"The validation loss is lowest in epoch {lowest['epoch']:.0f} ({lowest['validation_loss']:.2f}) and "
        f"{history[-1]['validation_loss']:.2f} at the end. In the last epoch the network is right about "
        f"{percent(history[-1]['train_accuracy'], 1)} of the training pictures while it learns them, with dropout, and "
        f"{percent(history[-1]['validation_accuracy'], 1)} of the validation pictures: {100 * abs(gap):.1f} points "
        f"{'more' if gap > 0 else 'less'}.\n"
    )


def last_epochs(material: Material) -> str:
    """The last five epochs, of the study's recipe beside the reference run's, and the best one."""
    record = material.record
    shown = [*record.history[-5:]]
    if record.best not in {int(row["epoch"]) for row in shown}:
        shown.insert(0, next(row for row in record.history if int(row["epoch"]) == record.best))
    rows = [epoch_row(material, row) for row in shown]
    said = ""
    if is_study(material):
        reference = " to ".join(percent(share, 1) for share in paper_results.REFERENCE_LAST_FIVE)
        rows.append(
            (
                "the reference run's last five",
                f"{paper_results.REFERENCE_TRAIN_LOSS}",
                "",
                "",
                reference,
                "not reported",
            )
        )
        said = " The reference run is one of the study's recipe by others."
    names = ("epoch", "train loss", "train accuracy", "validation loss", "validation accuracy")
    unseen = f"on the {int(material.fresh.sum()):,} not in train"
    copies = len(material.fresh) - int(material.fresh.sum())
    return (
        f"## The last five epochs\n\n{table((*names, unseen), rows)}\n"
        f"{copies:,} of the {len(material.fresh):,} validation pictures also stand in the training folder, pixel for "
        f"pixel. The last column leaves them out.{said}\n"
    )


def epoch_row(material: Material, row: Mapping[str, float]) -> tuple[str, ...]:
    epoch = int(row["epoch"])
    name = f"**{epoch}, the best**" if epoch == material.record.best else str(epoch)
    fresh = material.accuracy_on_fresh(epoch)
    losses = f"{row['train_loss']:.3f}", percent(row["train_accuracy"]), f"{row['validation_loss']:.3f}"
    return name, *losses, percent(row["validation_accuracy"]), "" if fresh is None else percent(fresh)


def confusions(material: Material, show: Mapping[str, str]) -> str:
    """The matrices of epoch 1 and the last, and what the study said of them."""
    last = int(material.record.history[-1]["epoch"])
    first_counts, last_counts = material.counts(1), material.counts(last)
    return "\n".join(
        [
            f"## What is taken for what, in epoch 1 and in epoch {last}\n",
            "A row for each expression as labelled, a column for each answer; in a cell the percent of its row, and "
            "under it the pictures.\n",
            show["first_last"],
            statements(first_counts, last_counts, last) if is_study(material) else "",
            "From epoch to epoch:\n",
            show["confusion"],
            f"The counts of epoch 1:\n\n{counts_table(first_counts)}",
            f"The counts of epoch {last}:\n\n{counts_table(last_counts)}",
        ]
    )


def statements(first_counts: paper_results.Counts, last_counts: paper_results.Counts, last: int) -> str:
    """What the study said of its matrices, held against ours."""
    found = paper_results.findings(first_counts, last_counts, last)
    rows = [(finding.statement, f"**{finding.holds}**", finding.numbers) for finding in found]
    return (
        "What the study said of its matrices, held against these. Of a confusion, *yes* means that both named "
        "expressions are the two most frequent mistakes, of an over-prediction that both are answered more often than "
        f"labelled; *in part* means one of the two.\n\n{table(('the study', 'holds here', 'our numbers'), rows)}"
    )


def counts_table(counts: Any) -> str:
    rows = [(f"**{emotion}**", *(f"{n:,}" for n in row)) for emotion, row in zip(EMOTIONS, counts, strict=True)]
    return table(("labelled", *EMOTIONS), rows)


def best_epoch(material: Material, show: Mapping[str, str]) -> str:
    """Every number of the best epoch, with its interval."""
    best = material.best
    return "\n".join(
        [
            f"## The best epoch, {material.record.best}, in numbers\n",
            f"On all {best['rows']:,} validation pictures. The intervals are from a bootstrap over the pictures; they "
            "do not say how much another seed would change. The temperature was fitted on a fixed half of the "
            "pictures, and the calibration errors are of the other half.\n",
            evaluate.overall_table(best),
            evaluate.class_table(best),
            show["classes"],
            show["reliability"],
            "Who answers only the pictures it is surest of is right more often:\n",
            evaluate.coverage_table(best),
            show["coverage"],
            "Between PyTorch with the run's weights and what serves the published ones, no probability differs by more "
            f"than {material.model['metrics']['parity']:.1e}.\n",
        ]
    )


def mistakes(material: Material, show: Mapping[str, str]) -> str:
    wrong = material.best["rows"] - round(material.best["accuracy"] * material.best["rows"])
    return (
        f"## The most confident mistakes\n\nThe best epoch is wrong, by the labels, about {wrong:,} pictures. These "
        f"are those it was surest of, {SURE_MISTAKES} at most, each once. Whether the network or the label is wrong is "
        f"left to the reader.\n\n{show['mistakes']}"
    )


def data(material: Material, show: Mapping[str, str]) -> str:
    """Counts of images and the problems found in them."""
    facts = material.data
    return "\n".join(
        [
            "## The data\n",
            RIGHTS if is_fer2013(material) else "",
            inspect.count_table(facts["splits"]),
            show["distribution"],
            show["samples"],
            inspect.fact_table(facts),
            "Equal means pixel for pixel. Nearly equal pictures are the same photo, cut or stored again; they were not "
            "left out of any number here. The figure of equal pictures shows no blank ones.\n",
            show["equal"],
            show["near"],
        ]
    )


def chain(show: Mapping[str, str]) -> str:
    if not show["chain"]:
        return ""
    return (
        "## The whole chain\n\nA photo, the faces that the detector finds, and what this run's best epoch says of "
        "each.\n\n"
        f"{show['chain']}"
    )


def making(material: Material) -> str:
    options = " --votes VOTES" if material.votes else ""
    return (
        "## How this was made\n\n```shell\n"
        f"python -m training.reports.run_report --run RUN --data DATA --out REPORT.md --photo PHOTO{options}\n```\n\n"
        "All numbers and figures above are computed by that from the run directory and the data.\n"
    )
