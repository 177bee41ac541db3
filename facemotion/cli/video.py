"""The command `facemotion video IN.mp4 --out OUT.mp4`: annotated video with sound, CSV and JSON.

Exit status and streams are those of `facemotion.cli`. Nothing is left of a video that failed or was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from facemotion.cli.interrupts import handle_signals

if TYPE_CHECKING:
    from facemotion.video import Person, Result


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status.

    Raises:
        FacemotionError: the video cannot be read, or the output not be written.
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    with redirect_stdout(sys.stderr):  # libraries that print must not spoil the JSON
        result = _annotate(options)
    if options.json:
        print(json.dumps(result.to_dict(), indent=2), flush=True)
    else:
        print("\n".join(_lines(result, options.out)), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="facemotion video",
        description="Follows the faces of a video and draws which of seven expressions each shows.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong options, 128 + signal stopped.",
    )
    parser.add_argument("video", type=Path, metavar="IN", help="an MP4, MOV, WebM, Matroska or AVI file")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT.mp4", help="where to write the drawn video")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a table with a row per face and moment")
    parser.add_argument("--json", action="store_true", help="print who showed what and when as JSON")
    parser.add_argument("--detector", default="default", metavar="NAME", help="a name, Hub reference or path")
    parser.add_argument("--classifier", default="default", metavar="NAME", help="a name, Hub reference or path")
    return parser


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with status 2 where an output would overwrite a file or its folder is missing."""
    paths = [os.path.realpath(path) for path in (options.video, options.out, options.csv) if path is not None]
    if len(set(paths)) < len(paths):
        parser.error("IN, --out and --csv must be different files.")
    if options.out.suffix.lower() != ".mp4":
        parser.error(f"--out {options.out}: the video is written as MP4; name a file that ends in .mp4.")
    for path in (options.out, options.csv):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            parser.error(f"{path} is a folder, or lies in one that is not there; name a file.")


def _annotate(options: argparse.Namespace) -> Result:
    from tqdm import tqdm  # noqa: PLC0415 - with the models it takes seconds, which --help need not wait for

    from facemotion.pipeline import Pipeline  # noqa: PLC0415
    from facemotion.video import annotate_video  # noqa: PLC0415

    with handle_signals() as signals:
        pipeline = Pipeline.from_pretrained(detector=options.detector, classifier=options.classifier)
        for notice in pipeline.notices:
            print(f"facemotion: {notice}", file=sys.stderr)
        shape = "{percentage:3.0f} %|{bar}| {elapsed}, about {remaining} left"
        with tqdm(total=1.0, file=sys.stderr, disable=not sys.stderr.isatty(), bar_format=shape) as bar:

            def progress(done: float) -> None:
                signals.raise_pending()
                bar.update(max(0.0, done - bar.n))

            return annotate_video(pipeline, options.video, options.out, options.csv, progress)


def _lines(result: Result, target: Path) -> Iterator[str]:
    width, height = result.size
    yield f"{target}: {_seconds(result.duration_s)}, {width} x {height}, sound {result.sound}"
    yield f"{result.analysed} of {result.frames} frames analysed, {len(result.people)} faces followed"
    yield from map(_line, result.people)


def _line(person: Person) -> str:
    total = sum(person.seconds.values())
    shown = sorted(((seconds, name) for name, seconds in person.seconds.items() if seconds), reverse=True)
    kinds = ", ".join(f"{name} {_seconds(seconds)}" for seconds, name in shown)
    return f"{person.id:4}  {_seconds(total):>8}  {kinds}".rstrip()


def _seconds(seconds: float) -> str:
    """Format seconds; a single frame of 0.04 s is not "0.0 s"."""
    return f"{seconds:.2f} s" if 0 < seconds < 0.1 else f"{seconds:.1f} s"
