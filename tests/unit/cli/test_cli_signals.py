"""What is left of a batch that is asked to end, or killed: the same for every signal."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facemotion.cli import interrupts
from facemotion.output.tables import COLUMNS
from tests.unit.cli.test_cli import FakePipeline, command, run
from tests.unit.cli.test_cli_delivery import NAMES, pipeline, rows  # noqa: F401 - a fixture
from tests.unit.cli.test_cli_video import Finder, finder  # noqa: F401 - a fixture

COUNT = 300
PATIENCE_S = 90
# Runs its arguments with the terminal on standard input as the one that it belongs to.
IN_A_TERMINAL = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, sys.argv[1:])
"""


@pytest.fixture(params=interrupts.SIGNALS, ids=lambda number: signal.Signals(number).name)
def ending(request: pytest.FixtureRequest) -> Iterator[int]:
    """A signal that is not ignored: shells start background jobs without Ctrl-C, and nohup ignores a hangup."""
    number: int = request.param
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield number
    signal.signal(number, before)


def signalled(analyze: Callable[..., Any], name: str, number: int) -> Callable[..., Any]:
    """`analyze`, during which a signal comes at one picture."""

    def analyzed(path: Path, **options: Any) -> Any:
        if path.name == name:
            signal.raise_signal(number)
        return analyze(path, **options)

    return analyzed


@pytest.mark.parametrize("flags", [["--json"], []])
def test_every_signal_delivers_what_is_done(
    flags: list[str],
    ending: int,
    pipeline: FakePipeline,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pipeline, "analyze", signalled(pipeline.analyze, "c.jpg", ending))
    assert run(*NAMES, *flags, "--csv", "out.csv") == 128 + ending
    output = capsys.readouterr()
    assert rows("out.csv") == NAMES[:2]
    assert "2 pictures, 2 faces" in output.out or [one["name"] for one in json.loads(output.out)] == NAMES[:2]
    assert "Stopped: 2 of 3 pictures are done." in output.err


def test_every_signal_ends_a_video_with_nothing_left(
    ending: int,
    finder: Finder,  # noqa: F811
    tmp_path: Path,
) -> None:
    from tests.support.media.synthetic_videos import write
    from tests.unit.video.test_video import PLAIN

    source, looked = write(tmp_path / "in.mp4", PLAIN), finder.analyze

    def interrupted(*given: object, **options: object) -> object:
        signal.raise_signal(ending)
        return looked(*given, **options)

    finder.analyze = interrupted  # type: ignore[method-assign]
    assert run("video", str(source), "--out", str(tmp_path / "out.mp4")) == 128 + ending
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no such signal")
def test_a_hangup_that_nohup_ignores_stays_ignored(
    pipeline: FakePipeline,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "analyze", signalled(pipeline.analyze, "b.png", signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(*NAMES, "--csv", "out.csv") == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert rows("out.csv") == NAMES


def test_only_ctrl_c_repeats_a_wish_and_nothing_is_raised_while_held() -> None:
    handler = interrupts.SignalHandler()
    with handler.deferred():
        handler.handle(signal.SIGTERM, None)
    with pytest.raises(interrupts.Interrupted) as caught:
        handler.raise_pending()
    assert interrupts.exit_status(caught.value) == 128 + signal.SIGTERM
    handler.handle(signal.SIGTERM, None)  # a second one must not cut off what the first one lets through
    with pytest.raises(interrupts.Interrupted):
        handler.handle(signal.SIGINT, None)
    assert interrupts.exit_status(KeyboardInterrupt()) == 130


@pytest.fixture
def folder(examples: Path, tmp_path: Path) -> Path:
    """More pictures than are done before a test stops the command."""
    for index in range(COUNT):
        (tmp_path / f"{index:03}.jpg").symlink_to(examples / "fr_obama.jpg")
    return tmp_path


def wait_for_rows(table: Path, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not table.exists() or table.read_bytes().count(b"\n") < 4:
        assert process.poll() is None and time.monotonic() < deadline, "no row is written while the command works"
        time.sleep(0.05)


def whole_rows(table: Path) -> list[list[str]]:
    text = table.read_text("utf-8-sig")
    assert text.endswith("\n")
    header, *found = csv.reader(text.splitlines())
    assert tuple(header) == COLUMNS and all(len(row) == len(COLUMNS) for row in found)
    return found


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")
def test_a_kill_leaves_the_rows_and_pictures_that_were_done(folder: Path) -> None:
    table, out = folder / "out.csv", folder / "out"
    with subprocess.Popen(
        command(str(folder), "--csv", str(table), "--annotate", str(out)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for_rows(table, process)
        finally:
            process.kill()
    names = [Path(row[0]).stem for row in whole_rows(table)]
    assert 3 <= len(names) < COUNT and names == [f"{index:03}" for index in range(len(names))]
    assert {f"{name}_faces.jpg" for name in names} <= {file.name for file in out.iterdir()}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no terminals of this kind")
def test_a_terminal_that_is_closed_takes_no_results_along(folder: Path) -> None:
    import pty

    table = folder / "out.csv"
    ours, theirs = pty.openpty()
    work = [sys.executable, "-c", IN_A_TERMINAL, *command(str(folder), "--csv", str(table))]
    with subprocess.Popen(work, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        try:
            wait_for_rows(table, process)
        finally:
            os.close(ours)
        try:
            status = process.wait(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert status == 128 + signal.SIGHUP
    assert 3 <= len(whole_rows(table)) < COUNT
