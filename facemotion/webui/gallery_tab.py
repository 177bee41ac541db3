"""The Gallery tab: many photos, their faces counted by expression, each photo to open, everything to download."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from facemotion import settings
from facemotion.faces import EMOTIONS
from facemotion.output import tables
from facemotion.pipeline import Pipeline
from facemotion.webui import album as albums
from facemotion.webui import words
from facemotion.webui.album import Album, Entry
from facemotion.webui.chosen import ChosenItem
from facemotion.webui.photo_input import PhotosInput
from facemotion.webui.pictures import examples as example_photos
from facemotion.webui.whole_files import save_bytes

GALLERIES_AT_ONCE = 2  # each keeps a core busy for as long as its photos last
STATE_SECONDS = 3000  # the last album of a browser leaves memory after this, as its files do

_INVITATION = (
    f"Add up to {settings.MAX_PICTURES} photos and choose “Find the faces”, or look at the example photos. "
    "A photo that cannot be read is named, and the others are done all the same."
)
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

Update = dict[Any, Any]


@dataclass(frozen=True)
class _Page:
    """The components of this tab."""

    photos: PhotosInput
    run: gr.Button
    examples: gr.Button
    cancel: gr.Button
    status: gr.HTML
    results: gr.Column
    totals: gr.HTML
    pictures: gr.Gallery
    opened: gr.Image
    faces: gr.HTML
    csv: gr.DownloadButton
    json: gr.DownloadButton
    zip: gr.DownloadButton
    album: gr.State

    def keep(self, content: bytes, name: str) -> str:
        """Writes to gradio's folder and has gradio delete the file by age."""
        path = save_bytes(content, name, self.pictures.GRADIO_CACHE)
        self.pictures.temp_files.add(path)
        return path

    def outputs(self) -> list[Any]:
        """Everything but the photos."""
        return [getattr(self, name) for name in self.__dataclass_fields__ if name != "photos"]


def build(pipeline: Pipeline) -> None:
    """Lays the tab out and connects it, inside the current `gr.Tab`."""
    page = _layout()
    finders: list[Any] = [
        page.run.click(_finder(pipeline, page), page.photos, page.outputs(), **_long()),
        page.examples.click(_finder(pipeline, page, example_photos()), None, page.outputs(), **_long()),
    ]
    for finder in finders:  # whatever happened, the buttons come back
        finder.then(lambda: _buttons(page, busy=False), None, [page.run, page.examples, page.cancel], **_QUIET)
    page.cancel.click(_cancel, page.album, page.cancel, queue=False, **_QUIET)
    page.pictures.select(_open, page.album, [page.opened, page.faces], **_QUIET)


def _layout() -> _Page:
    photos = PhotosInput(label="Photos", file_count="multiple", file_types=["image"], height=180)
    with gr.Row():
        run = gr.Button("Find the faces", variant="primary", elem_id="fm-gallery-run")
        examples = gr.Button("Use the example photos", elem_id="fm-gallery-examples")
        cancel = gr.Button("Cancel", variant="stop", visible=False)
    status = gr.HTML(_note(_INVITATION), elem_id="fm-gallery-status")
    with gr.Column(visible=False) as results:
        totals = gr.HTML(elem_id="fm-totals")
        with gr.Row():
            csv = gr.DownloadButton("Download CSV", size="sm")
            json = gr.DownloadButton("Download JSON", size="sm")
            zipped = gr.DownloadButton("Download pictures (zip)", size="sm")
        pictures = gr.Gallery(
            label="Choose a photo to open it", columns=4, height="auto", object_fit="contain",
            interactive=False, allow_preview=False, buttons=[], elem_id="fm-gallery",
        )  # fmt: skip
        opened = gr.Image(
            label="Opened photo", interactive=False, visible=False, height=520, buttons=["fullscreen"],
            elem_id="fm-opened", alt_text="The opened photo with a numbered box around each face",
        )  # fmt: skip
        faces = gr.HTML()
    state = gr.State(None, time_to_live=STATE_SECONDS)
    return _Page(
        photos, run, examples, cancel, status, results, totals, pictures, opened, faces, csv, json, zipped, state
    )


def _long() -> dict[str, Any]:
    return _QUIET | {"concurrency_limit": GALLERIES_AT_ONCE, "concurrency_id": "gallery"}


def _finder(pipeline: Pipeline, page: _Page, fixed: list[str] | None = None) -> Callable[..., Iterator[Update]]:
    """The handler that reads the given photos, or always the `fixed` ones."""

    def find(paths: list[str] | None = None) -> Iterator[Update]:
        chosen = fixed or paths or []
        albums.check_count(chosen)
        album = Album(len(chosen))
        yield _buttons(page, busy=True) | {
            page.album: album,
            page.status: _progress(album),
            page.results: gr.Column(visible=False),
        }
        for _ in albums.read(pipeline, chosen, album, page.keep):
            yield {page.status: _progress(album)}
        yield _finished(page, album)

    return find


def _cancel(album: Album | None) -> gr.Button:
    """Asks the finder to end, which then shows what there is. Gradio's own `cancels` would let a progress that is on
    its way overwrite that."""
    if album is not None:
        album.cancelled = True
    return gr.Button("Stopping ...", interactive=False)


def _buttons(page: _Page, busy: bool) -> Update:
    return {
        page.run: gr.Button(visible=not busy),
        page.examples: gr.Button(visible=not busy),
        page.cancel: gr.Button("Cancel", visible=busy, interactive=True),
    }


def _finished(page: _Page, album: Album) -> Update:
    """Shows what an album holds, all of it or what there was when it was cancelled."""
    return _buttons(page, busy=False) | {
        page.status: _summary(album),
        page.results: gr.Column(visible=True),
        page.totals: _totals(album),
        page.pictures: gr.Gallery([(one.thumbnail, _caption(one)) for one in album.shown], selected_index=None),
        page.opened: gr.Image(None, visible=False),
        page.faces: "",
        page.csv: page.keep(albums.csv_bytes(album), "facemotion.csv"),
        page.json: page.keep(albums.json_bytes(album), "facemotion.json"),
        page.zip: page.keep(albums.zip_bytes(album), "facemotion.zip"),
    }


def _open(album: Album | None, event: ChosenItem) -> list[Any]:
    """Values for the opened photo and its faces."""
    if album is None or event.index >= len(album.shown):
        return [gr.skip(), gr.skip()]
    entry = album.shown[event.index]
    title = f"<h2>{escape(entry.name)}</h2>{_found(entry)}"
    return [gr.Image(entry.large, visible=True, label=entry.name), title + words.table(entry.analysis)]


def _note(text: str) -> str:
    return f'<p class="fm-summary" role="status">{text}</p>'


def _progress(album: Album) -> str:
    done, total = len(album.entries), album.total
    bar = f'<progress value="{done}" max="{total}" aria-label="Photos read"></progress>'
    return f'<div class="fm-progress" role="status">{bar}<span>{done} of {total} photos read</span></div>'


def _summary(album: Album) -> str:
    faces = sum(len(analysis.faces) for analysis in album.analyses)
    text = f"<b>{_count(faces, 'face')}</b> in {_count(len(album.shown), 'photo')}."
    if len(album.entries) < album.total:
        text += f" Cancelled after {len(album.entries)} of {album.total}."
    if not album.unreadable:
        return _note(text)
    items = "".join(
        f"<li><b>{escape(one.name)}</b>: {escape((one.analysis.error or ('', ''))[1])}</li>" for one in album.unreadable
    )
    return f'{_note(text)}<div class="fm-notice" role="note"><p>Not read:</p><ul>{items}</ul></div>'


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _found(entry: Entry) -> str:
    return "" if entry.analysis.faces else "<p>No faces found in this photo.</p>"


def _caption(entry: Entry) -> str:
    return f"{entry.name} · {_count(len(entry.analysis.faces), 'face')}"


def _totals(album: Album) -> str:
    """How many faces show each expression, as bars with names and numbers."""
    counts = tables.totals(album.analyses)
    most = max(1, *(counts[name] for name in EMOTIONS))
    rows = "".join(_total(name, counts[name], most) for name in EMOTIONS)
    doubt = f"<p>{counts['uncertain']} of these readings are uncertain.</p>" if counts["uncertain"] else ""
    return f'<section class="fm-bars"><h2>Faces per expression</h2>{rows}{doubt}</section>'


def _total(expression: str, count: int, most: int) -> str:
    bar = f"width:{100 * count / most:.1f}%;background:{words.css_colour(expression)}"
    label = f"{expression}: {_count(count, 'face')}"
    return (
        f'<div class="fm-bar"><span class="fm-name">{expression}</span>'
        f'<span class="fm-track" role="img" aria-label="{label}"><span style="{bar}"></span></span>'
        f'<span class="fm-share">{count}</span></div>'
    )
