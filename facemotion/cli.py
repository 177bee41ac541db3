"""`python -m facemotion photo.jpg folder/`: the expressions in photos, as a table, JSON, CSV and drawn pictures. With
`video` as the first word it is `cli_video`'s command.

Results go to standard output, all else to standard error. The exit status is 0 when every picture was analysed, 1 when
one failed or a file could not be written (the others are done all the same), 2 for a mistake in the options, 130 after
Ctrl-C, with the results so far.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from facemotion import __version__, interrupts, report
from facemotion.errors import FacemotionError
from facemotion.faces import EMOTIONS, Analysis
from facemotion.suffixes import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from facemotion.pipeline import Pipeline

_MANY = 20  # pictures; from here on progress is shown in a log file as well
_LONGEST_STEM = 200  # bytes of a file's name that a drawn picture keeps; the usual limit is 255 for the whole name
_JPEG_QUALITY = 92
_CSV = "faces.csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status; `arguments` are those of the command line unless given."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    _replace_what_cannot_be_shown()
    try:
        if given[:1] == ["video"]:  # a folder of that name is ./video
            from facemotion import cli_video  # noqa: PLC0415

            return cli_video.run(given[1:])
        if given[:1] == ["batch"]:
            from facemotion.batch import command  # noqa: PLC0415

            return command.run(given[1:])
        parser = _parser()
        options = parser.parse_args(given)
        _check(parser, options)
        return _run(options)
    except KeyboardInterrupt:
        _say("Stopped before all results were written.")
        return 130
    except FacemotionError as error:
        _say(error.message)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough; the interpreter must not try to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _say(f"{_shown(error.filename or 'A file')}: {error.strerror}.")
    return 1


def _replace_what_cannot_be_shown() -> None:
    """A terminal without Unicode, such as an older one of Windows, shows ? for a letter of a name that it has not."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # standard error does so by itself
        sys.stdout.reconfigure(errors="replace")


def _parser() -> argparse.ArgumentParser:
    from facemotion.settings import DETAILS  # noqa: PLC0415 - a bad FACEMOTION_ variable is reported by main

    parser = argparse.ArgumentParser(
        prog="facemotion",
        description="Finds every face in photos and says which of seven expressions each shows.",
        epilog="Exit status: 0 all done, 1 a picture failed, 2 bad options, 130 stopped. See also: video -h; batch -h",
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="a picture, or a folder of pictures")
    parser.add_argument("-r", "--recursive", action="store_true", help="search folders within folders too")
    parser.add_argument("--json", action="store_true", help="print JSON: an object for one photo, a list for several")
    csv_help = f"write a table with a row per face into FILE (default: {_CSV}); - prints it"
    parser.add_argument("--csv", nargs="?", const=_CSV, metavar="FILE", help=csv_help)
    parser.add_argument("--annotate", metavar="FOLDER", type=Path, help="write the pictures with the faces drawn")
    parser.add_argument("--no-labels", action="store_true", help="draw the boxes only")
    parser.add_argument("--detail", choices=DETAILS, default="auto", help="how closely to look (default: auto)")
    parser.add_argument("--threshold", type=_share, metavar="0..1", help="smallest detection score of a face")
    parser.add_argument("--detector", default="default", metavar="NAME", help="a name, Hub reference or path")
    parser.add_argument("--classifier", default="default", metavar="NAME", help="a name, Hub reference or path")
    parser.add_argument("--version", action="version", version=f"facemotion {__version__}")
    return parser


def _share(text: str) -> float:
    value = float(text)  # argparse reports a ValueError as an invalid value
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, but is {text}")
    return value


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends the program with status 2 where the options, taken together, make no sense."""
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
    given = [Path(photo) for photo in options.photos]
    folders = [path for path in given if os.path.isdir(path)]  # noqa: PTH112 - Path.is_dir raises at odd names
    paths = list(_expand(given, folders, options.recursive))
    if not paths:
        _say("There is no picture in what was given. Name a photo, or a folder with photos in it.")
        return 1
    if options.annotate:
        options.annotate.mkdir(parents=True, exist_ok=True)
    analyses: list[Analysis] = []
    status = 0
    try:
        # Libraries that print must not spoil the JSON.
        with interrupts.remembered() as pressed, redirect_stdout(sys.stderr):
            for analysis, complete in _analyse(_load(options), paths, options):
                analyses.append(analysis)
                status = status if complete else 1
                if pressed:
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        _say(f"Stopped: {len(analyses)} of {len(paths)} pictures are done.")
        status = 130
    names = [_shown(path) for path in paths[: len(analyses)]]
    written = not analyses or _deliver(analyses, names, options, as_list=len(given) > 1 or bool(folders))
    return status if written else status or 1


def _expand(given: Iterable[Path], folders: Iterable[Path], recursive: bool) -> Iterator[Path]:
    """The pictures meant by `given`: files as they are, `folders` replaced by the pictures in them, sorted."""
    for path in given:
        if path not in folders:
            yield path
            continue
        found = path.rglob("*") if recursive else path.iterdir()
        yield from sorted(
            file
            for file in found
            if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".") and file.is_file()
        )


def _load(options: argparse.Namespace) -> Pipeline:
    from facemotion.pipeline import Pipeline  # noqa: PLC0415 - takes seconds, which --help need not wait for

    pipeline = Pipeline.from_pretrained(detector=options.detector, classifier=options.classifier)
    for notice in pipeline.notices:
        _say(notice)
    return pipeline


def _analyse(pipeline: Pipeline, paths: list[Path], options: argparse.Namespace) -> Iterator[tuple[Analysis, bool]]:
    """The analysis of each picture, drawn pictures written on the way, and whether both worked; a failure is named at
    once."""
    from tqdm import tqdm  # noqa: PLC0415

    names = _drawn_names(paths, options.annotate) if options.annotate else [None] * len(paths)
    hidden = len(paths) == 1 or not (sys.stderr.isatty() or len(paths) >= _MANY)
    with tqdm(total=len(paths), unit="picture", file=sys.stderr, disable=hidden) as bar:
        for path, name in zip(paths, names, strict=True):
            problem = None
            try:
                analysis = pipeline.analyze(path, detail=options.detail, threshold=options.threshold)
                if name is not None:
                    problem = _drawing_problem(path, analysis, name, labels=not options.no_labels)
            except FacemotionError as error:
                problem = f"{_shown(path)}: {error.message}"
                analysis = Analysis(0, 0, (0, 0), models=pipeline.models, error=(error.code, error.message))
            if problem is not None:
                bar.clear()
                _say(problem)
            bar.update()
            yield analysis, problem is None


def _drawn_names(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Where each drawn picture goes: PNG for a PNG, else JPEG; never onto a picture that was given, or another's."""
    taken = {_key(path) for path in paths}
    names = []
    for path in paths:
        stem = os.fsdecode(os.fsencode(path.stem)[:_LONGEST_STEM])
        suffix = ".png" if path.suffix.lower() == ".png" else ".jpg"
        name, count = folder / f"{stem}_faces{suffix}", 1
        while _key(name) in taken:
            count += 1
            name = folder / f"{stem}_faces_{count}{suffix}"
        taken.add(_key(name))
        names.append(name)
    return names


def _key(path: Path) -> str:
    """The same for two paths that may be one file, on a file system that ignores case too."""
    return str(path.resolve()).casefold()


def _drawing_problem(path: Path, analysis: Analysis, target: Path, labels: bool) -> str | None:
    """Writes the drawn picture; the sentence to say where that fails, as on a full disk."""
    try:
        _draw(path, analysis, target, labels)
    except FacemotionError as error:
        return f"{_shown(target)} was not drawn: {error.message}"
    except OSError as error:  # Pillow raises some without an errno
        return f"{_shown(target)} was not written: {error.strerror or error}."
    return None


def _draw(path: Path, analysis: Analysis, target: Path, labels: bool) -> None:
    from PIL import Image  # noqa: PLC0415

    from facemotion import images  # noqa: PLC0415
    from facemotion.drawing import annotate  # noqa: PLC0415

    drawn = Image.fromarray(annotate(images.load(path), analysis, labels=labels))
    part = target.with_name(f".{target.name}.part")  # renamed when complete: no half a picture under the final name
    try:
        drawn.save(part, format="PNG" if target.suffix == ".png" else "JPEG", quality=_JPEG_QUALITY)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _deliver(analyses: list[Analysis], names: list[str], options: argparse.Namespace, as_list: bool) -> bool:
    """Writes the CSV file, then prints, so that neither a full disk nor a closed pipe takes the other's results along.

    Returns False when the file could not be written, which is said.
    """
    written = options.csv in (None, "", "-") or _write_csv(Path(options.csv), report.to_csv(analyses, names))
    if options.json:
        print(report.to_json(analyses, names, as_list=as_list), flush=True)
    elif options.csv == "-":
        print(report.to_csv(analyses, names), end="", flush=True)
    else:
        print("\n".join(_table(analyses, names)), flush=True)
    return written


def _write_csv(target: Path, text: str) -> bool:
    """Whole or not at all; a pipe or a terminal is written to as it is."""
    final = target.resolve()
    part = target if target.exists() and not target.is_file() else final.with_name(f".{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="")
        if part != target:
            part.replace(final)
    except OSError as error:
        _say(f"{_shown(target)}: {error.strerror or error}.")
        return False
    finally:
        if part != target:
            part.unlink(missing_ok=True)
    return True


def _table(analyses: list[Analysis], names: list[str]) -> Iterator[str]:
    """The lines for people: each picture with its faces, and for several pictures a summary."""
    for analysis, name in zip(analyses, names, strict=True):
        if analysis.error is None:
            yield f"{name}: {_count(len(analysis.faces), 'face') if analysis.faces else 'no faces found'}"
        for face in analysis.faces:
            doubt = "?" if face.uncertain else ""
            yield f"{face.id:4}  {face.expression + doubt:9} {face.confidence:4.0%}  {', '.join(face.quality)}".rstrip()
    if len(analyses) > 1:
        yield _summary(analyses)


def _summary(analyses: list[Analysis]) -> str:
    counts = report.totals(analyses)
    faces = _count(sum(counts[name] for name in EMOTIONS), "face")
    kinds = [f"{counts[name]} {name}" for name in EMOTIONS if counts[name]]
    notes = [f"{counts[key]} {key}" for key in ("uncertain", "unreadable") if counts[key]]
    parts = [f"{_count(len(analyses), 'picture')}, {faces}", ", ".join(kinds), ", ".join(notes)]
    return "; ".join(part for part in parts if part)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _shown(path: Path | str) -> str:
    """A path for people and reports: what cannot be printed, such as a terminal's control codes, is replaced."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _say(message: str) -> None:
    print(f"facemotion: {message}", file=sys.stderr)
