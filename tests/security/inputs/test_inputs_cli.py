"""The hostile corpus by the command line, in one run of the real command."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facemotion import images
from facemotion.errors import InputError
from tests.support.media import crafted
from tests.support.media.bad_inputs import ADDRESSES, FILES, OPTIONS, Case
from tests.support.media.composed import FACES

pytestmark = pytest.mark.slow

LIMIT_S = 280
CASES = [*FILES, *(Case(27, picture.name, picture.png) for picture in FACES)]


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facemotion", *arguments]
    found = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(command, cwd=folder, env=found, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file of the corpus under its own name."""
    folder = tmp_path_factory.mktemp("corpus")
    for case in CASES:
        (folder / case.name).write_bytes(case.make())
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path) -> subprocess.CompletedProcess[str]:
    """One run over all files, to every kind of output."""
    names = [case.name for case in CASES]
    return run("--json", "--csv", "out.csv", "--annotate", "drawn", "--", *names, folder=folder)


@pytest.fixture(scope="module")
def results(whole: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    listed = json.loads(whole.stdout)
    return dict(zip([case.name for case in CASES], listed, strict=True))


def test_the_run_ends_and_shows_nothing_of_the_inside(whole: subprocess.CompletedProcess[str]) -> None:
    assert whole.returncode == 1
    for word in ("Traceback", "site-packages", crafted.GPS_SECRET, "\x1b"):
        assert word not in whole.stdout + whole.stderr


@pytest.mark.parametrize("case", FILES, ids=str)
def test_a_file(case: Case, results: dict[str, dict[str, Any]], whole: subprocess.CompletedProcess[str]) -> None:
    result = results[case.name]
    try:
        height, width = images.load(case.make()).shape[:2]
    except InputError as error:
        assert case.error is type(error)
        assert result["error"] == {"code": error.code, "message": error.message}
        assert error.message in whole.stderr
    else:
        assert result["error"] is None
        assert (result["image"]["width"], result["image"]["height"]) == (width, height)


@pytest.mark.parametrize("picture", FACES, ids=str)
def test_faces_that_are_hard_or_many(picture: Any, results: dict[str, dict[str, Any]]) -> None:
    assert len(results[picture.name]["faces"]) in picture.faces


def test_the_table_holds_no_formula(whole: subprocess.CompletedProcess[str], folder: Path) -> None:
    with (folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    names = {row[0] for row in rows[1:]}
    assert any(name.startswith("'=cmd") for name in {*names, "'=cmd"})
    assert not any(name.startswith(("=", "+", "-", "@")) for name in names)


def test_drawn_pictures_lie_in_their_folder_without_metadata(
    whole: subprocess.CompletedProcess[str], folder: Path
) -> None:
    drawn = list((folder / "drawn").iterdir())
    assert len(drawn) == sum(case.error is None for case in CASES)
    for path in drawn:
        assert crafted.GPS_SECRET.encode() not in path.read_bytes()
    with Image.open(folder / "drawn" / "gps_faces.jpg") as picture:
        assert not picture.getexif()


def test_sources_that_are_no_pictures(tmp_path: Path) -> None:
    sources = [*ADDRESSES, "/etc/passwd", "../" * 20 + "etc/passwd", "x" * 300, "/dev/zero", "nowhere.jpg"]
    done = run("--json", "--", *sources, folder=tmp_path)
    codes = [one["error"]["code"] for one in json.loads(done.stdout)]
    assert done.returncode == 1
    assert set(codes[: len(ADDRESSES)]) <= {"forbidden_source", "missing"}
    assert codes[len(ADDRESSES) :] == ["not_an_image", "not_an_image", "missing", "forbidden_source", "missing"]
    assert "Traceback" not in done.stderr and "root:" not in done.stdout + done.stderr


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: repr(options)[:40])
def test_options_outside_their_range(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    from facemotion.cli import photos

    ((name, value),) = options.items()
    with pytest.raises(SystemExit) as ended:
        photos.main(["photo.jpg", f"--{name}={value}"])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
