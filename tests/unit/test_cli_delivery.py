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
from pathlib import Path

import pytest
from PIL import Image

from facemotion.pipeline import Pipeline
from tests.unit.test_cli import FakePipeline, run

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
    return [row["picture"] for row in csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines())]


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


@pytest.mark.parametrize(("stop_at", "status"), [(None, 1), ("c.jpg", 130)])
def test_a_csv_that_cannot_be_written_does_not_take_the_table_along(
    stop_at: str | None,
    status: int,
    pipeline: FakePipeline,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(path: Path, text: str, **more: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    pipeline.stop_at = stop_at
    monkeypatch.setattr(Path, "write_text", full)
    assert run(*NAMES, "--csv", "out.csv") == status
    output = capsys.readouterr()
    assert "b.png: 1 face" in output.out
    assert "out.csv: No space left" in output.err
