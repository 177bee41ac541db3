"""A video -> the analyses of frames taken at equal distances in time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facemotion import settings
from facemotion.batch import storage
from facemotion.errors import FacemotionError
from facemotion.faces import Analysis
from facemotion.video.frames import Frame
from facemotion.video.reader import Reader

if TYPE_CHECKING:
    from facemotion.pipeline import Pipeline

_COPIED_AT_ONCE = 1 << 20


def analyses(
    pipeline: Pipeline, address: str, frames_per_s: float, detail: str, threshold: float | None
) -> Iterator[tuple[Analysis, float | None]]:
    """The analysis of each sampled frame, with its time in seconds; the last may tell why the video broke off.

    Raises:
        OSError: the video cannot be fetched.
    """
    due = 0
    try:
        with _file(address) as path, Reader(path) as reader:
            for part in reader:
                if isinstance(part, Frame) and part.time_s * frames_per_s >= due:
                    due = int(part.time_s * frames_per_s) + 1
                    yield pipeline.analyze(part.pixels, detail=detail, threshold=threshold), part.time_s
    except FacemotionError as error:
        yield Analysis(0, 0, (0, 0), models=pipeline.models, error=(error.code, error.message)), None


@contextmanager
def _file(address: str) -> Iterator[Path]:
    """The video as a file of this machine: one of a store is copied for as long as it is read."""
    place = storage.locate(address)
    if place.local:
        yield Path(place.path)
        return
    with tempfile.NamedTemporaryFile(prefix="facemotion-", suffix=".video") as copy:
        with place.filesystem.open_input_stream(place.path) as stream:
            while (data := stream.read(_COPIED_AT_ONCE)) and copy.tell() <= settings.MAX_VIDEO_BYTES:
                copy.write(data)
        copy.flush()
        yield Path(copy.name)
