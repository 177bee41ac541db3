"""The Gallery tab: many photos, counts per expression, downloads."""

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
from facemotion.webui.components.examples import example_photos
from facemotion.webui.components.select_events import ItemSelect
from facemotion.webui.components.uploads import PhotosInput
from facemotion.webui.gradio_patches.atomic_files import save_bytes
from facemotion.webui.html import text
from facemotion.webui.sessions import gallery
from facemotion.webui.sessions.gallery import GalleryPhoto, GallerySession
from facemotion.webui.tabs import QUIET, Update

CONCURRENT_GALLERIES = 2  # each keeps a core busy until its photos are done
STATE_SECONDS = 3000  # after this the session of a browser is dropped, like its files

_INVITATION = (
    f"Add up to {settings.MAX_PICTURES} photos and choose “Find the faces”, or look at the example photos. "
    "A photo that cannot be read is named, and the others are done all the same."
)


@dataclass(frozen=True)
class _Components:
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
    session: gr.State

    def save_file(self, content: bytes, name: str) -> str:
        """Write to Gradio's folder, where the file is deleted by age."""
        path = save_bytes(content, name, self.pictures.GRADIO_CACHE)
        self.pictures.temp_files.add(path)
        return path

    def outputs(self) -> list[Any]:
        """All components but the upload."""
        return [getattr(self, name) for name in self.__dataclass_fields__ if name != "photos"]


def build(pipeline: Pipeline) -> None:
    """Lays the tab out and connects it, inside the current `gr.Tab`."""
    components = _layout()
    chosen, examples = _finder(pipeline, components), _finder(pipeline, components, example_photos())
    long = QUIET | {"concurrency_limit": CONCURRENT_GALLERIES, "concurrency_id": "gallery"}
    finders: list[Any] = [
        components.run.click(chosen, components.photos, components.outputs(), **long),
        components.examples.click(examples, None, components.outputs(), **long),
    ]
    buttons = [components.run, components.examples, components.cancel]
    for finder in finders:  # after success or failure the buttons are restored
        finder.then(lambda: _buttons(components, busy=False), None, buttons, **QUIET)
    components.cancel.click(_cancel, components.session, components.cancel, queue=False, **QUIET)
    components.pictures.select(_open, components.session, [components.opened, components.faces], **QUIET)


def _layout() -> _Components:
    photos = PhotosInput(label="Photos", file_count="multiple", file_types=["image"], height=180)
    with gr.Row():
        run = gr.Button("Find the faces", variant="primary", elem_id="fm-gallery-run")
        examples = gr.Button("Use the example photos", elem_id="fm-gallery-examples")
        cancel = gr.Button("Cancel", variant="stop", visible=False)
    status = gr.HTML(text.note(_INVITATION), elem_id="fm-gallery-status")
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
    return _Components(
        photos, run, examples, cancel, status, results, totals, pictures, opened, faces, csv, json, zipped, state
    )


def _finder(
    pipeline: Pipeline, components: _Components, fixed: list[str] | None = None
) -> Callable[..., Iterator[Update]]:
    """The handler that analyses the uploaded photos, or always the `fixed` photos."""

    def find(paths: list[str] | None = None) -> Iterator[Update]:
        chosen = fixed or paths or []
        gallery.check_count(chosen)
        session = GallerySession(len(chosen))
        yield _buttons(components, busy=True) | {
            components.session: session,
            components.status: _progress(session),
            components.results: gr.Column(visible=False),
        }
        for _ in gallery.read_photos(pipeline, chosen, session, components.save_file):
            yield {components.status: _progress(session)}
        yield _finished(components, session)

    return find


def _cancel(session: GallerySession | None) -> gr.Button:
    """Ask the handler to end and show its results so far.

    Gradio's own `cancels` would let a pending progress update overwrite them.
    """
    if session is not None:
        session.cancelled = True
    return gr.Button("Stopping ...", interactive=False)


def _buttons(components: _Components, busy: bool) -> Update:
    return {
        components.run: gr.Button(visible=not busy),
        components.examples: gr.Button(visible=not busy),
        components.cancel: gr.Button("Cancel", visible=busy, interactive=True),
    }


def _finished(components: _Components, session: GallerySession) -> Update:
    """Show the results of a session, complete or cancelled."""
    return _buttons(components, busy=False) | {
        components.status: _summary(session),
        components.results: gr.Column(visible=True),
        components.totals: _totals(session),
        components.pictures: gr.Gallery([(p.thumbnail, _caption(p)) for p in session.shown], selected_index=None),
        components.opened: gr.Image(None, visible=False),
        components.faces: "",
        components.csv: components.save_file(gallery.csv_bytes(session), "facemotion.csv"),
        components.json: components.save_file(gallery.json_bytes(session), "facemotion.json"),
        components.zip: components.save_file(gallery.zip_bytes(session), "facemotion.zip"),
    }


def _open(session: GallerySession | None, event: ItemSelect) -> list[Any]:
    """Values for the opened photo and its faces."""
    if session is None or event.index >= len(session.shown):
        return [gr.skip(), gr.skip()]
    photo = session.shown[event.index]
    found = "" if photo.analysis.faces else "<p>No faces found in this photo.</p>"
    title = f"<h2>{escape(photo.name)}</h2>{found}"
    return [gr.Image(photo.large, visible=True, label=photo.name), title + text.table(photo.analysis)]


def _progress(session: GallerySession) -> str:
    done, total = len(session.photos), session.total
    bar = f'<progress value="{done}" max="{total}" aria-label="Photos read"></progress>'
    return f'<div class="fm-progress" role="status">{bar}<span>{done} of {total} photos read</span></div>'


def _summary(session: GallerySession) -> str:
    faces = sum(len(analysis.faces) for analysis in session.analyses)
    sentence = f"<b>{tables.count(faces, 'face')}</b> in {tables.count(len(session.shown), 'photo')}."
    if len(session.photos) < session.total:
        sentence += f" Cancelled after {len(session.photos)} of {session.total}."
    if not session.unreadable:
        return text.note(sentence)
    items = "".join(
        f"<li><b>{escape(photo.name)}</b>: {escape((photo.analysis.error or ('', ''))[1])}</li>"
        for photo in session.unreadable
    )
    return f'{text.note(sentence)}<div class="fm-notice" role="note"><p>Not read:</p><ul>{items}</ul></div>'


def _caption(photo: GalleryPhoto) -> str:
    return f"{photo.name} · {tables.count(len(photo.analysis.faces), 'face')}"


def _totals(session: GallerySession) -> str:
    """How many faces show each expression, as bars with names and numbers."""
    counts = tables.totals(session.analyses)
    most = max(1, *(counts[name] for name in EMOTIONS))
    rows = "".join(_total(name, counts[name], most) for name in EMOTIONS)
    doubt = f"<p>{counts['uncertain']} of these readings are uncertain.</p>" if counts["uncertain"] else ""
    return f'<section class="fm-bars"><h2>Faces per expression</h2>{rows}{doubt}</section>'


def _total(expression: str, count: int, most: int) -> str:
    bar = f"width:{100 * count / most:.1f}%;background:{text.css_colour(expression)}"
    label = f"{expression}: {tables.count(count, 'face')}"
    return (
        f'<div class="fm-bar"><span class="fm-name">{expression}</span>'
        f'<span class="fm-track" role="img" aria-label="{label}"><span style="{bar}"></span></span>'
        f'<span class="fm-share">{count}</span></div>'
    )
