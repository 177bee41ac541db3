"""What was analysed is delivered: after Ctrl-C, on a full disk, and where a file cannot be written."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import shutil
import signal
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facemotion.cli import results as cli_results
from facemotion.pipeline import Pipeline
from tests.unit.cli.test_cli import FakePipeline, run

NAMES = ["a.jpg", "b.png", "c.jpg"]


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePipeline:
    """A pipeline that finds a face in each picture, in a working folder with the pictures `NAMES`."""
    for name in NAMES:
        Image.new("RGB", (60, 40), "gray").save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    fake = FakePipeline()
    monkeypatch.setattr(Pipeline, "from_pretrained", lambda **_: fake)
    return fake


def rows(path: str) -> list[str]:
    return [row["picture"] for row in csv.DictReader(Path(path).read_text(encoding="utf-8-sig").splitlines())]


def test_ctrl_c_delivers_what_is_done(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.stop_at = "c.jpg"
    assert run(*NAMES, "--json", "--csv", "out.csv") == 130
    output = capsys.readouterr()
    assert [one["name"] for one in json.loads(output.out)] == rows("out.csv") == NAMES[:2]
    assert "Stopped: 2 of 3 pictures are done." in output.err
    assert run(*NAMES) == 130
    assert "2 pictures, 2 faces" in capsys.readouterr().out


def test_a_ctrl_c_whose_exception_is_lost_stops_all_the_same(
    pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze, seen = pipeline.analyze, list[str]()

    def interrupted(path: Path, **options: object) -> object:
        seen.append(path.name)
        if path.name == "b.png":
            with contextlib.suppress(KeyboardInterrupt):  # as Python does where an object ends
                signal.raise_signal(signal.SIGINT)
        return analyze(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "analyze", interrupted)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without it
    assert run(*NAMES) == 130
    assert seen == NAMES[:2] and "Stopped: 2 of 3 pictures are done." in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("flags", [["--json"], ["--csv", "-"], []])
def test_ctrl_c_before_the_first_result_prints_nothing(
    flags: list[str], pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.stop_at = "a.jpg"
    assert run("a.jpg", *flags) == 130
    output = capsys.readouterr()
    assert output.out == ""
    assert "Stopped: 0 of 1 pictures are done." in output.err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("flags", [[], ["--json"], ["--csv", "-"]])
def test_a_terminal_without_the_letters_of_a_name(
    flags: list[str], encoding: str, pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["фото.jpg", os.fsdecode(b"\xff.jpg")]
    for name in names:
        shutil.copy(NAMES[0], name)
    shown = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", io.TextIOWrapper(shown, encoding=encoding))
        assert run(*names, *flags) == 0
        said = shown.getvalue().decode(encoding)
    assert said.count(".jpg") == 2
    if flags == ["--json"]:
        assert [one["name"] for one in json.loads(said)] == ["фото.jpg", "\ufffd.jpg"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left"),
        (OSError("encoder error -2"), "encoder error"),
    ],
)
def test_a_drawing_that_cannot_be_written_is_named_and_the_others_go_on(
    error: OSError,
    reason: str,
    pipeline: FakePipeline,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save = Image.Image.save

    def full(image: Image.Image, path: Path, **more: object) -> None:
        if "b_faces" in path.name:
            raise error
        save(image, path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "save", full)
    assert run(*NAMES, "--annotate", "out", "--json", "--csv", "out.csv") == 1
    output = capsys.readouterr()
    assert [one["error"] for one in json.loads(output.out)] == [None] * 3
    assert rows("out.csv") == NAMES
    assert f"b_faces.png was not written: {reason}" in output.err
    assert sorted(path.name for path in Path("out").iterdir()) == ["a_faces.jpg", "c_faces.jpg"]


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")


@needs_full
@pytest.mark.parametrize(("stop_at", "status"), [(None, 1), ("c.jpg", 130)])
def test_a_csv_that_cannot_be_written_does_not_take_the_table_along(
    stop_at: str | None, status: int, pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.stop_at = stop_at
    assert run(*NAMES, "--csv", str(FULL)) == status
    output = capsys.readouterr()
    assert "b.png: 1 face" in output.out
    assert output.err.count("/dev/full: No space left") == 1


@needs_full
def test_standard_output_that_cannot_be_written_does_not_take_the_csv_along(
    pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags in (["--json"], []):
        with monkeypatch.context() as patch, FULL.open("w") as stream:
            patch.setattr("sys.stdout", stream)
            assert run(*NAMES, *flags, "--csv", "out.csv") == 1
        assert rows("out.csv") == NAMES
        assert "Standard output: No space left on device." in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "analysed"), [(["--csv", "out.csv"], 3), ([], 1), (["--csv", "-"], 1)])
def test_a_reader_who_has_seen_enough_ends_only_what_is_printed(
    flags: list[str], analysed: int, pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `head` does
    with monkeypatch.context() as patch, os.fdopen(writing, "w") as stream:
        patch.setattr("sys.stdout", stream)
        assert run(*NAMES, *flags) == 1
    assert len(pipeline.calls) == analysed
    assert not Path("out.csv").exists() or rows("out.csv") == NAMES


def test_a_csv_file_is_marked_for_spreadsheets_and_printed_csv_is_not(
    pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(NAMES[0], "\u00fc.jpg")
    assert run("\u00fc.jpg", "--csv", "out.csv") == 0
    capsys.readouterr()
    assert run("\u00fc.jpg", "--csv", "-") == 0
    assert Path("out.csv").read_bytes() == b"\xef\xbb\xbf" + capsys.readouterr().out.encode()


def test_the_table_grows_with_the_pictures_and_an_old_one_stays_until_the_first(
    pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out.csv").write_text("picture\nold\n")
    analyze, tables, printed = pipeline.analyze, list[list[str]](), list[str]()

    def looked(path: Path, **options: object) -> object:
        tables.append(rows("out.csv"))
        printed.append(capsys.readouterr().out)
        return analyze(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "analyze", looked)
    assert run(*NAMES, "--csv", "out.csv") == 0
    assert tables == [["old"], NAMES[:1], NAMES[:2]] and rows("out.csv") == NAMES
    assert [text.splitlines()[:1] for text in printed] == [[], ["a.jpg: 1 face"], ["b.png: 1 face"]]


def test_a_row_that_a_full_disk_cut_off_is_taken_back(tmp_path: Path) -> None:
    class Full(FileIO):
        def write(self, data: Any) -> int:
            if len(data) < 10:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data[:5])

    with Full(tmp_path / "a.csv", "w") as file:
        os.write(file.fileno(), b"whole\n")
        with pytest.raises(OSError, match="No space left"):
            cli_results._append(file, b"a row of a table\n")
    assert (tmp_path / "a.csv").read_bytes() == b"whole\n"
