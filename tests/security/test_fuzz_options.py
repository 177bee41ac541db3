"""What else a stranger's words reach: model names, settings, options, arguments, names in tables and archives."""

from __future__ import annotations

import csv
import io
import json
import string
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from facemotion import settings as limits
from facemotion.cli import photos
from facemotion.cli import results as cli_results
from facemotion.detectors import FaceDetector
from facemotion.errors import BadOption, FacemotionError, UnknownModel
from facemotion.output import tables
from facemotion.pipeline import Pipeline
from facemotion.webui.sessions.gallery import GalleryPhoto, GallerySession, zip_bytes
from tests.support.media.bad_inputs import assert_helpful
from tests.support.models.builders import FAILED, analysis, face

FEW = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
TEXT = st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape"))
NAMES = st.one_of(TEXT, st.text(string.printable, max_size=30), st.text("=+-@\t\r\n '\"|,;\0/\\.", max_size=12))
STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # OWASP, "CSV Injection"


@FEW
@given(text=st.one_of(NAMES, st.from_regex(r"[a-z./@#-]{0,30}", fullmatch=True)))
@example(text="you/model@" + "a" * 40 + "#" + "0" * 64)
@example(text="../../etc/passwd")
@example(text="you/..@main")
def test_a_reference_is_read_as_it_is_written_or_refused(text: str) -> None:
    try:
        reference = limits.Reference.parse(text)
    except UnknownModel as error:
        assert error.code == "unknown_model"
    else:
        assert limits.Reference.parse(str(reference)) == reference
        assert str(reference) == text.strip()
        assert reference.repo.count("/") == 1 and not reference.repo.startswith((".", "/"))


@FEW
@given(value=st.one_of(st.floats(), st.integers(), st.none(), st.booleans(), TEXT, st.lists(st.floats(), max_size=2)))
def test_any_threshold(value: Any) -> None:
    try:
        FaceDetector.check_options("auto", value)
    except BadOption as error:
        assert_helpful(error)
    else:
        assert value is None or 0 <= float(value) <= 1


@FEW
@given(value=st.one_of(TEXT, st.none(), st.integers(), st.lists(TEXT, max_size=2)))
def test_any_detail(value: Any) -> None:
    try:
        FaceDetector.check_options(value, None)
    except BadOption as error:
        assert len(error.message) < 300
    else:
        assert value in limits.DETAILS


@FEW
@given(text=NAMES)
def test_any_number_in_the_environment(text: str) -> None:
    if "\0" in text:
        return  # no environment holds it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEMOTION_MAX_SIDE", text)
        try:
            assert limits._number("MAX_SIDE", 7) >= 1
        except BadOption as error:
            assert error.message.startswith("FACEMOTION_MAX_SIDE must be")


class Nobody:
    """A pipeline that finds no face and opens no file."""

    models = {"detector": "fake", "classifier": "fake"}
    notices: tuple[str, ...] = ()

    def analyze(self, source: Path, **options: Any) -> Any:
        return analysis()


ARGUMENT = st.one_of(
    NAMES.filter(lambda text: "\0" not in text),
    st.sampled_from(
        ["--json", "--csv", "-", "--", "-r", "--detail", "fast", "--threshold", "nan", "0.5", "1e999", "--no-labels"]
    ),
    st.sampled_from(["--detector", "--classifier", "--version", "--help", "-h", "--=", "--js", "@file", "."]),
)


@FEW
@given(arguments=st.lists(ARGUMENT, max_size=6))
def test_any_arguments_end_with_a_status(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.getbasetemp())
        patch.setattr(Pipeline, "from_pretrained", lambda **_: Nobody())
        patch.setattr(cli_results.Table, "add", lambda *_: True)
        patch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), errors="strict", encoding="utf-8"))
        patch.setattr("sys.stderr", io.TextIOWrapper(io.BytesIO(), errors="backslashreplace", encoding="utf-8"))
        try:
            status: Any = photos.main(arguments)
        except SystemExit as end:
            status = end.code
    assert status in (0, 1, 2)


@FEW
@given(name=NAMES)
@example(name="=cmd|' /C calc'!A0.jpg")
@example(name=" \t=1+1")
@example(name="\ufeff=1+1")
@example(name="\uff1d1+1")  # full-width, which some spreadsheets take for the other
@example(name="'=1+1")
def test_no_name_is_a_formula_in_the_table(name: str) -> None:
    text = tables.to_csv([FAILED, analysis(face())], [name, name])
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(row) for row in rows] == [len(tables.COLUMNS)] * 3
    for cell in (rows[1][0], rows[2][0]):
        assert not cell.startswith(STARTS) and not cell.lstrip().startswith(STARTS)
        assert cell.removeprefix("'") == name.replace("\r", " ") or cell == name.replace("\r", " ")


@FEW
@given(name=NAMES)
def test_any_name_in_json(name: str) -> None:
    [one] = json.loads(tables.to_json([FAILED], [name], as_list=True))
    assert one["name"] == name


@FEW
@given(names=st.lists(NAMES.map(lambda text: Path(text.replace("\0", "")).name), min_size=1, max_size=4))
@example(names=["..", "CON.jpg", "a:b.jpg", "..\\..\\x.jpg", "C:\\x.jpg"])
@example(names=["x" * 300 + ".jpg", "\u202egpj.exe"])
def test_any_name_in_an_archive(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    picture = tmp_path_factory.getbasetemp() / "picture.jpg"
    picture.write_bytes(b"jpeg")
    album = GallerySession(len(names), [GalleryPhoto(name, analysis(), str(picture), str(picture)) for name in names])
    with zipfile.ZipFile(io.BytesIO(zip_bytes(album))) as archive:
        packed = archive.namelist()
    assert len(set(packed)) == len(names)
    for name in packed:
        assert name.endswith(".jpg") and len(name.encode()) < 256
        assert not set('/\\:*?"<>|') & set(name) and name.isprintable()


def test_an_unknown_model_is_a_sentence() -> None:
    with pytest.raises(FacemotionError, match="No detector is called"):
        Pipeline.from_pretrained(detector="=cmd|'calc'!A0/x/y")
