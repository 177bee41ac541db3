"""The Video tab: annotated video, timelines, and the table to download."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from facemotion.errors import MissingInput
from facemotion.pipeline import Pipeline
from facemotion.webui.components import uploads
from facemotion.webui.components.uploads import VideoInput
from facemotion.webui.html import text
from facemotion.webui.html import video as video_html
from facemotion.webui.sessions.video import QUEUE, VideoResult, VideoSession, VideoSessions
from facemotion.webui.tabs import QUIET, Update

PROGRESS_EVERY_S = 0.5  # between progress updates, which also detect that the visitor has left


@dataclass(frozen=True)
class _Components:
    """The components of this tab."""

    video: VideoInput
    run: gr.Button
    stop: gr.Button
    status: gr.HTML
    results: gr.Column
    shown: gr.Video
    people: gr.HTML
    csv: gr.DownloadButton
    session: gr.State

    def outputs(self) -> list[Any]:
        """All components but the upload."""
        return [getattr(self, name) for name in self.__dataclass_fields__ if name != "video"]

    def buttons(self, busy: bool) -> Update:
        """Show either the run or the stop button."""
        return {self.run: gr.Button(visible=not busy), self.stop: gr.Button(visible=busy)}


def build(pipeline: Pipeline, page: gr.Blocks) -> None:
    """Lays the tab out and connects it, inside the current `gr.Tab` of `page`."""
    components, sessions = _layout(), VideoSessions()

    def accept(path: str | None, request: gr.Request) -> Update:
        return _accept(components, sessions, path, str(request.session_hash))

    def find(session: VideoSession | None) -> Iterator[Update]:
        yield from _find(pipeline, components, session)

    def stop(request: gr.Request) -> Update:
        sessions.stop(str(request.session_hash))
        return components.buttons(busy=False) | {components.status: text.note(video_html.STOPPED)}

    def leave(request: gr.Request) -> None:
        sessions.stop(str(request.session_hash))

    accepted = components.run.click(accept, components.video, components.outputs(), queue=False, **QUIET)
    finding = accepted.success(
        find,
        components.session,
        components.outputs(),
        trigger_mode="multiple",  # an event of what was stopped may still wait for its turn
        **QUIET,
        **QUEUE,
    )
    buttons = [components.run, components.stop, components.status]
    finding.failure(lambda: _idle(components), None, buttons, **QUIET)
    components.stop.click(stop, None, buttons, queue=False, **QUIET)
    page.unload(leave)


def _layout() -> _Components:
    video = VideoInput(label="Video", file_types=["video"], height=140, elem_id="fm-video-file")
    with gr.Row():
        run = gr.Button("Find the faces", variant="primary", elem_id="fm-video-run")
        stop = gr.Button("Stop", variant="stop", visible=False, elem_id="fm-video-stop")
    gr.HTML(video_html.NOTICE)
    status = gr.HTML(text.note(video_html.INVITATION), elem_id="fm-video-status")
    with gr.Column(visible=False) as results, gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            shown = gr.Video(
                label="Video with the faces", interactive=False, buttons=["download"], elem_id="fm-video",
            )  # fmt: skip
        with gr.Column(scale=2, min_width=300):
            people = gr.HTML(elem_id="fm-video-people")
            csv = gr.DownloadButton("Download the table (CSV)", size="sm", elem_id="fm-video-csv")
    session = gr.State(None)  # kept as long as it waits in the queue
    return _Components(video, run, stop, status, results, shown, people, csv, session)


def _accept(components: _Components, sessions: VideoSessions, path: str | None, session: str) -> Update:
    """Answer the click at once, since the queue may take a while."""
    if path is None:
        raise MissingInput("There is no video yet. Add one first.")
    return components.buttons(busy=True) | {
        components.results: gr.Column(visible=False),
        components.shown: None,
        components.people: "",
        components.csv: None,
        components.status: text.note(video_html.WAITING),
        components.session: sessions.start(session, path),
    }


def _idle(components: _Components) -> Update:
    """Reset the tab; Gradio shows the error itself."""
    return components.buttons(busy=False) | {components.status: text.note(video_html.INVITATION)}


def _find(pipeline: Pipeline, components: _Components, session: VideoSession | None) -> Iterator[Update]:
    """Process the page's present session. The event of a former one, which was stopped in the queue, may come first and
    begin it; the event of its own then finds nothing left to do."""
    if session is None or not session.begin():
        yield {components.status: gr.skip()}  # without any update Gradio empties all outputs
        return
    uploads.present(session.path)
    began = told = time.monotonic()
    yield {components.status: video_html.progress(0, 0)}
    finished: VideoResult | None = None
    for done in session.run(pipeline, components.shown.GRADIO_CACHE):
        if isinstance(done, VideoResult):
            finished = done
        elif not session.stopped and time.monotonic() - told >= PROGRESS_EVERY_S:
            told = time.monotonic()
            yield {components.status: video_html.progress(done, told - began)}
    if finished is not None:  # Stop has answered for itself
        yield components.buttons(busy=False) | _outcome(components, finished)


def _outcome(components: _Components, finished: VideoResult) -> Update:
    for component, file in ((components.shown, finished.video), (components.csv, finished.table)):
        component.temp_files.add(file)  # Gradio deletes it by age
    return {
        components.status: video_html.summary(finished.result),
        components.results: gr.Column(visible=True),
        components.shown: finished.video,
        components.people: video_html.table(finished.result) + video_html.timeline(finished.result),
        components.csv: finished.table,
        components.session: None,
    }
