"""Tables, CSV, JSON and totals of analyses."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from facemotion.faces import EMOTIONS, Analysis, Face

COLUMNS: tuple[str, ...] = (
    "picture", "face", "expression", "confidence", "uncertain", "quality", "detection_confidence",
    "x0", "y0", "x1", "y1", *EMOTIONS, "error",
)  # fmt: skip
"""The columns of the table, in order: the keys of each row of `to_rows`."""

CSV_FILE_ENCODING = "utf-8-sig"
"""Of CSV in a file: with a byte order mark, without which Excel takes UTF-8 for the system's old encoding."""

# A spreadsheet runs a cell with one of these first characters as a formula, also behind a tab (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are full-width twins


def to_rows(analyses: Sequence[Analysis], names: Sequence[str]) -> list[dict[str, Any]]:
    """One row per face, with the keys `COLUMNS`.

    An image that could not be read has one row, with its name and `error`, and None elsewhere; one without faces has
    none. Probabilities are rounded to four places, box coordinates (pixels, as in `Box`) to two; `quality` is a list.

    Args:
        analyses: the results, in any number.
        names: what to call the image of each.

    Raises:
        ValueError: there are not as many names as analyses.
    """
    rows: list[dict[str, Any]] = []
    for analysis, name in zip(analyses, names, strict=True):
        if analysis.error is not None:
            rows.append(dict.fromkeys(COLUMNS) | {"picture": name, "error": analysis.error[1]})
        rows += [_row(face, name) for face in analysis.faces]
    return rows


def _row(face: Face, name: str) -> dict[str, Any]:
    plain = face.to_dict()
    kept = {key: plain[key] for key in ("expression", "confidence", "uncertain", "quality", "detection_confidence")}
    box = dict(zip(("x0", "y0", "x1", "y1"), plain["box"], strict=True))
    return {"picture": name, "face": face.id, **kept, **box, **plain["probabilities"], "error": None}


def to_csv(analyses: Sequence[Analysis], names: Sequence[str], *, header: bool = True) -> str:
    """The rows of `to_rows` as CSV: lines end in a line feed, spaces part the reasons of quality.

    A text that a spreadsheet would run as a formula, or that begins with a blank, gets an apostrophe in front.

    Args:
        analyses: the results, in any number.
        names: what to call the image of each.
        header: whether the names of the columns come first, also where there is no row.

    Raises:
        ValueError: there are not as many names as analyses.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in to_rows(analyses, names))
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        text = value.replace("\r", " ")  # csv leaves it unquoted before Python 3.13, and readers end the line there
        return f"'{text}" if text[:1].isspace() or text.startswith(_FORMULA_STARTS) else text
    return value


def to_json(analyses: Sequence[Analysis], names: Sequence[str], *, as_list: bool | None = None) -> str:
    """JSON: for one image `Analysis.to_dict()`, for several a list of them.

    In a list each object has one key more, in front: "name", by which to tell the images apart.

    Args:
        analyses: the results, in any number.
        names: what to call the image of each.
        as_list: whether to write a list; None means that one image is written as an object.

    Raises:
        ValueError: there are not as many names as analyses.
    """
    named = [{"name": name, **analysis.to_dict()} for analysis, name in zip(analyses, names, strict=True)]
    if as_list is None:
        as_list = len(analyses) != 1
    return json.dumps(named if as_list else analyses[0].to_dict(), indent=2, allow_nan=False)


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 face`, `2 faces`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def totals(analyses: Sequence[Analysis]) -> dict[str, int]:
    """Number of faces per expression of `EMOTIONS`, uncertain faces included.

    Two keys more: "uncertain", how many of those faces are, and "unreadable", how many images have an error.
    """
    faces = [face for analysis in analyses for face in analysis.faces]
    counts = {name: sum(face.expression == name for face in faces) for name in EMOTIONS}
    counts["uncertain"] = sum(face.uncertain for face in faces)
    counts["unreadable"] = sum(analysis.error is not None for analysis in analyses)
    return counts
