"""The Webcam tab: live labels on the camera, a followed face, a summary afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from facemotion import settings
from facemotion.errors import MissingInput
from facemotion.images import Picture
from facemotion.output.tables import CSV_FILE_ENCODING
from facemotion.pipeline import Pipeline
from facemotion.tracking.live import moments_csv
from facemotion.tracking.timeline import people_csv
from facemotion.webui.components import camera
from facemotion.webui.components.uploads import PhotoInput
from facemotion.webui.gradio_patches import session_cleanup
from facemotion.webui.gradio_patches.atomic_files import save_bytes
from facemotion.webui.html import webcam as webcam_html
from facemotion.webui.html.webcam import STATE_SECONDS
from facemotion.webui.sessions.webcam import WebcamSession, WebcamSessions, choices
from facemotion.webui.tabs import QUIET

STREAM_EVERY_S = 0.01  # delay after a response until the next frame; static/camera.js waits for the response

_CLICK = "() => document.querySelector('#fm-live-file')?.click()"


@dataclass(frozen=True)
class _Components:
    """Components used by start, stream and stop."""

    picture: PhotoInput
    drawn: gr.HTML
    session_state: gr.State
    followed: gr.Radio
    readout: gr.HTML
    start: gr.Button
    stop: gr.Button
    saving: gr.Row


def build(pipeline: Pipeline, page: gr.Blocks) -> None:
    """Lays the tab out and connects it, inside the current `gr.Tab` of `page`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            picture, drawn = camera.build("Camera"), camera.output()
            with gr.Row():
                start = gr.Button("Start camera", variant="primary", elem_id="fm-start")
                stop = gr.Button("Stop camera", variant="stop", elem_id="fm-stop", visible=False)
            gr.HTML(webcam_html.NOTICE)
        with gr.Column(scale=2, min_width=300):
            followed = gr.Radio([], label="Follow", visible=False, elem_id="fm-followed")
            readout = gr.HTML(webcam_html.OFF, elem_id="fm-readout")
            with gr.Row(visible=False) as saving:
                whole = gr.Button("Download the summary (CSV)", size="sm")
                minute = gr.Button("Download the last minute (CSV)", size="sm")
            file = gr.DownloadButton(visible="hidden", elem_id="fm-live-file")
    session_state = gr.State(None, time_to_live=STATE_SECONDS)
    components = _Components(picture, drawn, session_state, followed, readout, start, stop, saving)
    sessions = WebcamSessions(pipeline)
    _connect_switch(sessions, components)
    _connect_stream(sessions, components, page)
    for button, write in ((whole, _summary_file), (minute, _minute_file)):
        _connect_download(button, write, session_state, file)


def _connect_switch(sessions: WebcamSessions, components: _Components) -> None:
    def started(reason: str, request: gr.Request) -> list[Any]:
        return _started(reason, sessions, str(request.session_hash))

    def stopped(reason: str, request: gr.Request) -> list[Any]:
        return _stopped(reason, sessions, str(request.session_hash))

    def follow(identity: int | None, request: gr.Request) -> None:
        sessions.choose(str(request.session_hash), identity)

    outcome = gr.Textbox(visible=False)  # its value is the result of START or STOP in the browser
    quick = QUIET | {"queue": False}
    buttons = [components.start, components.stop]
    after_start = [components.session_state, components.followed, components.readout, *buttons, components.saving]
    components.start.click(started, outcome, after_start, js=camera.START, **quick)
    after_stop = [components.drawn, components.followed, components.readout, *buttons]
    components.stop.click(stopped, outcome, after_stop, js=camera.STOP, **quick)
    components.followed.input(follow, components.followed, None, **quick)


def _connect_stream(sessions: WebcamSessions, components: _Components, page: gr.Blocks) -> None:
    def step(frame: Picture | None, session: WebcamSession | None, request: gr.Request) -> list[Any]:
        return sessions.step(frame, session, str(request.session_hash))

    def leave(request: gr.Request) -> None:
        sessions.close(str(request.session_hash))
        session_cleanup.forget_value(page, str(request.session_hash), components.drawn)  # the last frame

    components.picture.stream(
        step,
        [components.picture, components.session_state],
        [components.drawn, components.session_state, components.readout, components.followed],
        stream_every=STREAM_EVERY_S,
        time_limit=settings.STREAM_SECONDS,
        concurrency_limit=settings.MAX_VIEWERS,
        concurrency_id="webcam",
        show_progress="hidden",
        api_visibility="private",
    )
    page.unload(leave)


def _connect_download(button: gr.Button, write: Any, session_state: gr.State, file: gr.DownloadButton) -> None:
    def saved(session: WebcamSession | None) -> str:
        return str(write(session, file.GRADIO_CACHE))

    done = button.click(saved, session_state, file, **QUIET)
    done.success(None, js=_CLICK)


def _started(reason: str, sessions: WebcamSessions, session: str) -> list[Any]:
    """Values for the state, the choice, the readout, the two buttons and the row of downloads."""
    if (problem := camera.error_text(reason)) is not None:
        return [gr.skip(), gr.skip(), webcam_html.problem(problem), gr.skip(), gr.skip(), gr.skip()]
    shown = [webcam_html.STARTING, gr.Button(visible=False), gr.Button(visible=True), gr.Row(visible=True)]
    return [sessions.start(session), choices(), *shown]


def _stopped(reason: str, sessions: WebcamSessions, session: str) -> list[Any]:
    """Values for the drawn frame, the choice, the readout and the two buttons; the state keeps the record for the
    downloads."""
    stopped = sessions.stop(session)
    problem = camera.error_text(reason)
    text = webcam_html.OFF if problem is None else webcam_html.problem(problem)
    if stopped is not None:
        text += webcam_html.summary(stopped.live.people(), stopped.live.duration_s)
    return ["", choices(), text, gr.Button(visible=True), gr.Button(visible=False)]


def _summary_file(session: WebcamSession | None, folder: str) -> str:
    if session is None or not (people := session.live.people()):
        raise _nothing()
    return save_bytes(people_csv(people).encode(CSV_FILE_ENCODING), "facemotion-summary.csv", folder)


def _minute_file(session: WebcamSession | None, folder: str) -> str:
    if session is None or not (moments := session.live.moments()):
        raise _nothing()
    return save_bytes(moments_csv(moments).encode(CSV_FILE_ENCODING), "facemotion.csv", folder)


def _nothing() -> MissingInput:
    return MissingInput(
        "There is nothing to download: no face was seen since the camera was last started, or it is more than "
        f"{STATE_SECONDS // 60} minutes ago. Start the camera and look into it, then download."
    )
