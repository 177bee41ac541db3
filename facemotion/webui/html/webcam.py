"""HTML of the Webcam tab: notice, readout while the camera runs, summary afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facemotion import settings
from facemotion.faces import Analysis, Face
from facemotion.output.tables import count
from facemotion.tracking.live import Moment
from facemotion.tracking.timeline import Person
from facemotion.webui.html import text
from facemotion.webui.html.probability_chart import curve
from facemotion.webui.html.timeline import SPAN_S, duration, people_table, strips

STATE_SECONDS = 600  # after this without a frame the record of a session is dropped
DARK_LEVEL = 45  # mean grey level, 0 to 255, below which a frame without faces is called dark
SHORTEST_S = 0.5  # faces in view for less are left out of the summary: reflections, patterns
MAX_PEOPLE = 12  # in the summary, the faces longest in view
MAX_NAMED = 8  # faces named in the readout

NOTICE = (
    '<p class="fm-notice" role="note"><b>While the camera runs, the expressions of all faces in view are analysed.</b> '
    "Each frame is sent to this server, read and dropped; no picture is kept. Numbers stay for the summary, "
    f"{STATE_SECONDS // 60} minutes at most, and go when you leave. Tell the people in view.</p>"
)
OFF = text.note("The camera is off.")
STARTING = text.note(
    f"The camera is starting. If it stays so, all {settings.MAX_VIEWERS} places are taken; yours comes as soon as one "
    "is free."
)
_NO_FACE = "<b>No face in view.</b> Look towards the camera, come closer, and see that light falls on the face."
_DARK = "<b>It is too dark to find a face.</b> Switch a light on, or turn towards the window."


def problem(sentence: str) -> str:
    """An error message that screen readers announce at once."""
    return f'<p class="fm-summary" role="alert">{sentence}</p>'


def rate(fps: float, spent_ms: float) -> str:
    """Frame rate and processing time."""
    return f'<p class="fm-rate">{fps:.1f} frames a second, {spent_ms:.0f} ms each</p>'


def readout(
    frame: NDArray[np.uint8], analysis: Analysis, followed: int | None, moments: Sequence[Moment], now_s: float
) -> str:
    """Faces in view, probabilities of the followed face, and timelines of all faces."""
    face = next((face for face in analysis.faces if face.id == followed), None)
    return _who(frame, analysis) + _followed_face(face, followed) + _timeline(moments, followed, now_s)


def _who(frame: NDArray[np.uint8], analysis: Analysis) -> str:
    if not analysis.faces:
        return f'<p class="fm-summary">{_DARK if frame.mean() < DARK_LEVEL else _NO_FACE}</p>'
    ordered = sorted(analysis.faces, key=lambda face: face.id)[:MAX_NAMED]
    named = ", ".join(f"{face.id} {face.expression}" for face in ordered)
    return f'<p class="fm-summary"><b>{count(len(analysis.faces), "face")} in view:</b> {named}</p>'


def _followed_face(face: Face | None, followed: int | None) -> str:
    if face is None and followed is not None:
        return f'<p class="fm-summary">Face {followed} is out of view.</p>'
    return text.bars(face)


def _timeline(moments: Sequence[Moment], followed: int | None, now_s: float) -> str:
    rows = strips(moments, now_s)
    if not rows:
        return ""
    areas = "" if followed is None else curve(moments, followed, now_s, SPAN_S)
    axis = f'<div class="fm-axis" aria-hidden="true"><span>{SPAN_S:.0f} s ago</span><span>now</span></div>'
    return f'<section class="fm-timeline" aria-label="The last {SPAN_S:.0f} seconds">{areas}{rows}{axis}</section>'


def summary(people: Sequence[Person], duration_s: float) -> str:
    """Running time of the camera, and expressions of each face by share; empty when it did not run."""
    if duration_s <= 0:
        return ""
    seen = sorted((person for person in people if person.in_view_s >= SHORTEST_S), key=lambda person: -person.in_view_s)
    shown = sorted(seen[:MAX_PEOPLE], key=lambda person: person.id)
    found = f"{count(len(seen), 'face')} seen" if seen else "No face was seen"
    sentence = f"<p>It ran for {duration(duration_s)}: <b>{found}</b>.</p>"
    table = people_table((person.id, person.seconds) for person in shown)
    return f'<section class="fm-after" aria-label="Summary">{sentence}{table}</section>'
