"""Output of the photo command, written row by row so that a killed run keeps its results.

A CSV file holds whole rows at any time; the table and the CSV on standard output grow likewise. JSON is one document:
it is printed at the end, also after a signal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TextIO

from facemotion.atomic import atomic_write
from facemotion.faces import EMOTIONS, Analysis
from facemotion.output import tables
from facemotion.output.tables import count

PRINTED = "-"  # CSV file name that stands for standard output


class Results:
    """Output of one run.

    Args:
        json: print one JSON at the end, instead of a table.
        csv: the name of a CSV file, `PRINTED`, or None.
        several: whether the JSON is a list.
        keep_going: whether to go on, for the sake of other files, when standard output is closed.
    """

    def __init__(self, json: bool, csv: str | None, several: bool, keep_going: bool) -> None:
        self._stdout: TextIO | None = sys.stdout
        self._json, self._several = json, several
        self._csv_printed = csv == PRINTED
        self._csv = Table(Path(csv)) if csv and not self._csv_printed else None
        self._keep_going = keep_going or self._csv is not None
        self._analyses: list[Analysis] = []
        self._names: list[str] = []
        self.complete = True
        """Whether all output could be written so far."""

    def __len__(self) -> int:
        return len(self._analyses)

    def add(self, analysis: Analysis, name: str) -> None:
        """Add the analysis of the next photo, and write it where possible; `flush` prints it.

        Raises:
            OSError: standard output is gone, and nothing else is written.
        """
        self._analyses.append(analysis)
        self._names.append(name)
        if self._csv is not None and not self._csv.add(analysis, name):
            self.complete = False
        if self._csv_printed:
            self._print(tables.to_csv([analysis], [name], header=len(self) == 1))
        elif not self._json:
            self._print("".join(f"{line}\n" for line in _lines(analysis, name)))

    def flush(self) -> None:
        """Flush standard output.

        Raises:
            OSError: as in `add`.
        """
        self._print("", flush=True)

    def finish(self) -> None:
        """Print the JSON, or the summary of several photos, if a photo was analyzed."""
        self._keep_going = True  # nothing is left to stop
        if self._json and self._analyses:
            self._print(tables.to_json(self._analyses, self._names, as_list=self._several) + "\n")
        elif not self._csv_printed and len(self) > 1:
            self._print(_summary(self._analyses) + "\n")
        self.flush()

    def close(self) -> None:
        """Close the CSV file."""
        if self._csv is not None:
            self._csv.close()

    def _print(self, text: str, flush: bool = False) -> None:
        if self._stdout is None:
            return
        try:
            self._stdout.write(text)
            if flush:
                self._stdout.flush()
        except OSError as error:
            self.complete = False
            if not isinstance(error, BrokenPipeError):  # the reader, such as `head`, has ended
                say(f"Standard output: {error.strerror or error}.")
            redirect_to_null(self._stdout)
            self._stdout = None
            if not self._keep_going:
                raise


class Table:
    """A CSV file that grows by whole rows; each row is in the file when `add` returns.

    It begins with a byte order mark, without which Excel takes UTF-8 for another encoding. A file that was there before
    stays until the first picture is done. A pipe or a device gets the bare rows.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._file: FileIO | None = None
        self._failed = False

    def add(self, analysis: Analysis, name: str) -> bool:
        """Write the rows of one photo, all or none; False when that fails, which is printed once."""
        if self._failed:
            return False
        try:
            if self._file is None:
                self._file = self._create(tables.to_csv([analysis], [name]))
            else:
                _append(self._file, tables.to_csv([analysis], [name], header=False).encode())
        except OSError as error:
            say(f"{printable(self._target)}: {error.strerror or error}.")
            self._failed = True
        return not self._failed

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _create(self, text: str) -> FileIO:
        """Write the first rows and return the file, open for the next ones."""
        if self._target.exists() and not self._target.is_file():
            self._file = FileIO(self._target, "w")
            _append(self._file, text.encode())
            return self._file
        final = self._target.resolve()
        with atomic_write(final) as (temporary,):
            temporary.write_text(text, encoding=tables.CSV_FILE_ENCODING, newline="")
        return FileIO(final, "a")


def _append(file: FileIO, data: bytes) -> None:
    """Append all data; after a failure, such as a full disk, the part written is removed."""
    end = file.seek(0, os.SEEK_END) if file.seekable() else None
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        if end is not None:
            with suppress(OSError):
                file.truncate(end)
        raise


def _lines(analysis: Analysis, name: str) -> Iterator[str]:
    """Text lines of a photo and its faces; none for a photo that could not be read."""
    if analysis.error is None:
        yield f"{name}: {count(len(analysis.faces), 'face') if analysis.faces else 'no faces found'}"
    for face in analysis.faces:
        doubt = "?" if face.uncertain else ""
        yield f"{face.id:4}  {face.expression + doubt:9} {face.confidence:4.0%}  {', '.join(face.quality)}".rstrip()


def _summary(analyses: Sequence[Analysis]) -> str:
    counts = tables.totals(analyses)
    faces = count(sum(counts[name] for name in EMOTIONS), "face")
    kinds = [f"{counts[name]} {name}" for name in EMOTIONS if counts[name]]
    notes = [f"{counts[key]} {key}" for key in ("uncertain", "unreadable") if counts[key]]
    parts = [f"{count(len(analyses), 'picture')}, {faces}", ", ".join(kinds), ", ".join(notes)]
    return "; ".join(part for part in parts if part)


def printable(path: Path | str) -> str:
    """A path as text, with unprintable characters such as control codes replaced."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def say(message: str) -> None:
    """Print a message to standard error; a closed terminal is no error."""
    try:
        print(f"facemotion: {message}", file=sys.stderr, flush=True)
    except OSError:
        redirect_to_null(sys.stderr)


def redirect_to_null(stream: TextIO) -> None:
    """Redirect a closed stream to the null device, or the interpreter fails at its last flush."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
