"""Many photos, one after the other: each becomes a few small files and its analysis, and the pixels are let go."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facemotion import images, settings
from facemotion.errors import FacemotionError, MissingInput, TooManyPictures
from facemotion.faces import Analysis
from facemotion.output import draw, tables
from facemotion.pipeline import Pipeline
from facemotion.webui import pictures
from facemotion.webui.errors import explain

LARGE_SIDE = 1280  # pixels of a picture that is opened or downloaded
THUMB_SIDE = 400  # pixels of a thumbnail, twice its width on the page
JPEG_QUALITY = 88
_NOT_IN_NAMES = '/\\:*?"<>|'  # separators of paths on some system, or refused by Windows
_LONGEST_STEM = 200  # bytes; systems take 255 for a whole name

Keep = Callable[[bytes, str], str]
"""Writes bytes to a temporary file of that name, which is deleted by age, and returns its path."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo: the name it was given, what was found, and the files of it with its boxes drawn.

    A photo that could not be read has an `analysis.error` and no files.
    """

    name: str
    analysis: Analysis
    thumbnail: str = ""
    large: str = ""


@dataclass(eq=False, slots=True)
class Album:
    """What has been read of one visitor's photos so far, how many there are, and whether the visitor wants no more."""

    total: int
    entries: list[Entry] = field(default_factory=list)
    cancelled: bool = False

    @property
    def shown(self) -> list[Entry]:
        """The photos that could be read, in their order."""
        return [entry for entry in self.entries if entry.analysis.error is None]

    @property
    def unreadable(self) -> list[Entry]:
        """The photos that could not be read, in their order."""
        return [entry for entry in self.entries if entry.analysis.error is not None]

    @property
    def analyses(self) -> list[Analysis]:
        """One for each entry."""
        return [entry.analysis for entry in self.entries]

    @property
    def names(self) -> list[str]:
        """One for each entry."""
        return [entry.name for entry in self.entries]


def check_count(paths: Sequence[str]) -> None:
    """Holds the number of photos against the limits.

    Raises:
        MissingInput: there are none.
        TooManyPictures: there are more than `settings.MAX_PICTURES`.
    """
    if not paths:
        raise MissingInput("There are no photos yet. Add some, or use the example photos.")
    if len(paths) > settings.MAX_PICTURES:
        raise TooManyPictures(
            f"These are {len(paths)} photos; at most {settings.MAX_PICTURES} are read at a time. Remove some first."
        )


def read(pipeline: Pipeline, paths: Sequence[str], album: Album, keep: Keep) -> Iterator[None]:
    """Adds one entry per photo to `album`, and yields after each. One that cannot be read does not stop the rest; when
    the album is cancelled, the photo that is at work is the last."""
    for path in paths:
        album.entries.append(_entry(pipeline, path, keep))
        if album.cancelled:
            return
        yield


def _entry(pipeline: Pipeline, path: str, keep: Keep) -> Entry:
    name = Path(path).name
    try:
        picture = images.load_picture(path)
        analysis = pipeline.analyze(picture)
        large = draw.annotate(pictures.reduce(picture.pixels, LARGE_SIDE), analysis)
    except (FacemotionError, MemoryError) as error:
        shown = explain(error)
        failed = Analysis(0, 0, (0, 0), models=pipeline.models, error=(str(shown.title), shown.message))
        return Entry(name, failed)
    stem = Path(path).stem
    return Entry(
        name,
        analysis,
        thumbnail=keep(_jpeg(pictures.reduce(large, THUMB_SIDE)), f"{stem}-small.jpg"),
        large=keep(_jpeg(large), f"{stem}-faces.jpg"),
    )


def csv_bytes(album: Album) -> bytes:
    """One row a face, and one for each photo that could not be read."""
    return tables.to_csv(album.analyses, album.names).encode()


def json_bytes(album: Album) -> bytes:
    """A list of what `/analyze` returns, each with its photo's name."""
    return tables.to_json(album.analyses, album.names, as_list=True).encode()


def zip_bytes(album: Album) -> bytes:
    """The pictures with their boxes; numbered, since two photos may have one name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:  # a JPEG does not compress further
        for index, entry in enumerate(album.shown):
            archive.write(entry.large, f"{index + 1:02d}-{_portable(Path(entry.name).stem)}.jpg")
    return stream.getvalue()


def _portable(stem: str) -> str:
    """A name that every system can unpack, and no system takes for more than a name."""
    kept = (one if one.isprintable() and one not in _NOT_IN_NAMES else "_" for one in stem)
    return "".join(kept).encode()[:_LONGEST_STEM].decode(errors="ignore").strip(". ")


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()
