"""The Webcam tab: live labels on one viewer's camera, one face followed through time, a summary afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from facemotion import settings
from facemotion.errors import MissingInput
from facemotion.images import Picture
from facemotion.pipeline import Pipeline
from facemotion.tracking.live import timeline_csv
from facemotion.tracking.screen_time import tally_csv
from facemotion.webui import camera, live_words
from facemotion.webui.live_words import STATE_SECONDS
from facemotion.webui.photo_input import PhotoInput
from facemotion.webui.viewer import Audience, Viewer, choices
from facemotion.webui.whole_files import save_bytes

STREAM_EVERY_S = 0.01  # how soon after an answer the next frame goes out; assets/camera.js waits for the answer

_CLICK = "() => document.querySelector('#fm-live-file')?.click()"


@dataclass(frozen=True)
class _Parts:
    """What starting, streaming and stopping touch."""

    picture: PhotoInput
    drawn: gr.HTML
    viewer: gr.State
    followed: gr.Radio
    readout: gr.HTML
    start: gr.Button
    stop: gr.Button
    saving: gr.Row


def build(pipeline: Pipeline) -> None:
    """Lays the tab out and connects it, inside the current `gr.Tab`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            picture, drawn = camera.build("Camera"), camera.drawn()
            with gr.Row():
                start = gr.Button("Start camera", variant="primary", elem_id="fm-start")
                stop = gr.Button("Stop camera", variant="stop", elem_id="fm-stop", visible=False)
            gr.HTML(live_words.NOTICE)
        with gr.Column(scale=2, min_width=300):
            followed = gr.Radio([], label="Follow", visible=False, elem_id="fm-followed")
            readout = gr.HTML(live_words.OFF, elem_id="fm-readout")
            with gr.Row(visible=False) as saving:
                whole = gr.Button("Download the summary (CSV)", size="sm")
                minute = gr.Button("Download the last minute (CSV)", size="sm")
            file = gr.DownloadButton(visible="hidden", elem_id="fm-live-file")
    viewer = gr.State(None, time_to_live=STATE_SECONDS)
    parts = _Parts(picture, drawn, viewer, followed, readout, start, stop, saving)
    audience = Audience(pipeline)
    _connect_switch(audience, parts)
    _connect_stream(audience, parts)
    for button, write in ((whole, _summary_file), (minute, _minute_file)):
        _connect_download(button, write, viewer, file)


def _connect_switch(audience: Audience, parts: _Parts) -> None:
    def started(reason: str, request: gr.Request) -> list[Any]:
        return _started(reason, audience, str(request.session_hash))

    def stopped(reason: str, request: gr.Request) -> list[Any]:
        return _stopped(reason, audience, str(request.session_hash))

    def follow(identity: int | None, request: gr.Request) -> None:
        audience.choose(str(request.session_hash), identity)

    outcome = gr.Textbox(visible=False)  # its value is what the browser answered to START or STOP
    quick: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    buttons = [parts.start, parts.stop]
    after_start = [parts.viewer, parts.followed, parts.readout, *buttons, parts.saving]
    parts.start.click(started, outcome, after_start, js=camera.START, **quick)
    after_stop = [parts.drawn, parts.followed, parts.readout, *buttons]
    parts.stop.click(stopped, outcome, after_stop, js=camera.STOP, **quick)
    parts.followed.input(follow, parts.followed, None, **quick)


def _connect_stream(audience: Audience, parts: _Parts) -> None:
    def step(frame: Picture | None, one: Viewer | None, request: gr.Request) -> list[Any]:
        return audience.step(frame, one, str(request.session_hash))

    def leave(request: gr.Request) -> None:
        audience.leave(str(request.session_hash))
        _forget_frame(page, str(request.session_hash), parts.drawn)

    page = cast(gr.Blocks, Context.root_block)
    parts.picture.stream(
        step,
        [parts.picture, parts.viewer],
        [parts.drawn, parts.viewer, parts.readout, parts.followed],
        stream_every=STREAM_EVERY_S,
        time_limit=settings.STREAM_SECONDS,
        concurrency_limit=settings.MAX_VIEWERS,
        concurrency_id="webcam",
        show_progress="hidden",
        api_visibility="private",
    )
    page.unload(leave)


def _forget_frame(page: gr.Blocks, session: str, drawn: gr.HTML) -> None:
    """Gradio keeps each component's last value with the state of a page; of this one that is the last frame."""
    state = page.state_holder.session_data.get(session)
    if state is not None:
        state.config_values.pop(drawn._id, None)


def _connect_download(button: gr.Button, write: Any, viewer: gr.State, file: gr.DownloadButton) -> None:
    def saved(one: Viewer | None) -> str:
        return str(write(one, file.GRADIO_CACHE))

    done = button.click(saved, viewer, file, show_progress="hidden", api_visibility="private")
    done.success(None, js=_CLICK)


def _started(reason: str, audience: Audience, session: str) -> list[Any]:
    """Values for the state, the choice, the readout, the two buttons and the row of downloads."""
    if (problem := camera.refusal(reason)) is not None:
        return [gr.skip(), gr.skip(), live_words.problem(problem), gr.skip(), gr.skip(), gr.skip()]
    shown = [live_words.STARTING, gr.Button(visible=False), gr.Button(visible=True), gr.Row(visible=True)]
    return [audience.start(session), choices(), *shown]


def _stopped(reason: str, audience: Audience, session: str) -> list[Any]:
    """Values for the drawn frame, the choice, the readout and the two buttons; the state keeps the record for the
    downloads."""
    one = audience.stop(session)
    problem = camera.refusal(reason)
    text = live_words.OFF if problem is None else live_words.problem(problem)
    if one is not None:
        text += live_words.summary(one.session.people(), one.session.duration_s)
    return ["", choices(), text, gr.Button(visible=True), gr.Button(visible=False)]


def _summary_file(viewer: Viewer | None, folder: str) -> str:
    if viewer is None or not (people := viewer.session.people()):
        raise _nothing()
    return save_bytes(tally_csv(people).encode(), "facemotion-summary.csv", folder)


def _minute_file(viewer: Viewer | None, folder: str) -> str:
    if viewer is None or not (moments := viewer.session.moments()):
        raise _nothing()
    return save_bytes(timeline_csv(moments).encode(), "facemotion.csv", folder)


def _nothing() -> MissingInput:
    return MissingInput(
        "There is nothing to download: no face was seen since the camera was last started, or it is more than "
        f"{STATE_SECONDS // 60} minutes ago. Start the camera and look into it, then download."
    )
