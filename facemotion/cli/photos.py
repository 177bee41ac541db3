"""The command `facemotion PHOTO...`: expressions as a table, JSON, CSV and drawn pictures.

With `video` or `batch` as the first word, the command of `cli/video.py` or `batch/command.py` runs instead.

Results go to standard output, all else to standard error. The exit status is 0 when every picture was analysed, 1 when
one failed or a file could not be written (the others are done all the same), 2 for a mistake in the options, and 128
with the signal's number added after Ctrl-C (130), SIGTERM (143) or SIGHUP (129), with the results so far. A kill that
cannot be caught leaves the rows of the CSV file and the drawn pictures that were done.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from facemotion import __version__
from facemotion.atomic import atomic_write
from facemotion.cli import interrupts
from facemotion.cli.inputs import DRAWN_MARK, STANDARD_INPUT, PhotoInput, find_photos, is_pattern
from facemotion.cli.results import Results, printable, redirect_to_null, say
from facemotion.errors import FacemotionError, MissingInput, NotAnImage
from facemotion.faces import Analysis
from facemotion.output.tables import count
from facemotion.suffixes import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from facemotion.pipeline import Pipeline

_MANY = 20  # photos, from which on progress is shown in log files too
_LONGEST_STEM = 200  # bytes of the file name kept; most file systems allow 255
_JPEG_QUALITY = 92
_CSV = "faces.csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; without `arguments`, those of the command line count."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    _replace_unprintable()
    try:
        if given[:1] == ["video"]:  # a folder of that name is ./video
            from facemotion.cli import video  # noqa: PLC0415

            return video.run(given[1:])
        if given[:1] == ["batch"]:
            from facemotion.batch import command  # noqa: PLC0415

            return command.run(given[1:])
        parser = _parser()
        options = parser.parse_args(given)
        _check_options(parser, options)
        return _run(options)
    except KeyboardInterrupt as stop:
        say("Stopped before all results were written.")
        return interrupts.exit_status(stop)
    except FacemotionError as error:
        say(error.message)
    except BrokenPipeError:  # the reader, such as `head`, has ended
        redirect_to_null(sys.stdout)
    except OSError as error:
        say(f"{printable(error.filename or 'A file')}: {error.strerror}.")
    return 1


def _replace_unprintable() -> None:
    """Print ? for letters that the terminal's encoding lacks, such as that of an old Windows."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # standard error does this by default
        sys.stdout.reconfigure(errors="replace")


def _parser() -> argparse.ArgumentParser:
    from facemotion.settings import DETAILS  # noqa: PLC0415 - a bad FACEMOTION_ variable is reported by main

    parser = argparse.ArgumentParser(
        prog="facemotion",
        description="Finds every face in photos and says which of seven expressions each shows.",
        epilog="Exit status: 0 all done, 1 a picture failed, 2 wrong options, 128 + signal stopped (130: Ctrl-C). "
        "--csv and --annotate write as they go; JSON comes at the end. See also: video -h, batch -h",
    )
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="a picture, a folder of pictures, or - for standard input"
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="search folders within folders too")
    parser.add_argument("--json", action="store_true", help="print JSON: an object for one photo, a list for several")
    csv_help = f"write a table with a row per face into FILE (default: {_CSV}); - prints it"
    parser.add_argument("--csv", nargs="?", const=_CSV, metavar="FILE", help=csv_help)
    parser.add_argument("--annotate", metavar="FOLDER", type=Path, help="write the pictures with the faces drawn")
    parser.add_argument("--no-labels", action="store_true", help="draw the boxes only")
    parser.add_argument("--detail", choices=DETAILS, default="auto", help="how closely to look (default: auto)")
    parser.add_argument("--threshold", type=_score, metavar="0..1", help="smallest detection score of a face")
    parser.add_argument("--detector", default="default", metavar="NAME", help="a name, Hub reference or path")
    parser.add_argument("--classifier", default="default", metavar="NAME", help="a name, Hub reference or path")
    parser.add_argument("--version", action="version", version=f"facemotion {__version__}")
    return parser


def _score(text: str) -> float:
    value = float(text)  # argparse reports a ValueError as an invalid value
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, but is {text}")
    return value


def _check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with status 2 when the options contradict each other."""
    if options.csv == "-":
        if options.json:
            parser.error("--json and --csv - cannot both write to standard output; give --csv a file.")
    elif options.csv and Path(options.csv).suffix.lower() in PICTURE_SUFFIXES:
        parser.error(f"--csv {options.csv} would write the table over a picture; put the photos before --csv.")
    elif options.csv and not Path(options.csv).parent.is_dir():
        parser.error(f"--csv {options.csv}: there is no such folder.")
    elif options.csv and Path(options.csv).is_dir():
        parser.error(f"--csv {options.csv} is a folder; name a file.")


def _run(options: argparse.Namespace) -> int:
    found = find_photos(options.photos, options.recursive, options.annotate)
    for folder, reason in found.unread:
        say(f"{printable(folder)} was not searched: {reason}.")
    if found.drawn:
        say(f"Passed over: {count(found.drawn, 'picture')} that facemotion drew.")
    if not found.pictures:
        say("There is no picture in what was given. Name a photo, or a folder with photos in it.")
        return 1
    if options.annotate:
        options.annotate.mkdir(parents=True, exist_ok=True)
    status = 1 if found.unread else 0
    output = Results(options.json, options.csv, found.several, keep_going=bool(options.annotate))
    with interrupts.handle_signals() as signals, closing(output) as results:
        try:
            with redirect_stdout(sys.stderr):  # libraries that print must not spoil the JSON
                for analysis, name, complete in _analyze(_load(options), found.pictures, options):
                    status = status if complete else 1
                    with signals.deferred():  # a result is in all outputs, or in none
                        results.add(analysis, name)
                    results.flush()
                    signals.raise_pending()
        except KeyboardInterrupt as stop:
            say(f"Stopped: {len(results)} of {len(found.pictures)} pictures are done.")
            status = interrupts.exit_status(stop)
        results.finish()
    return status if results.complete else status or 1


def _load(options: argparse.Namespace) -> Pipeline:
    from facemotion.pipeline import Pipeline  # noqa: PLC0415 - takes seconds, which --help need not wait for

    pipeline = Pipeline.from_pretrained(detector=options.detector, classifier=options.classifier)
    for notice in pipeline.notices:
        say(notice)
    return pipeline


def _analyze(
    pipeline: Pipeline, pictures: list[PhotoInput], options: argparse.Namespace
) -> Iterator[tuple[Analysis, str, bool]]:
    """Analyze each photo and write its drawn picture.

    Yields the analysis, the name shown, and whether both steps succeeded; failures are printed at once.
    """
    from tqdm import tqdm  # noqa: PLC0415

    targets = _output_paths(pictures, options.annotate) if options.annotate else [None] * len(pictures)
    hidden = len(pictures) == 1 or not (sys.stderr.isatty() or len(pictures) >= _MANY)
    with tqdm(total=len(pictures), unit="picture", file=sys.stderr, disable=hidden) as bar:
        for picture, target in zip(pictures, targets, strict=True):
            name = printable(picture.path) if picture.data is None else STANDARD_INPUT
            problem = None
            try:
                analysis = pipeline.analyze(picture.source, detail=options.detail, threshold=options.threshold)
                if target is not None:
                    problem = _draw_or_explain(picture, analysis, target, labels=not options.no_labels)
            except FacemotionError as error:
                problem = f"{name}: {error.message}{_advice(picture, error)}"
                analysis = Analysis(0, 0, (0, 0), models=pipeline.models, error=(error.code, error.message))
            bar.clear()
            if problem is not None:
                say(problem)
            yield analysis, name, problem is None
            bar.update()


def _advice(picture: PhotoInput, error: FacemotionError) -> str:
    """Advice for command-line users in addition to the error's message."""
    if isinstance(error, MissingInput) and is_pattern(str(picture.path)):
        return " No file matches this pattern."
    if isinstance(error, NotAnImage) and picture.data is None and _is_video(picture.path):
        named = printable(picture.path)
        return f" For videos: facemotion video {named} --out {printable(picture.path.with_suffix(''))}-faces.mp4"
    return ""


def _is_video(path: Path) -> bool:
    from facemotion.video import sniff  # noqa: PLC0415 - needs FFmpeg's library, which pictures do without

    try:
        with path.open("rb") as file:
            return bool(sniff.sniff(file.read(sniff.HEAD_BYTES)))
    except (FacemotionError, OSError):
        return False


def _output_paths(pictures: Iterable[PhotoInput], folder: Path) -> list[Path]:
    """Paths of the drawn pictures: PNG for a PNG, else JPEG; never the path of an input or of another output."""
    paths = [picture.path for picture in pictures]
    taken = {_comparable(path) for path in paths}
    names = []
    for path in paths:
        cut = os.fsencode(path.stem)[:_LONGEST_STEM]
        stem = path.stem if len(cut) < _LONGEST_STEM else cut.decode(errors="ignore")  # not half a letter
        suffix = ".png" if path.suffix.lower() == ".png" else ".jpg"
        name, count = folder / f"{stem}_faces{suffix}", 1
        while _comparable(name) in taken:
            count += 1
            name = folder / f"{stem}_faces_{count}{suffix}"
        taken.add(_comparable(name))
        names.append(name)
    return names


def _comparable(path: Path) -> str:
    """A key that is equal for two paths that may be the same file, also where case is ignored."""
    return os.path.realpath(path).casefold()  # which a link that leads to itself does not stop


def _draw_or_explain(picture: PhotoInput, analysis: Analysis, target: Path, labels: bool) -> str | None:
    """Write the drawn picture; return the message to print where that fails, such as on a full disk."""
    try:
        _draw(picture, analysis, target, labels)
    except FacemotionError as error:
        return f"{printable(target)} was not drawn: {error.message}"
    except OSError as error:  # Pillow raises some without an errno
        return f"{printable(target)} was not written: {error.strerror or error}."
    return None


def _draw(picture: PhotoInput, analysis: Analysis, target: Path, labels: bool) -> None:
    from PIL import Image, PngImagePlugin  # noqa: PLC0415

    from facemotion import images  # noqa: PLC0415
    from facemotion.output.draw import annotate  # noqa: PLC0415

    drawn = Image.fromarray(annotate(images.load(picture.source), analysis, labels=labels))
    mark = PngImagePlugin.PngInfo()
    mark.add_text("Comment", DRAWN_MARK)
    with atomic_write(target) as (temporary,):
        if target.suffix == ".png":
            drawn.save(temporary, format="PNG", pnginfo=mark)
        else:
            drawn.save(temporary, format="JPEG", quality=_JPEG_QUALITY, comment=DRAWN_MARK)
