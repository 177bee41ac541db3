"""The Webcam tab: live labels on one viewer's camera, lasting ids, smoothed probabilities, the last seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from typing import Any, cast
from weakref import WeakValueDictionary

import gradio as gr
import numpy as np
from gradio.context import Context
from numpy.typing import NDArray

from facemotion import drawing, settings
from facemotion.errors import MissingInput
from facemotion.faces import Analysis
from facemotion.images import Picture
from facemotion.live import LiveSession, timeline_csv
from facemotion.pipeline import Pipeline
from facemotion.webui import camera, pictures, words
from facemotion.webui.camera import CameraInput
from facemotion.webui.timeline import strips
from facemotion.webui.whole_files import save_bytes

STREAM_EVERY_S = 0.1  # ten frames a second show an expression as it comes; more would take the cores from other viewers
READOUT_EVERY_S = 0.25  # the numbers beside the picture; faster nobody can read
STATE_SECONDS = 600  # a viewer's record leaves memory after this without a frame
FRAME_SIDE = 960  # pixels; frames of a client that ignores what was asked for are reduced to this
DARK_LEVEL = 45  # mean grey of 0..255 below which a frame without a face is said to be dark

_NOTICE = (
    '<p class="fm-notice" role="note"><b>While the camera runs, the expressions of all faces in view are analysed.</b> '
    "Frames are sent to this server, read once and dropped: no picture is recorded or stored. The numbers of the last "
    f"minute stay in memory for you to download, {STATE_SECONDS // 60} minutes at most, and go when you leave or start "
    "again. Tell the people in view.</p>"
)
_OFF = '<p class="fm-summary" role="status">The camera is off.</p>'
_STARTING = (
    '<p class="fm-summary" role="status">The camera is starting. If it stays so, all '
    f"{settings.MAX_VIEWERS} places are taken; yours comes as soon as one is free.</p>"
)
_NO_FACE = "<b>No face in view.</b> Look towards the camera, come closer, and see that light falls on the face."
_DARK = "<b>It is too dark to find a face.</b> Switch a light on, or turn towards the window."


class Viewer:
    """One browser's stream from Start to Stop, whose record outlasts it, and when its numbers were last shown."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.session = LiveSession(pipeline)
        self.told_s = -READOUT_EVERY_S
        self._stopped = False
        self._lock = Lock()

    def stop(self) -> None:
        """Ends the stream at once: a frame still at work, and any that comes later, shows nothing."""
        self._stopped = True

    def leave(self) -> None:
        """Ends the stream and drops its record, after the frame that may be at work."""
        self.stop()
        with self._lock:
            self.session.forget()

    def look(self, picture: Picture, time_s: float | None = None) -> tuple[NDArray[np.uint8], str | None] | None:
        """The frame with its faces drawn, RGB uint8 [H, W, 3], and a readout as HTML when one is due.

        None when the stream was stopped. `time_s` is now unless given.
        """
        frame = pictures.reduce(picture.pixels, FRAME_SIDE)
        with self._lock:  # the time is taken inside: of two threads, none may go back in it
            shown = None if self._stopped else self._look(frame, time.monotonic() if time_s is None else time_s)
        return None if self._stopped else shown

    def _look(self, frame: NDArray[np.uint8], time_s: float) -> tuple[NDArray[np.uint8], str | None]:
        started = time.perf_counter()
        analysis = self.session.step(frame, time_s)
        drawn = drawing.annotate(frame, analysis)
        if time_s - self.told_s < READOUT_EVERY_S:
            return drawn, None
        self.told_s = time_s
        return drawn, self._readout(frame, analysis, time_s, (time.perf_counter() - started) * 1e3)

    def _readout(self, frame: NDArray[np.uint8], analysis: Analysis, time_s: float, spent_ms: float) -> str:
        rate = f"{self.session.fps:.1f} frames a second, {spent_ms:.0f} ms each"
        first = min(analysis.faces, key=lambda face: face.id, default=None)
        history = strips(self.session.moments(), time_s)
        return f'<p class="fm-rate">{rate}</p>{_who(frame, analysis)}{words.bars(first)}{history}'


class Audience:
    """The latest viewer of each page, by the page's session; the page's state owns it, this only finds it."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._viewers: WeakValueDictionary[str, Viewer] = WeakValueDictionary()

    def start(self, session: str) -> Viewer:
        """A new viewer; the page's previous one is stopped."""
        self.stop(session)
        viewer = self._viewers[session] = Viewer(self._pipeline)
        return viewer

    def stop(self, session: str) -> None:
        """Stops the page's viewer, whose record stays."""
        if one := self._viewers.get(session):
            one.stop()

    def leave(self, session: str) -> None:
        """Gradio keeps the state of a closed page for an hour; what it holds of faces goes at once."""
        if one := self._viewers.pop(session, None):
            one.leave()

    def step(self, frame: Picture | None, one: Viewer | None, session: str) -> list[Any]:
        """Values for the picture, the state and the readout; a stopped viewer's frames change none of them."""
        if frame is None:
            return [gr.skip()] * 3
        one = one or self.start(session)
        if (shown := one.look(frame)) is None:
            return [gr.skip()] * 3
        drawn, text = shown
        return [drawn, one, gr.skip() if text is None else text]


def build(pipeline: Pipeline) -> None:
    """Lays the tab out and connects it, inside the current `gr.Tab`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            picture = camera.build("Camera")
            with gr.Row():
                start = gr.Button("Start camera", variant="primary", elem_id="fm-start")
                stop = gr.Button("Stop camera", variant="stop", elem_id="fm-stop", visible=False)
            gr.HTML(_NOTICE)
        with gr.Column(scale=2, min_width=300):
            readout = gr.HTML(_OFF, elem_id="fm-readout")
            save = gr.Button("Download the last minute (CSV)", size="sm")
            file = gr.DownloadButton(visible="hidden", elem_id="fm-live-file")
    viewer = gr.State(None, time_to_live=STATE_SECONDS)
    parts = _Parts(picture, viewer, readout, start, stop)
    audience = Audience(pipeline)
    _connect_switch(audience, parts)
    _connect_stream(audience, parts)
    quick: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    saved = save.click(lambda one: _timeline_file(one, file.GRADIO_CACHE), viewer, file, **quick)
    saved.success(None, js="() => document.querySelector('#fm-live-file')?.click()")


@dataclass(frozen=True)
class _Parts:
    """What starting, streaming and stopping touch."""

    picture: CameraInput
    viewer: gr.State
    readout: gr.HTML
    start: gr.Button
    stop: gr.Button


def _connect_switch(audience: Audience, parts: _Parts) -> None:
    def started(reason: str, request: gr.Request) -> list[Any]:
        return _started(reason, audience, str(request.session_hash))

    def stopped(request: gr.Request) -> list[Any]:
        return _stopped(audience, str(request.session_hash))

    outcome = gr.Textbox(visible=False)  # its value is what the browser answered to START
    quick: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    buttons = [parts.start, parts.stop]
    parts.start.click(started, outcome, [parts.viewer, parts.readout, *buttons], js=camera.START, **quick)
    parts.stop.click(stopped, None, [parts.picture, parts.readout, *buttons], js=camera.STOP, **quick)


def _connect_stream(audience: Audience, parts: _Parts) -> None:
    def step(frame: Picture | None, one: Viewer | None, request: gr.Request) -> list[Any]:
        return audience.step(frame, one, str(request.session_hash))

    def leave(request: gr.Request) -> None:
        audience.leave(str(request.session_hash))

    parts.picture.stream(
        step,
        [parts.picture, parts.viewer],
        [parts.picture, parts.viewer, parts.readout],
        stream_every=STREAM_EVERY_S,
        time_limit=settings.STREAM_SECONDS,
        concurrency_limit=settings.MAX_VIEWERS,
        concurrency_id="webcam",
        show_progress="hidden",
        api_visibility="private",
    )
    cast(gr.Blocks, Context.root_block).unload(leave)


def _started(reason: str, audience: Audience, session: str) -> list[Any]:
    """Values for the state, the readout and the two buttons."""
    if (problem := camera.refusal(reason)) is not None:
        return [gr.skip(), f'<p class="fm-summary" role="alert">{problem}</p>', gr.skip(), gr.skip()]
    return [audience.start(session), _STARTING, gr.Button(visible=False), gr.Button(visible=True)]


def _stopped(audience: Audience, session: str) -> list[Any]:
    """Values for the picture, the readout and the two buttons; the state keeps the record for the download."""
    audience.stop(session)
    return [None, _OFF, gr.Button(visible=True), gr.Button(visible=False)]


def _timeline_file(viewer: Viewer | None, folder: str) -> str:
    if viewer is None or not (moments := viewer.session.moments()):
        raise MissingInput(
            "There is nothing to download: no face was seen since the camera was last started, or it is more than "
            f"{STATE_SECONDS // 60} minutes ago. Start the camera and look into it, then download."
        )
    return save_bytes(timeline_csv(moments).encode(), "facemotion.csv", folder)


def _who(frame: NDArray[np.uint8], analysis: Analysis) -> str:
    if not analysis.faces:
        return f'<p class="fm-summary">{_DARK if frame.mean() < DARK_LEVEL else _NO_FACE}</p>'
    noun = "1 face" if len(analysis.faces) == 1 else f"{len(analysis.faces)} faces"
    named = ", ".join(f"{face.id} {face.expression}" for face in sorted(analysis.faces, key=lambda face: face.id)[:8])
    return f'<p class="fm-summary"><b>{noun} in view:</b> {named}</p>'
