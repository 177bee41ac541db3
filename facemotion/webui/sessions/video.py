"""Video sessions: progress, stop, and files of a single video at a time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from facemotion.pipeline import Pipeline
from facemotion.video import Result, VideoJob
from facemotion.webui.gradio_patches.atomic_files import move_to_cache

NAME = "facemotion"
QUEUE: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "video"}
"""A video occupies a core while it is read; the page and the endpoint share a single slot."""


@dataclass(frozen=True, slots=True)
class VideoResult:
    """Result of a video: summary, and paths of the two files in Gradio's folder."""

    result: Result
    video: str
    table: str


class VideoSession:
    """Processing of the video at `path`, from the click to the result or to Stop, which may come before it begins."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.stopped = self._begun = False
        self._job: VideoJob | None = None

    def begin(self) -> bool:
        """Whether it is to be processed now: not where it was stopped, or has begun before."""
        begins = not (self.stopped or self._begun)
        self._begun = True
        return begins

    def stop(self) -> None:
        """Stop within a frame, from any thread."""
        self.stopped = True
        if self._job is not None:
            self._job.stop()

    def run(self, pipeline: Pipeline, cache: str) -> Iterator[float | VideoResult]:
        """Process the video; yield the share done, and finally the result unless stopped.

        Raises:
            FacemotionError: as `VideoJob.run`.
        """
        with _folder(cache) as folder:
            video, table = folder / f"{NAME}.mp4", folder / f"{NAME}.csv"
            self._job = job = VideoJob(pipeline, self.path, video, table)
            if self.stopped:
                return
            yield from job.run()
            if job.result is not None:
                yield VideoResult(job.result, move_to_cache(video, cache), move_to_cache(table, cache))


class VideoSessions:
    """The current session of each page, by Gradio session."""

    def __init__(self) -> None:
        self._sessions: WeakValueDictionary[str, VideoSession] = WeakValueDictionary()
        self._lock = Lock()

    def start(self, session: str, path: str) -> VideoSession:
        """Start a session for a video; the previous session of the page is stopped."""
        with self._lock:
            self._stop(session)
            started = self._sessions[session] = VideoSession(path)
            return started

    def stop(self, session: str) -> None:
        """Stop the page's session, if there is any."""
        with self._lock:
            self._stop(session)

    def _stop(self, session: str) -> None:
        if (found := self._sessions.get(session)) is not None:
            found.stop()


@contextmanager
def _folder(cache: str) -> Iterator[Path]:
    """Temporary folder inside Gradio's, deleted at the end, or by age if the server is killed."""
    Path(cache).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="video-", dir=cache))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
