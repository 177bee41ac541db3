"""Webcam sessions: a visitor's camera stream, from Start to Stop, and the followed face."""

from __future__ import annotations

import time
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from facemotion import runtime
from facemotion.faces import Analysis
from facemotion.images import Picture
from facemotion.output import draw
from facemotion.pipeline import Pipeline
from facemotion.tracking.live import LiveSession
from facemotion.webui.components import camera
from facemotion.webui.components.image_size import fit_within
from facemotion.webui.html import webcam as webcam_html
from facemotion.webui.html.timeline import SPAN_S
from facemotion.webui.sessions.fair_semaphore import FairSemaphore

READOUT_EVERY_S = 0.25  # faster updates are not readable
FRAME_SIDE = 960  # pixels; larger frames are reduced to this
OFFERED_S = 3.0  # a face not seen for longer can no longer be chosen
MAX_OFFERED = 8  # faces to choose among

Choice = tuple[tuple[int, ...], int | None]
"""The ids that can be chosen, and the followed id."""

FrameResult = tuple[NDArray[np.uint8], str | None, Choice | None]
"""An annotated frame, RGB uint8 [H, W, 3]; the readout as HTML when one is due; the choice when it has changed."""


class WebcamSession:
    """A camera stream from Start to Stop. Its record is kept after Stop."""

    def __init__(self, pipeline: Pipeline, semaphore: FairSemaphore | None = None) -> None:
        self.live = LiveSession(pipeline)
        self._semaphore = semaphore or FairSemaphore(runtime.cores())
        self._sent_s = -READOUT_EVERY_S
        self._sent: Choice = ((), None)
        self._chosen: int | None = None  # the id that the visitor chose
        self._last_seen_s: dict[int, float] = {}  # when each face of the last `SPAN_S` was last seen
        self._stopped = False
        self._lock = Lock()

    def stop(self) -> None:
        """Stop the stream at once; frames in progress or later show nothing."""
        self._stopped = True

    def close(self) -> None:
        """Stop the stream, and drop its record after the frame in progress."""
        self.stop()
        with self._lock:
            self.live.forget()

    def choose(self, identity: int | None) -> None:
        """Follow a face from the next frame on; None follows the face that came first."""
        self._chosen = identity

    def process(self, picture: Picture, time_s: float | None = None) -> FrameResult | None:
        """Process the next frame at `time_s`, by default now; None when the stream was stopped."""
        frame = fit_within(picture.pixels, FRAME_SIDE)
        with self._lock, self._semaphore.permit():  # the time is taken inside: it must not decrease between threads
            shown = None if self._stopped else self._process(frame, time.monotonic() if time_s is None else time_s)
        return None if self._stopped else shown

    def _process(self, frame: NDArray[np.uint8], time_s: float) -> FrameResult:
        started = time.perf_counter()
        analysis = self.live.step(frame, time_s)
        self._last_seen_s |= {face.id: time_s for face in analysis.faces}
        followed = self._followed(analysis)
        drawn = draw.annotate(frame, analysis, selected=followed if len(analysis.faces) > 1 else None)
        if time_s - self._sent_s < READOUT_EVERY_S:
            return drawn, None, None
        self._sent_s = time_s
        self._last_seen_s = {
            face_id: seen_s for face_id, seen_s in self._last_seen_s.items() if 0 <= time_s - seen_s <= SPAN_S
        }
        rate = webcam_html.rate(self.live.fps, (time.perf_counter() - started) * 1e3)
        readout = webcam_html.readout(frame, analysis, followed, self.live.moments(), time_s)
        return drawn, rate + readout, self._changed_choice(followed, time_s)

    def _followed(self, analysis: Analysis) -> int | None:
        """The chosen face if seen lately, else the face in view that came first, else the last followed."""
        if self._chosen in self._last_seen_s:
            return self._chosen
        last = self._sent[1] if self._sent[1] in self._last_seen_s else None
        return min((face.id for face in analysis.faces), default=last)

    def _changed_choice(self, followed: int | None, time_s: float) -> Choice | None:
        """The faces to choose from, when they differ from what was last sent."""
        last_seen = self._last_seen_s.items()
        there = sorted(face_id for face_id, seen_s in last_seen if time_s - seen_s <= OFFERED_S or face_id == followed)
        choice = tuple(there[:MAX_OFFERED]), followed
        if choice == self._sent:
            return None
        self._sent = choice
        return choice


class WebcamSessions:
    """The current session of each page, by Gradio session. All share the processors fairly.

    The page's state owns the session; only weak references are kept here.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._semaphore = FairSemaphore(runtime.cores())
        self._sessions: WeakValueDictionary[str, WebcamSession] = WeakValueDictionary()

    def start(self, session: str) -> WebcamSession:
        """Start a session; the previous session of the page is stopped."""
        self.stop(session)
        started = self._sessions[session] = WebcamSession(self._pipeline, self._semaphore)
        return started

    def stop(self, session: str) -> WebcamSession | None:
        """Stop and return the page's session, which keeps its record."""
        found = self._sessions.get(session)
        if found is not None:
            found.stop()
        return found

    def choose(self, session: str, identity: int | None) -> None:
        """Follow a face in the session of a page."""
        if found := self._sessions.get(session):
            found.choose(identity)

    def close(self, session: str) -> None:
        """Drop the record of faces at once; Gradio keeps the state of a closed page for an hour."""
        if found := self._sessions.pop(session, None):
            found.close()

    def step(self, frame: Picture | None, state: WebcamSession | None, session: str) -> list[Any]:
        """Process a frame: values for the annotated frame, the state, the readout and the choice.

        Frames of a stopped session change none of them.
        """
        if frame is None:
            return [gr.skip()] * 4
        state = state or self.start(session)
        if (shown := state.process(frame)) is None:
            return [gr.skip()] * 4
        drawn, text, choice = shown
        return [
            camera.encode_frame(drawn),
            state,
            gr.skip() if text is None else text,
            gr.skip() if choice is None else choices(*choice),
        ]


def choices(offered: tuple[int, ...] = (), followed: int | None = None) -> gr.Radio:
    """The radio buttons of faces to follow, hidden while there is nothing to choose."""
    named = [(f"Face {face_id}", face_id) for face_id in offered]
    return gr.Radio(choices=named, value=followed, visible=len(offered) > 1)
