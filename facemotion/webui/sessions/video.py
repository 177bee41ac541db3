"""One video at a time: whose it is, how far it is, and what becomes of its files."""

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
"""One video takes a core for as long as it is read; the page and the endpoint share the one place."""


@dataclass(frozen=True, slots=True)
class VideoResult:
    """What came of a video: the facts, and the two files, in gradio's folder."""

    result: Result
    video: str
    table: str


class VideoSession:
    """One visitor's video, from the click to the result or to Stop. It may be stopped before it begins."""

    def __init__(self) -> None:
        self.stopped = False
        self._job: VideoJob | None = None

    def stop(self) -> None:
        """Ends it within a frame, from any thread."""
        self.stopped = True
        if self._job is not None:
            self._job.stop()

    def run(self, pipeline: Pipeline, path: str, cache: str) -> Iterator[float | VideoResult]:
        """The share done, again and again, and in the end what came of it, unless it was stopped.

        Raises:
            FacemotionError: as `VideoJob.run`.
        """
        with _folder(cache) as folder:
            video, table = folder / f"{NAME}.mp4", folder / f"{NAME}.csv"
            self._job = job = VideoJob(pipeline, path, video, table)
            if self.stopped:
                return
            yield from job.run()
            if job.result is not None:
                yield VideoResult(job.result, move_to_cache(video, cache), move_to_cache(table, cache))


class VideoSessions:
    """The latest session of each page, by the page's session."""

    def __init__(self) -> None:
        self._sessions: WeakValueDictionary[str, VideoSession] = WeakValueDictionary()
        self._lock = Lock()

    def start(self, session: str) -> VideoSession:
        """A new session; the page's previous one is stopped."""
        with self._lock:
            self._stop(session)
            started = self._sessions[session] = VideoSession()
            return started

    def stop(self, session: str) -> None:
        """Stops the page's session, if it has one."""
        with self._lock:
            self._stop(session)

    def _stop(self, session: str) -> None:
        if (found := self._sessions.get(session)) is not None:
            found.stop()


@contextmanager
def _folder(cache: str) -> Iterator[Path]:
    """A folder inside gradio's, whose files are deleted by age should the server be killed; gone at the end."""
    Path(cache).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="video-", dir=cache))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
