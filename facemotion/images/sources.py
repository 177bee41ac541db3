"""Bytes of an image from a path, a `data:` URL or bytes; URLs are never fetched."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

from facemotion import settings
from facemotion.errors import BadArray, CorruptImage, EmptyFile, FileTooLarge, ForbiddenSource, MissingInput, NotAnImage

_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # two letters at least: `C:/` is a drive
_BASE64 = 4 / 3  # characters per byte
_UNREADABLE = "This file cannot be read. Please check its name, or choose the photo again."
_SLACK = 4096  # characters for the head of a data: URL and its line breaks


def read(source: object) -> bytes:
    """Read the file that `source` is or names: 1 to settings.MAX_FILE_BYTES bytes.

    Raises:
        MissingInput: None, no name, or no such file.
        EmptyFile, FileTooLarge: outside the limits.
        ForbiddenSource: an address, a device, a file without permission.
        NotAnImage, CorruptImage: a folder; a damaged `data:` URL.
        BadArray: an object of another type.
    """
    if source is None:
        raise MissingInput("There is no picture yet. Please add a photo.")
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source) if memoryview(source).nbytes <= settings.MAX_FILE_BYTES else None
        return _checked(data)
    if isinstance(source, str):
        if source[:5].lower() == "data:":
            return _from_data_url(source)
        if _SCHEME.match(source):
            raise ForbiddenSource("Addresses are not opened here. Please save the picture and give the file itself.")
    if isinstance(source, (str, os.PathLike)):
        return _from_path(source)
    raise BadArray("A picture is given as a path, bytes, a PIL image or a NumPy array, and this is none of them.")


def _checked(data: bytes | None) -> bytes:
    """Check the size of `data`; None stands for too large."""
    if data is None or len(data) > settings.MAX_FILE_BYTES:
        limit = settings.MAX_FILE_BYTES / 1_000_000
        raise FileTooLarge(f"This file is larger than {limit:g} MB. Please reduce the picture or save it as a JPEG.")
    if not data:
        raise EmptyFile("This file is empty. Please choose the photo again.")
    return data


def _from_data_url(url: str) -> bytes:
    if len(url) > settings.MAX_FILE_BYTES * _BASE64 + _SLACK:
        return _checked(None)
    head, _, body = url.partition(",")
    if not head.lower().endswith(";base64"):
        raise NotAnImage("A data: URL is read when it holds a picture in base64, and this one does not.")
    return _checked(from_base64(body))


def from_base64(text: str) -> bytes:
    """Decode base64; whitespace and missing padding are accepted.

    Raises:
        CorruptImage: it is not base64.
    """
    whole = "".join(text.split())
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise CorruptImage("The base64 of this picture is damaged. Please send the picture again.") from None


def open_file(source: str | os.PathLike[Any]) -> BinaryIO:
    """Open a regular local file for reading; never a URL, folder or device.

    Raises:
        MissingInput: no name, no such file, or one that cannot be opened.
        ForbiddenSource: a device, or a file without permission.
        NotAnImage: a folder.
    """
    try:
        path = Path(os.fsdecode(source))
        if not path.name and not path.parts:
            raise MissingInput("There is no picture yet. Please add a photo.")
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise NotAnImage(f"{_short(path)} is a folder. Please give the file itself.")
        if not stat.S_ISREG(kind):
            raise ForbiddenSource(f"{_short(path)} is no ordinary file, so it is not opened.")
        return open(path, "rb", opener=_open_nonblocking)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise MissingInput("There is no such file. Please check its name.") from None
    except PermissionError:
        raise ForbiddenSource("This file may not be opened. Please check its permissions.") from None
    except OSError:
        raise MissingInput(_UNREADABLE) from None


def _open_nonblocking(path: str, flags: int) -> int:
    """Open without waiting for a writer: a file may be replaced by a pipe after it was checked."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _from_path(source: str | os.PathLike[Any]) -> bytes:
    with open_file(source) as file:
        try:
            data = file.read(settings.MAX_FILE_BYTES + 1) or b""  # None where reading would block
        except OSError:
            raise MissingInput(_UNREADABLE) from None
    return _checked(data)


def _short(path: Path) -> str:
    return repr(path.name if len(path.name) <= 40 else f"{path.name[:37]}...")
