"""Annotation of a video: read, analyze, draw and write, with progress."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from av.packet import Packet

from facemotion import settings
from facemotion.atomic import atomic_write
from facemotion.errors import StorageError, TookTooLong
from facemotion.faces import Analysis, Box, Face
from facemotion.output import draw
from facemotion.output.tables import CSV_FILE_ENCODING
from facemotion.tracking.live import Analyzer, LiveSession
from facemotion.tracking.timeline import Person, Table, Timeline
from facemotion.video.frames import Frame
from facemotion.video.reader import Reader
from facemotion.video.writer import Writer

ANALYSED_PER_S = 10
"""Frames analyzed per second, as for a camera; an expression takes half a second."""

MAX_WAITING = 24
"""Frames held back until the next analyzed frame: 66 MB at most; enough for 250 frames per second."""

_EARLY_S = 0.004  # tolerance of frame times, which may be rounded to milliseconds


@dataclass(frozen=True, slots=True)
class Result:
    """Facts about an annotated video.

    `size` is the (width, height) of the annotated video, `source_size` that of the source, both upright; `sound` is
    "kept" (the source's own, untouched), "encoded" (as AAC) or "none".
    """

    size: tuple[int, int]
    source_size: tuple[int, int]
    duration_s: float
    frames: int
    analysed: int
    sound: str
    people: tuple[Person, ...]
    models: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        width, height = self.size
        video = {"width": width, "height": height, "source_size": list(self.source_size), "sound": self.sound}
        counts = {"frames": self.frames, "analysed_frames": self.analysed, "duration_s": round(self.duration_s, 3)}
        return {"video": video | counts, "people": [person.to_dict() for person in self.people], "models": self.models}


def annotate_video(
    pipeline: Analyzer,
    source: str | os.PathLike[Any],
    target: str | os.PathLike[str],
    table: str | os.PathLike[str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Result:
    """Write a video with its faces drawn as MP4 to `target`, and a CSV of their expressions to `table`.

    Args:
        pipeline: a `Pipeline`.
        source: the path of an MP4, MOV, WebM, Matroska or AVI video.
        progress: called with the share that is done, 0..1, after each frame.

    Raises:
        InputError, StorageError, TookTooLong, ModelFailure: as for `VideoJob`.
    """
    job = VideoJob(pipeline, source, Path(target), None if table is None else Path(table))
    for done in job.run():
        if progress is not None:
            progress(done)
    assert job.result is not None  # the job is not shared, so nothing stopped it
    return job.result


class _Stopped(Exception):
    """Raised inside a job that was stopped."""


class VideoJob:
    """Annotates one video, once: `run` does the work, and any thread may `stop` it.

    Args:
        pipeline: a `Pipeline`.
        source: the path of a video.
        target: where to write the annotated video, as MP4.
        table: where to write the CSV, or None for none.
    """

    def __init__(
        self, pipeline: Analyzer, source: str | os.PathLike[Any], target: Path, table: Path | None = None
    ) -> None:
        self._pipeline, self._source = pipeline, source
        self._targets = (target,) if table is None else (target, table)
        self._stopped = False
        self.result: Result | None = None
        """The result; None before the end, and when it was stopped."""

    def stop(self) -> None:
        """Stop after the current frame."""
        self._stopped = True

    def run(self) -> Iterator[float]:
        """Annotate the video; yields after each frame the share done, 0..1.

        The outputs get their names when they are complete. A job that fails, is stopped, or whose iterator is closed
        leaves none of them behind.

        Raises:
            InputError: the video cannot be read, or is beyond a limit.
            StorageError: an output cannot be written.
            TookTooLong: it took more than `settings.VIDEO_WORK_SECONDS`.
            ModelFailure: a model raised, or memory ran out.
        """
        with contextlib.suppress(_Stopped):
            result = None
            try:
                with atomic_write(*self._targets) as temporary, Reader(self._source) as reader:
                    for result in self._steps(reader, *temporary):
                        if isinstance(result, float):
                            yield result
            except OSError as error:
                names = " or ".join(repr(target.name) for target in self._targets)
                raise StorageError(
                    f"{names} could not be written: {error.strerror or error}. Is the disk full, or the folder missing "
                    "or read-only?"
                ) from error
            assert isinstance(result, Result)
            self.result = result
            yield 1.0

    def _steps(self, reader: Reader, target: Path, table: Path | None = None) -> Iterator[float | Result]:
        """Shares done, and at the end the result."""
        ends = time.monotonic() + settings.VIDEO_WORK_SECONDS
        with contextlib.ExitStack() as open_files:
            file = None
            if table is not None:
                file = open_files.enter_context(table.open("w", encoding=CSV_FILE_ENCODING, newline=""))
            annotator: _Annotator | None = None
            for part in reader:
                self._check(ends)
                if not isinstance(part, Frame):
                    if annotator is not None and part.pts is not None:
                        annotator.add_sound(part, reader.sound_time_s(part.pts))
                    continue
                if annotator is None:
                    size = part.pixels.shape[1], part.pixels.shape[0]
                    writer = open_files.enter_context(Writer(target, size, reader.rate, reader.sound))
                    annotator = _Annotator(self._pipeline, writer, None if file is None else Table(file))
                annotator.add_frame(part)
                yield min(0.99, part.time_s / reader.duration_s) if reader.duration_s else 0.0
            assert annotator is not None and reader.geometry is not None  # a reader without frames raises
            annotator.finish()
        yield annotator.result(reader.geometry.source_size)

    def _check(self, ends: float) -> None:
        if self._stopped:
            raise _Stopped
        if time.monotonic() > ends:
            raise TookTooLong(
                f"This video took more than {settings.VIDEO_WORK_SECONDS} seconds and was stopped. Cut it shorter, or "
                f"save it smaller. {settings.raised_by('VIDEO_WORK_SECONDS')}"
            )


class _Annotator:
    """Passes frames from the reader to the writer: analyzes some, interpolates the others, draws all."""

    def __init__(self, pipeline: Analyzer, writer: Writer, table: Table | None) -> None:
        self.writer = writer
        self._session = LiveSession(pipeline, detail="auto")
        self._table, self._timeline = table, Timeline()
        self._waiting: list[Frame] = []
        self._before: tuple[Analysis, float] | None = None
        self._frames = self._analysed = 0
        self._ends_s = 0.0

    def add_sound(self, packet: Packet[Any], time_s: float) -> None:
        """Add the next packet of the sound; packets outside the video are skipped."""
        if -1 <= time_s <= settings.MAX_VIDEO_SECONDS + 1:
            self.writer.write_sound(packet, time_s)

    def add_frame(self, frame: Frame) -> None:
        """Add the next frame: held back, or analyzed and written with the frames held back."""
        self._ends_s = frame.time_s + frame.duration_s
        soon = self._before is not None and frame.time_s + _EARLY_S < self._before[1] + 1 / ANALYSED_PER_S
        if soon and len(self._waiting) < MAX_WAITING:
            self._waiting.append(frame)
        else:
            self._analyze(frame)

    def _analyze(self, frame: Frame) -> None:
        analysis = self._session.step(frame.pixels, frame.time_s)
        self._analysed += 1
        self._timeline.add(analysis.faces, frame.time_s, frame.duration_s)
        if self._table is not None:
            self._table.add(analysis, frame.time_s)
        self._write_waiting((analysis, frame.time_s))
        self._write(frame, analysis)

    def _write_waiting(self, after: tuple[Analysis, float]) -> None:
        """Write the frames held back, with faces interpolated up to `after`."""
        before, self._before = self._before or after, after
        way_s = after[1] - before[1]
        for frame in self._waiting:
            share = (frame.time_s - before[1]) / way_s if way_s > 0 else 0.0
            self._write(frame, interpolate(before[0], after[0], share))
        self._waiting = []

    def _write(self, frame: Frame, analysis: Analysis) -> None:
        self._frames += 1
        self.writer.write(draw.annotate(frame.pixels, analysis), frame.time_s, frame.duration_s)

    def finish(self) -> None:
        """Analyze the last frame, so that the frames held back can be interpolated."""
        if self._waiting:
            self._analyze(self._waiting.pop())

    def result(self, source_size: tuple[int, int]) -> Result:
        """The result of the finished video."""
        assert self._before is not None  # the first frame is analyzed at once
        last = self._before[0]
        people, models = self._timeline.people, dict(last.models)
        counts = self._ends_s, self._frames, self._analysed
        return Result((last.width, last.height), source_size, *counts, self.writer.sound, people, models)


def interpolate(before: Analysis, after: Analysis, share: float) -> Analysis:
    """The analysis of a frame `share` (0..1) of the time from `before` to `after`, both of one tracker.

    A face in both moves on a straight line from box to box. A face only in `before` is shown for the first half of the
    time, a face only in `after` for the second half. Probabilities and labels are those of the nearer analysis.
    """
    later = {face.id: face for face in after.faces}
    kept = {face.id for face in before.faces} & later.keys()
    moved = [_moved(face, later[face.id], share) for face in before.faces if face.id in kept]
    nearer = before if share < 0.5 else after
    return replace(nearer, faces=(*moved, *(face for face in nearer.faces if face.id not in kept)))


def _moved(before: Face, after: Face, share: float) -> Face:
    box = Box(*(a + share * (b - a) for a, b in zip(before.box, after.box, strict=True)))
    return replace(before if share < 0.5 else after, box=box)
