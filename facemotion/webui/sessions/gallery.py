"""Gallery session: photos are analysed in turn, and only small files and analyses are kept."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facemotion import images, settings
from facemotion.errors import FacemotionError, MissingInput, TooManyPictures
from facemotion.faces import Analysis
from facemotion.output import draw, tables
from facemotion.pipeline import Pipeline
from facemotion.webui.components.image_size import fit_within, jpeg
from facemotion.webui.server.error_messages import as_gradio_error

LARGE_SIDE = 1280  # pixels of an opened or downloaded photo
THUMB_SIDE = 400  # pixels of a thumbnail, twice its width on the page
JPEG_QUALITY = 88
_FORBIDDEN_IN_NAMES = '/\\:*?"<>|'  # path separators of some system, or refused by Windows
_MAX_STEM_BYTES = 200  # bytes; file systems allow 255 for a whole name

SaveFile = Callable[[bytes, str], str]
"""Writes bytes to a temporary file of that name, which is deleted by age, and returns its path."""


@dataclass(frozen=True, slots=True)
class GalleryPhoto:
    """A photo: its file name, its analysis, and the files with boxes drawn.

    A photo that could not be read has an `analysis.error` and no files.
    """

    name: str
    analysis: Analysis
    thumbnail: str = ""
    large: str = ""


@dataclass(eq=False, slots=True)
class GallerySession:
    """Photos of a visitor analysed so far, their total number, and whether the run was cancelled."""

    total: int
    photos: list[GalleryPhoto] = field(default_factory=list)
    cancelled: bool = False

    @property
    def shown(self) -> list[GalleryPhoto]:
        """The photos that could be read, in their order."""
        return [photo for photo in self.photos if photo.analysis.error is None]

    @property
    def unreadable(self) -> list[GalleryPhoto]:
        """The photos that could not be read, in their order."""
        return [photo for photo in self.photos if photo.analysis.error is not None]

    @property
    def analyses(self) -> list[Analysis]:
        """One for each photo."""
        return [photo.analysis for photo in self.photos]

    @property
    def names(self) -> list[str]:
        """One for each photo."""
        return [photo.name for photo in self.photos]


def check_count(paths: Sequence[str]) -> None:
    """Check the number of photos against the limits.

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


def read_photos(
    pipeline: Pipeline, paths: Sequence[str], session: GallerySession, save_file: SaveFile
) -> Iterator[None]:
    """Analyse photos, add them to `session`, and yield after each.

    An unreadable photo does not stop the rest. When the session is cancelled, the current photo is the last.
    """
    for path in paths:
        session.photos.append(_read_photo(pipeline, path, save_file))
        if session.cancelled:
            return
        yield


def _read_photo(pipeline: Pipeline, path: str, save_file: SaveFile) -> GalleryPhoto:
    name = Path(path).name
    try:
        picture = images.load_picture(path)
        analysis = pipeline.analyze(picture)
        large = draw.annotate(fit_within(picture.pixels, LARGE_SIDE), analysis)
    except (FacemotionError, MemoryError) as error:
        shown = as_gradio_error(error)
        failed = Analysis(0, 0, (0, 0), models=pipeline.models, error=(str(shown.title), shown.message))
        return GalleryPhoto(name, failed)
    stem = Path(path).stem
    return GalleryPhoto(
        name,
        analysis,
        thumbnail=save_file(jpeg(fit_within(large, THUMB_SIDE), JPEG_QUALITY), f"{stem}-small.jpg"),
        large=save_file(jpeg(large, JPEG_QUALITY), f"{stem}-faces.jpg"),
    )


def csv_bytes(session: GallerySession) -> bytes:
    """A CSV row per face, and for each unreadable photo."""
    return tables.to_csv(session.analyses, session.names).encode(tables.CSV_FILE_ENCODING)


def json_bytes(session: GallerySession) -> bytes:
    """A list of what `/analyze` returns, each with the name of its photo."""
    return tables.to_json(session.analyses, session.names, as_list=True).encode()


def zip_bytes(session: GallerySession) -> bytes:
    """A zip of the annotated photos, numbered because names may repeat."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:  # a JPEG does not compress further
        for index, photo in enumerate(session.shown):
            archive.write(photo.large, f"{index + 1:02d}-{_portable(Path(photo.name).stem)}.jpg")
    return stream.getvalue()


def _portable(stem: str) -> str:
    """Convert to a file name that is valid on every system."""
    kept = (char if char.isprintable() and char not in _FORBIDDEN_IN_NAMES else "_" for char in stem)
    return "".join(kept).encode()[:_MAX_STEM_BYTES].decode(errors="ignore").strip(". ")
