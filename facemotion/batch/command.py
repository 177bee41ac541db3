"""`python -m facemotion batch SOURCE... --out DEST`: any number of pictures into a folder of Parquet files.

Standard output has the end report, standard error the progress. The exit status is 0 when all is analysed, pictures
that could not be read included, which have a row each; 1 when the run ended early, 2 for a mistake in the options, 130
after Ctrl-C, 143 after SIGTERM. Whatever was finished stays, and `--resume` goes on from there.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import TYPE_CHECKING

from facemotion.errors import BadOption

if TYPE_CHECKING:
    from facemotion.batch import Progress, Report

_EVERY_S = 30.0  # a line of progress in a log file
_SHAPE = "{percentage:3.0f} %|{bar}| {n_fmt} of {total_fmt}, {rate_fmt}, about {remaining} left{postfix}"


def run(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit status.

    Raises:
        FacemotionError: the run cannot start or go on.
    """
    options = _parser().parse_args(arguments)
    seen: list[Progress] = []
    try:
        with _exit_on_sigterm(), redirect_stdout(sys.stderr):  # libraries that print must not spoil the JSON
            report = _analyse(options, seen)
    except (KeyboardInterrupt, _Terminated) as stop:
        number = signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT
        done = f"{seen[-1].done} of {seen[-1].total} pictures are done" if seen else "nothing is done yet"
        print(f"facemotion: Stopped: {done}. --resume goes on from there.", file=sys.stderr, flush=True)
        return 128 + number
    except BadOption as error:
        print(f"facemotion: {error.message}", file=sys.stderr, flush=True)
        return 2
    if options.json:
        print(json.dumps(report.to_dict(), indent=2), flush=True)
    else:
        print("\n".join(_lines(report)), flush=True)
    return 0


class _Terminated(SystemExit):
    """SIGTERM came, as from Kubernetes."""


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the block by an exception, so that Ray is shut down, unless the program handles it already."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated(128 + number)


def _parser() -> argparse.ArgumentParser:
    from facemotion.settings import DETAILS  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="facemotion batch",
        description="Analyses any number of pictures into a folder of Parquet files, with Ray Data.",
        epilog="Exit status: 0 all done, 1 ended early, 2 wrong options, 130 or 143 stopped. docs/batch.md has more.",
    )
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE",
        help="a folder, a glob, a .txt with a path in each line, a .parquet with a column of paths or bytes; "
        "each here, or at an address such as s3://bucket/folder",
    )  # fmt: skip
    parser.add_argument("--out", required=True, metavar="DEST", help="the folder of the results: a path or an address")
    parser.add_argument("--resume", action="store_true", help="go on where an earlier run with the same options ended")
    parser.add_argument("--detail", choices=DETAILS, default="auto", help="how closely to look (default: auto)")
    parser.add_argument("--threshold", type=float, metavar="0..1", help="smallest detection score of a face")
    parser.add_argument("--detector", default="default", metavar="NAME", help="a name, Hub reference or path")
    parser.add_argument("--classifier", default="default", metavar="NAME", help="a name, Hub reference or path")
    parser.add_argument("--limit", type=_positive, metavar="N", help="the first N pictures only")
    parser.add_argument("--column", metavar="NAME", help="of Parquet sources: which one holds the paths or bytes")
    parser.add_argument("--videos", action="store_true", help="analyse videos too, a row for each face and frame")
    parser.add_argument("--frames-per-s", type=float, default=1.0, metavar="N", help="of a video (default: 1)")
    parser.add_argument("--part-pictures", type=_positive, metavar="N", help="pictures in one file of results")
    parser.add_argument("--address", metavar="auto|ray://...", help="of a Ray cluster (default: this machine alone)")
    parser.add_argument("--concurrency", type=_positive, metavar="N", help="workers (default: one a processor)")
    parser.add_argument("--threads", type=_positive, default=1, metavar="N", help="processors a worker (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the end report as JSON")
    return parser


def _positive(text: str) -> int:
    value = int(text)  # argparse reports a ValueError as an invalid value
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, but is {text}")
    return value


def _analyse(options: argparse.Namespace, seen: list[Progress]) -> Report:
    """Runs it, and leaves the last progress in `seen`."""
    from facemotion import batch  # noqa: PLC0415 - takes seconds, which --help need not wait for

    given = {name: value for name, value in vars(options).items() if name != "json"}
    with _shown() as show:

        def note(now: Progress) -> None:
            seen[:] = [now]
            show(now)

        return batch.run(given.pop("sources"), given.pop("out"), progress=note, **given)


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """Shows progress on standard error: a bar that moves on a terminal, a line now and then in a log."""
    from tqdm import tqdm  # noqa: PLC0415

    with tqdm(unit=" pictures", file=sys.stderr, disable=not sys.stderr.isatty(), bar_format=_SHAPE) as bar:
        start: list[tuple[float, int]] = []
        said = [0.0]

        def show(now: Progress) -> None:
            if bar.total is None:
                bar.total, bar.initial = now.total, now.done
            elif (
                not start
            ):  # the first part is done; what came before, Ray's start included, tells nothing about a rate
                start.append((time.monotonic(), now.done))
            bar.set_postfix_str(f"{now.faces} faces, {now.errors} errors", refresh=False)
            bar.update(now.done - bar.n)
            if bar.disable and time.monotonic() - said[0] >= _EVERY_S:
                said[0] = time.monotonic()
                since, before = start[0] if start else (said[0], now.done)
                print(_line(now, since, before), file=sys.stderr, flush=True)

        yield show


def _line(now: Progress, started: float, before: int) -> str:
    seconds, done = time.monotonic() - started, now.done - before
    rate = (
        f", {done / seconds:.1f} a second, about {(now.total - now.done) * seconds / done:.0f} s left" if done else ""
    )
    return f"facemotion: {now.done} of {now.total} pictures{rate}; {now.faces} faces, {now.errors} errors"


def _lines(report: Report) -> Iterator[str]:
    yield (
        f"{_printable(report.out)}: {report.items} pictures, {report.faces} faces, {report.rows} rows in "
        f"{report.parts} files; {report.seconds:.1f} s, {report.pictures_per_s:.1f} pictures a second"
    )
    if report.parts_before:
        yield f"{report.parts_before} of the files were there already"
    if report.frames:
        yield f"{report.frames} frames of videos"
    if report.errors:
        yield "not analysed: " + ", ".join(f"{count} {code}" for code, count in report.errors.items())
    if report.slowest:
        yield "slowest: " + ", ".join(f"{ms:.0f} ms {_printable(path)}" for ms, path in report.slowest[:3])


def _printable(path: str) -> str:
    """A file's name without what would move the cursor of a terminal, or is no text."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in path)
