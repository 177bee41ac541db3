"""What `training.expression.evaluation.test_protocol` measured, as Markdown for a report: targets, the test split, real
faces, distortions."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any

from training.expression.evaluation import evaluate, in_the_wild, robustness
from training.reports.paper_results import percent

Protocol = Mapping[str, Any]

# What was aimed at, each with where the number stands; shares but for the last column's sign.
TEST_ACCURACY, F1_GAP, CALIBRATION, COVERED_ACCURACY, REAL_FACES, BALANCE = 0.73, 0.02, 0.03, 0.80, 0.445, 0.5


def verdict(protocol: Protocol) -> str:
    """Each target, the number reached, and by how much it is missed."""
    single, real = protocol["test"]["single view"], protocol["wild"]["report"][0]
    covered = next(p["accuracy"] for p in single["coverage"] if p["coverage"] == 0.8)
    gap = single["accuracy"] - single["macro_f1"]
    rows = [
        _at_least("accuracy on the test split, single view", single["accuracy"], TEST_ACCURACY),
        _at_most("macro-F1 below accuracy", gap, F1_GAP),
        _at_most("calibration error after the temperature", single["ece_after_temperature"], CALIBRATION),
        _at_least("accuracy on the 80 % it is surest of", covered, COVERED_ACCURACY),
        _at_least(
            "accuracy on real faces, used as they are (best of three peers)", real["whole"]["accuracy"], REAL_FACES
        ),
        _at_least("lowest recall over highest, real faces", real["whole"]["lowest_recall_of_highest"], BALANCE),
    ]
    lines = ["| target | asked | reached | |", "|---|---:|---:|---|", *rows]
    return "**Targets.**\n\n" + "\n".join(lines) + "\n"


def _at_least(name: str, value: float, target: float) -> str:
    return _row(name, f"{percent(target, 1)} or more", value, value - target)


def _at_most(name: str, value: float, target: float) -> str:
    return _row(name, f"{percent(target, 1)} or less", value, target - value)


def _row(name: str, asked: str, value: float, margin: float) -> str:
    outcome = "met" if margin >= 0 else f"**missed by {100 * -margin:.1f} points**"
    return f"| {name} | {asked} | {percent(value, 1)} | {outcome} |"


def render(protocol: Protocol, figure: str) -> str:
    """All sections; `figure` is the Markdown that shows the chart of the distortions."""
    return "\n".join([test_split(protocol), real_faces(protocol), distortions(protocol, figure), costs(protocol)])


def test_split(protocol: Protocol) -> str:
    """FER2013's private test and the split that everything was chosen on, in one table, and the test's classes."""
    names = ("split", "view", "accuracy", "95 % interval", "not in train", "macro-F1", "by the crowd's majority")
    lines = [f"| {' | '.join(names)} |", "|---|---|" + "---:|" * (len(names) - 2)]
    for split in ("test", "validation"):
        for view, numbers in protocol[split].items():
            fresh, crowd = numbers["not_in_train"], numbers["crowd"]
            unseen = f"{percent(fresh['accuracy'])} of {fresh['rows']:,}" if fresh else ""
            cells = (
                percent(numbers["accuracy"]),
                evaluate.between(numbers["intervals"]["accuracy"]),
                unseen,
                percent(numbers["macro_f1"]),
                f"{percent(crowd['accuracy'])} of {crowd['rows']:,}",
            )
            lines.append(f"| {split} | {view} | {' | '.join(cells)} |")
    single = protocol["test"]["single view"]
    return "\n".join(
        [
            "## The official splits\n",
            f"On the {single['rows']:,} pictures of PrivateTest (test), read when all was chosen, and on PublicTest "
            "(validation), by which it was chosen. Pictures that stand in either, equal or nearly so, were left out of "
            "training. The last column asks for the expression that most of FER+'s ten voters saw.\n",
            "\n".join(lines) + "\n",
            *([seeds(protocol)] if len(protocol.get("seeds", ())) > 1 else []),
            "The test split, single view, in full:\n",
            evaluate.overall_table(single),
            evaluate.class_table(single),
            evaluate.coverage_table(single),
        ]
    )


def seeds(protocol: Protocol) -> str:
    """How much chance decides: the same recipe from other seeds."""
    runs = protocol["seeds"]
    titles = {
        "test": "test",
        "macro_f1": "its macro-F1",
        "validation": "validation",
        "real": "real faces, by the detector",
    }
    lines = [f"| seed | {' | '.join(titles.values())} |", "|---|" + "---:|" * len(titles)]
    for number, run in enumerate(runs):
        name = "this one" if number == 0 else f"another, {number}"
        lines.append(f"| {name} | {' | '.join(percent(run[key]) for key in titles)} |")
    spread = (f"{percent(mean(r[k] for r in runs))} ± {100 * stdev(r[k] for r in runs):.2f}" for k in titles)
    lines.append(f"| mean ± standard deviation | {' | '.join(spread)} |")
    return f"The same recipe from {len(runs)} seeds, single view:\n\n" + "\n".join(lines) + "\n"


def real_faces(protocol: Protocol) -> str:
    """Faces from photos, both halves."""
    report, choose = protocol["wild"]["report"], protocol["wild"]["choose"]
    chosen = ", ".join(f"{one['model']} {percent(one['whole']['accuracy'], 1)}" for one in choose)
    return (
        "## Real faces\n\nColour faces from photos, labelled by others, cut out on black, which makes every score "
        "pessimistic: to compare by, not to quote. Recall of each expression, on the half that nothing was chosen "
        "by:\n\n"
        f"{in_the_wild.to_markdown(report)}\nOn the other half, used as they are: {chosen}.\n"
    )


def distortions(protocol: Protocol, figure: str) -> str:
    """What each distortion costs, mild to strong."""
    return (
        "## Distortions of serving\n\nAccuracy on the validation split, distorted at three strengths, mild first. "
        "A model trained on the Kaggle split has seen most of these pictures: of it, compare what it loses.\n\n"
        f"{robustness.to_markdown(protocol['robustness'])}\n{figure}"
    )


def costs(protocol: Protocol) -> str:
    """Parameters and multiply-adds."""
    lines = ["| network | parameters | multiply-adds |", "|---|---:|---:|"]
    lines += [f"| {n} | {c['parameters']:,} | {c['multiply_adds']:,} |" for n, c in protocol["networks"].items()]
    return "## What it costs\n\n" + "\n".join(lines) + "\n"
