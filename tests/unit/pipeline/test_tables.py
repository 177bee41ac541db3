from __future__ import annotations

import csv
import io
import json

import pytest

from facemotion.faces import EMOTIONS
from facemotion.output.tables import COLUMNS, to_csv, to_json, to_rows, totals
from tests.support.models.builders import FAILED, analysis, face

TWO = analysis(
    face(1, (1.234, 2, 30, 40), "happy", 0.9),
    face(2, expression="sad", p=0.3, uncertain=True, quality=("small", "dark")),
)


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_there_is_a_row_per_face_and_one_per_unreadable_picture() -> None:
    rows = to_rows([TWO, analysis(), FAILED], ["two.jpg", "none.jpg", "bad.jpg"])
    assert [(row["picture"], row["face"], row["expression"]) for row in rows] == [
        ("two.jpg", 1, "happy"),
        ("two.jpg", 2, "sad"),
        ("bad.jpg", None, None),
    ]
    assert all(tuple(row) == COLUMNS for row in rows)
    assert [row["error"] for row in rows] == [None, None, "This JPEG picture is damaged."]


def test_a_row_holds_the_numbers_of_the_one_json() -> None:
    row, plain = to_rows([TWO], ["two.jpg"])[0], TWO.to_dict()["faces"][0]
    assert {name: row[name] for name in EMOTIONS} == plain["probabilities"]
    assert [row[key] for key in ("x0", "y0", "x1", "y1")] == plain["box"] == [1.23, 2, 30, 40]
    assert row["confidence"] == plain["confidence"] == 0.9


def test_csv_has_its_header_even_without_a_row() -> None:
    assert to_csv([], []) == ",".join(COLUMNS) + "\n"
    assert to_csv([analysis()], ["none.jpg"]) == to_csv([], [])


def test_csv_reads_back() -> None:
    name = 'Ünï, "quoted"\nname.jpg'
    first, second, failed = parsed(to_csv([TWO, FAILED], [name, "bad.jpg"]))
    assert first["picture"] == name
    assert (first["uncertain"], second["uncertain"]) == ("no", "yes")
    assert second["quality"] == "small dark"
    assert float(first["happy"]) == 0.9
    assert (failed["error"], failed["face"], failed["happy"]) == ("This JPEG picture is damaged.", "", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\n", " ="])
def test_a_name_that_a_spreadsheet_would_run_is_made_a_text(start: str) -> None:
    name = f"{start}cmd|' /C calc'!A0"
    _, row = csv.reader(io.StringIO(to_csv([FAILED], [name]), newline=""))
    assert row[0] == f"'{name}"


def test_a_carriage_return_does_not_end_a_row() -> None:
    (row,) = parsed(to_csv([FAILED], ["a\rb.jpg"]))
    assert row["picture"] == "a b.jpg"


def test_one_picture_is_exactly_the_one_json() -> None:
    assert json.loads(to_json([TWO], ["two.jpg"])) == TWO.to_dict()


@pytest.mark.parametrize(("count", "as_list"), [(0, None), (2, None), (1, True)])
def test_several_pictures_are_a_list_with_names(count: int, as_list: bool | None) -> None:
    names = [f"{index}.jpg" for index in range(count)]
    found = json.loads(to_json([TWO] * count, names, as_list=as_list))
    assert found == [{"name": name, **TWO.to_dict()} for name in names]


@pytest.mark.parametrize("make", [to_rows, to_csv, to_json])
def test_as_many_names_as_analyses(make: object) -> None:
    with pytest.raises(ValueError, match="zip"):
        make([TWO, FAILED], ["two.jpg"])  # type: ignore[operator]


def test_totals_count_faces_doubts_and_failures() -> None:
    assert totals([TWO, TWO, analysis(), FAILED]) == {
        **dict.fromkeys(EMOTIONS, 0),
        "happy": 2,
        "sad": 2,
        "uncertain": 2,
        "unreadable": 1,
    }
    assert list(totals([])) == [*EMOTIONS, "uncertain", "unreadable"]
