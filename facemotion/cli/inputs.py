"""Photo files named on the command line: files, folders, patterns, and - for standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facemotion.suffixes import PICTURE_SUFFIXES

_HEAD_BYTES = 4096  # read to detect the format
STANDARD_INPUT = "-"
DRAWN_MARK = "Drawn by facemotion"
"""The comment in each drawn picture, by which it is recognised."""

_MARK_BYTES = 1024  # searched for the mark; Pillow writes comments before the pixels
_WILDCARDS = "*?["


@dataclass(frozen=True)
class PhotoInput:
    """A photo to analyze: a file, or the bytes read from standard input."""

    path: Path
    data: bytes | None = None

    @property
    def source(self) -> Path | bytes:
        """The argument for `Pipeline.analyze`."""
        return self.path if self.data is None else self.data


@dataclass
class FoundPhotos:
    """The photos found.

    `several` says whether the arguments can stand for more than one photo, `unread` names the folders that could not be
    searched, with the reason, and `drawn` counts the skipped pictures that this program drew.
    """

    pictures: list[PhotoInput] = field(default_factory=list)
    several: bool = False
    unread: list[tuple[Path, str]] = field(default_factory=list)
    drawn: int = 0

    def add_file(self, path: Path, drawn_into: Path | None) -> None:
        """Add a file named by the user.

        Pictures that an earlier run drew into the same folder are skipped: a shell's `*.jpg` names them too.
        """
        inside = drawn_into is not None and os.path.realpath(path.parent) == os.path.realpath(drawn_into)
        self._add([path], keep_drawn=not inside)

    def add_folder(self, folder: Path, recursive: bool) -> None:
        """Add the photos of a folder, sorted, except those that this program drew."""
        self.several = True
        self._add(sorted(_images_in_folder(folder, recursive, self.unread)))

    def add_match(self, path: Path) -> None:
        """Add a file that matches a pattern, unless this program drew it."""
        self.several = True
        self._add([path])

    def _add(self, paths: Sequence[Path], keep_drawn: bool = False) -> None:
        for path in paths:
            if not keep_drawn and is_drawn(path):
                self.drawn += 1
            else:
                self.pictures.append(PhotoInput(path))


def find_photos(arguments: Sequence[str], recursive: bool = False, drawn_into: Path | None = None) -> FoundPhotos:
    """Find the photos, in the order of the arguments.

    Args:
        arguments: as on the command line.
        recursive: search folders within folders too, linked ones included.
        drawn_into: the folder into which pictures are drawn.
    """
    found = FoundPhotos(several=len(arguments) > 1)
    for argument in arguments:
        if argument == STANDARD_INPUT:
            found.pictures.append(PhotoInput(Path("stdin"), _read_standard_input()))
            continue
        matches = expand_pattern(argument)
        for path in matches or [Path(argument)]:
            if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises at odd names
                found.add_folder(path, recursive)
            elif matches:
                found.add_match(path)
            else:
                found.add_file(path, drawn_into)
    return found


def expand_pattern(word: str) -> list[Path]:
    """Files and folders that match a pattern which the shell left unexpanded, sorted."""
    if not is_pattern(word):
        return []
    try:
        return sorted(map(Path, glob.glob(word)))  # noqa: PTH207 - Path.glob takes no absolute pattern
    except ValueError:  # a NUL
        return []


def is_pattern(word: str) -> bool:
    """Whether the argument has wildcards and is not itself the name of a file."""
    return any(sign in word for sign in _WILDCARDS) and not os.path.lexists(word)


def is_drawn(path: Path) -> bool:
    """Whether a regular file carries the mark of a picture drawn by this program."""
    try:
        if not path.is_file():  # reading a pipe would block
            return False
        with path.open("rb") as file:
            return DRAWN_MARK.encode() in file.read(_MARK_BYTES)
    except (OSError, ValueError):
        return False


def _read_standard_input() -> bytes:
    from facemotion.settings import MAX_FILE_BYTES  # noqa: PLC0415 - a bad FACEMOTION_ variable is reported by main

    return sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if sys.stdin else b""  # one byte more than the limit is refused


def _images_in_folder(folder: Path, recursive: bool, unread: list[tuple[Path, str]]) -> Iterator[Path]:
    """Image files in a folder, in any order.

    Each real folder is searched once, however many links lead to it, and by its own path where it has one. Folders that
    cannot be searched are added to `unread`.
    """
    seen: set[tuple[int, int]] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        current = folders.pop() if folders else links.pop(0)
        try:
            identity = current.stat()
            if (identity.st_dev, identity.st_ino) in seen:
                continue
            seen.add((identity.st_dev, identity.st_ino))
            with os.scandir(current) as listing:
                names = sorted(entry.name for entry in listing)
        except OSError as error:
            unread.append((current, error.strerror or str(error)))
            continue
        for path in (current / name for name in names):
            if os.path.isdir(path):  # noqa: PTH112
                if recursive:
                    (links if path.is_symlink() else folders).append(path)
            elif _is_image(path):
                yield path


def _is_image(path: Path) -> bool:
    """Whether a file is an image by its name, or else by its first bytes.

    Cameras and messengers have suffixes of their own. A broken link counts, so that it is reported as missing.
    """
    if path.name.startswith("."):
        return False
    is_file = os.path.isfile(path)  # noqa: PTH113 - as above
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return is_file or not os.path.exists(path)  # noqa: PTH110
    return is_file and _has_image_header(path)


def _has_image_header(path: Path) -> bool:
    from facemotion.errors import FacemotionError  # noqa: PLC0415 - as above
    from facemotion.images import sniff, sources  # noqa: PLC0415

    try:
        with sources.open_file(path) as opened:
            return bool(sniff.sniff(opened.read(_HEAD_BYTES)))
    except (FacemotionError, OSError):
        return False
