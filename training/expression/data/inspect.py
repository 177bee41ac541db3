"""Inspects a data set: counts, unreadable and blank images, duplicates.

    python -m training.expression.data.inspect --data fer2013                                    # prints the report
    python -m training.expression.data.inspect --data fer2013.csv --votes fer2013new.csv  # with "not a face" from FER+
    python -m training.expression.data.inspect --data fer2013 --out reports/data  # writes data.md and data.json there
    python -m training.expression.data.inspect --data kaggle  # downloads through kagglehub

Ends with status 1 when a picture cannot be used, with 2 when there are no such data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemotion.faces import EMOTIONS
from training.common import duplicates
from training.common.cli_errors import exit_on_error
from training.common.files import write_json, write_text
from training.common.markdown import table
from training.expression.data.dataset import Split, collect
from training.expression.data.ferplus import load_votes, not_a_face
from training.expression.data.sources import Entry, available

LISTED = 10  # names after which a list in the Markdown ends with "and ... more"; the JSON has them all

Report = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of pictures, fer2013.csv, or kaggle")
    parser.add_argument("--votes", type=Path, help="FER+'s votes by row, a CSV file")
    parser.add_argument(
        "--near", action=argparse.BooleanOptionalAction, default=True, help="look for nearly equal pictures too"
    )
    parser.add_argument("--out", type=Path, help="folder for data.md and data.json")
    arguments = parser.parse_args()
    with exit_on_error():
        report = inspect(arguments.data, arguments.votes, arguments.near)
        print(to_markdown(report))
        if arguments.out:
            write(report, arguments.out)
    sys.exit(1 if report["unreadable"] or report["wrong_size"] else 0)


def inspect(data: Path, votes: Path | None = None, near: bool = True) -> Report:
    """Read every split of `data` and report its content, ready for JSON.

    A picture is named `split/emotion/name`. "equal" pictures are so pixel for pixel; "blank" is defined in
    `duplicates.blank`, "not a face" in `ferplus.not_a_face`.

    Args:
        data: as for `load_split`.
        votes: FER+'s votes; without, "not_a_face" is None.
        near: whether to look for nearly equal pictures, which takes longest; else "near" is None.

    Raises:
        DataError: there are no such data, or a label is unknown.
    """
    read = {split: collect(data, split) for split in available(data)}
    problems = [(name, entry) for name, (_, entries) in read.items() for entry in entries]
    return describe({name: split for name, (split, _) in read.items()}, problems, votes, near)


def describe(
    splits: dict[str, Split], problems: Sequence[tuple[str, Entry]] = (), votes: Path | None = None, near: bool = True
) -> Report:
    """The report of `inspect` on splits that were read already.

    Args:
        splits: by their names.
        problems: pictures that cannot be used, each with its split's name.
        votes: as for `inspect`.
        near: likewise.
    """
    everything = joined(list(splits.values()))
    names = [
        identify(name, label, row) for name, s in splits.items() for row, label in zip(s.names, s.labels, strict=True)
    ]
    return {
        "splits": {name: split.counts() | {"all": len(split)} for name, split in splits.items()},
        "pictures": len(everything),
        "different": int((~duplicates.copies(everything.pictures)).sum()),
        "unreadable": [identify(name, e.label, e.name) for name, e in problems if e.kind == "unreadable"],
        "wrong_size": [identify(name, e.label, e.name) for name, e in problems if e.kind == "wrong_size"],
        "blank": chosen(names, duplicates.blank(everything.pictures)),
        "not_a_face": None if votes is None else chosen(names, not_a_face(load_votes(votes), everything.names)),
        "equal": describe_equal(splits, everything, names),
        "near": describe_near(everything, names) if near else None,
    }


def joined(splits: list[Split]) -> Split:
    """All splits in one."""
    return Split(
        np.concatenate([split.pictures for split in splits]),
        np.concatenate([split.labels for split in splits]),
        tuple(name for split in splits for name in split.names),
    )


def identify(split: str, label: int, name: str) -> str:
    """`split/emotion/name`."""
    return f"{split}/{EMOTIONS[label]}/{name}"


def chosen(names: list[str], mask: NDArray[np.bool_]) -> list[str]:
    """The names where the mask is true."""
    return [names[row] for row in np.flatnonzero(mask)]


def describe_equal(splits: dict[str, Split], everything: Split, names: list[str]) -> Report:
    """Equal pictures within each split and across each two, and those with different labels."""
    groups = duplicates.equal_groups(everything.pictures)
    conflicts = [rows for rows in groups if len({int(everything.labels[row]) for row in rows}) > 1]
    across = {
        f"{split} in {other}": int(duplicates.exact_matches(splits[split].pictures, splits[other].pictures).sum())
        for split, other in permutations(splits, 2)
    }
    return {
        "groups": len(groups),
        "copies_within": {name: int(duplicates.copies(split.pictures).sum()) for name, split in splits.items()},
        "across": across,
        "different_labels": [[names[row] for row in rows] for rows in conflicts],
    }


def describe_near(everything: Split, names: list[str]) -> list[dict[str, Any]]:
    """Nearly equal pairs, the most alike first."""
    return [
        {"pictures": [names[pair.first], names[pair.second]], "correlation": round(pair.correlation, 4)}
        for pair in duplicates.near_pairs(everything.pictures)
    ]


def to_markdown(report: Report) -> str:
    """The report for reading: two tables and the names of what stands out."""
    lines = ["# The data", "", count_table(report["splits"]), fact_table(report).rstrip()]
    for title, key in (("Unreadable", "unreadable"), ("Not 48 x 48", "wrong_size"), ("Blank", "blank")):
        if report[key]:
            lines += ["", f"## {title}", "", shortened(report[key])]
    if report["equal"]["different_labels"]:
        lines += ["", "## Equal pictures with different labels", ""]
        groups = [" = ".join(rows) for rows in report["equal"]["different_labels"]]
        lines += [f"- {group}" for group in groups[:LISTED]]
        lines += [f"- and {len(groups) - LISTED} more groups"] if len(groups) > LISTED else []
    return "\n".join(lines) + "\n"


def count_table(splits: dict[str, dict[str, int]]) -> str:
    """Counts: a row per emotion, a column per split."""
    rows = [(name, *(f"{counts[name]:,}" for counts in splits.values())) for name in (*EMOTIONS, "all")]
    return table(("images", *splits), rows, numbers_from=1)


def fact_table(report: Report) -> str:
    """A row for each count."""
    equal, near, faceless = report["equal"], report["near"], report["not_a_face"]
    facts: dict[str, int | str] = {
        "pictures": report["pictures"],
        "different ones": report["different"],
        "unreadable": len(report["unreadable"]),
        "not 48 x 48": len(report["wrong_size"]),
        "nearly blank": len(report["blank"]),
        "not a face, by all votes": "no votes given" if faceless is None else len(faceless),
        "sets of equal pictures": equal["groups"],
        "sets of equal pictures with different labels": len(equal["different_labels"]),
        **{f"copies within {split}": count for split, count in equal["copies_within"].items()},
        **{f"of {pair.replace(' in ', ', also in ')}": count for pair, count in equal["across"].items()},
        **count_near(near),
    }
    rows = [(what, value if isinstance(value, str) else f"{value:,}") for what, value in facts.items()]
    return table(("found", "number"), rows, numbers_from=1)


def count_near(near: list[dict[str, Any]] | None) -> dict[str, int | str]:
    """How many nearly equal pairs there are, in two splits, and under two labels."""
    if near is None:
        return {"nearly equal pairs": "not looked for"}
    parts = [[name.split("/") for name in pair["pictures"]] for pair in near]
    return {
        "nearly equal pairs": len(near),
        "of these, across splits": sum(first[0] != second[0] for first, second in parts),
        "of these, with different labels": sum(first[1] != second[1] for first, second in parts),
    }


def shortened(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more + "."


def write(report: Report, out: Path) -> None:
    """Writes data.md and data.json."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "data.md", to_markdown(report))
    write_json(out / "data.json", report)


if __name__ == "__main__":
    main()
