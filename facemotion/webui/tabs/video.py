"""The Video tab: a file with its faces drawn and its sound kept, who showed what when, and the table to download."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from facemotion.errors import MissingInput
from facemotion.pipeline import Pipeline
from facemotion.webui.components.video_input import VideoInput
from facemotion.webui.html import video as said
from facemotion.webui.sessions.video import QUEUE, Finished, Turn, Turns

TOLD_EVERY_S = 0.5  # how far it is; also how soon the worker learns that nobody waits any more
STATE_SECONDS = 600

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

Update = dict[Any, Any]


@dataclass(frozen=True)
class _Page:
    """The components of this tab."""

    video: VideoInput
    run: gr.Button
    stop: gr.Button
    status: gr.HTML
    results: gr.Column
    shown: gr.Video
    people: gr.HTML
    csv: gr.DownloadButton
    turn: gr.State

    def outputs(self) -> list[Any]:
        """Everything but the upload."""
        return [getattr(self, name) for name in self.__dataclass_fields__ if name != "video"]

    def buttons(self, busy: bool) -> Update:
        """Which of the two buttons is there."""
        return {self.run: gr.Button(visible=not busy), self.stop: gr.Button(visible=busy)}


def build(pipeline: Pipeline) -> None:
    """Lays the tab out and connects it, inside the current `gr.Tab`."""
    page, turns = _layout(), Turns()

    def accept(path: str | None, request: gr.Request) -> Update:
        return _accept(page, turns, path, str(request.session_hash))

    def find(path: str | None, turn: Turn | None) -> Iterator[Update]:
        yield from _find(pipeline, page, path, turn)

    def stop(request: gr.Request) -> None:
        turns.stop(str(request.session_hash))

    accepted = page.run.click(accept, page.video, page.outputs(), queue=False, **_QUIET)
    found = accepted.success(find, [page.video, page.turn], page.outputs(), **_QUIET, **QUEUE)
    found.failure(lambda: _idle(page), None, [page.run, page.stop, page.status], **_QUIET)
    page.stop.click(stop, None, None, queue=False, **_QUIET)
    cast(gr.Blocks, Context.root_block).unload(stop)


def _layout() -> _Page:
    video = VideoInput(label="Video", file_types=["video"], height=140, elem_id="fm-video-file")
    with gr.Row():
        run = gr.Button("Find the faces", variant="primary", elem_id="fm-video-run")
        stop = gr.Button("Stop", variant="stop", visible=False, elem_id="fm-video-stop")
    gr.HTML(said.NOTICE)
    status = gr.HTML(said.note(said.INVITATION), elem_id="fm-video-status")
    with gr.Column(visible=False) as results, gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            shown = gr.Video(
                label="Video with the faces", interactive=False, buttons=["download"], elem_id="fm-video",
            )  # fmt: skip
        with gr.Column(scale=2, min_width=300):
            people = gr.HTML(elem_id="fm-video-people")
            csv = gr.DownloadButton("Download the table (CSV)", size="sm", elem_id="fm-video-csv")
    turn = gr.State(None, time_to_live=STATE_SECONDS)
    return _Page(video, run, stop, status, results, shown, people, csv, turn)


def _accept(page: _Page, turns: Turns, path: str | None, session: str) -> Update:
    """Answers the click at once, as the queue may take a while."""
    if path is None:
        raise MissingInput("There is no video yet. Add one first.")
    shut: Update = {page.results: gr.Column(visible=False), page.shown: None, page.people: "", page.csv: None}
    return page.buttons(busy=True) | shut | {page.status: said.note(said.WAITING), page.turn: turns.begin(session)}


def _idle(page: _Page) -> Update:
    """As before the first video; the error itself is shown by gradio."""
    return page.buttons(busy=False) | {page.status: said.note(said.INVITATION)}


def _find(pipeline: Pipeline, page: _Page, path: str | None, turn: Turn | None) -> Iterator[Update]:
    if path is None or turn is None:
        raise MissingInput("There is no video yet. Add one first.")
    began = told = time.monotonic()
    yield {page.status: said.progress(0, 0)}
    finished: Finished | None = None
    for done in turn.run(pipeline, path, page.shown.GRADIO_CACHE):
        if isinstance(done, Finished):
            finished = done
        elif time.monotonic() - told >= TOLD_EVERY_S:
            told = time.monotonic()
            yield {page.status: said.progress(done, told - began)}
    yield page.buttons(busy=False) | _outcome(page, finished)


def _outcome(page: _Page, finished: Finished | None) -> Update:
    if finished is None:
        return {page.status: said.note(said.STOPPED)}
    for component, file in ((page.shown, finished.video), (page.csv, finished.table)):
        component.temp_files.add(file)  # gradio deletes it by age
    return {
        page.status: said.summary(finished.result),
        page.results: gr.Column(visible=True),
        page.shown: finished.video,
        page.people: said.table(finished.result) + said.timeline(finished.result),
        page.csv: finished.table,
        page.turn: None,
    }
