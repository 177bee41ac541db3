"""What the Webcam tab says, as HTML: the notice, the readout beside the running picture, the summary after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facemotion import settings
from facemotion.faces import Analysis, Face
from facemotion.tracking.live import Moment
from facemotion.tracking.screen_time import Share
from facemotion.webui import shares, words
from facemotion.webui.curve import curve
from facemotion.webui.timeline import SPAN_S, strips

STATE_SECONDS = 600  # a viewer's record leaves memory after this without a frame
DARK_LEVEL = 45  # mean grey of 0..255 below which a frame without a face is said to be dark
SHORTEST_S = 0.5  # in view for less, a face is no person of the summary: a reflection, a pattern
MOST_PEOPLE = 12  # in the summary; the ones longest in view
MOST_NAMED = 8  # faces in the sentence on a frame

NOTICE = (
    '<p class="fm-notice" role="note"><b>While the camera runs, the expressions of all faces in view are analysed.</b> '
    "Each frame is sent to this server, read and dropped; no picture is kept. Numbers stay for the summary, "
    f"{STATE_SECONDS // 60} minutes at most, and go when you leave. Tell the people in view.</p>"
)
OFF = '<p class="fm-summary" role="status">The camera is off.</p>'
STARTING = (
    '<p class="fm-summary" role="status">The camera is starting. If it stays so, all '
    f"{settings.MAX_VIEWERS} places are taken; yours comes as soon as one is free.</p>"
)
_NO_FACE = "<b>No face in view.</b> Look towards the camera, come closer, and see that light falls on the face."
_DARK = "<b>It is too dark to find a face.</b> Switch a light on, or turn towards the window."


def problem(sentence: str) -> str:
    """What went wrong, as HTML that screen readers announce at once."""
    return f'<p class="fm-summary" role="alert">{sentence}</p>'


def rate(fps: float, spent_ms: float) -> str:
    """How fast it goes."""
    return f'<p class="fm-rate">{fps:.1f} frames a second, {spent_ms:.0f} ms each</p>'


def readout(
    frame: NDArray[np.uint8], analysis: Analysis, followed: int | None, moments: Sequence[Moment], now_s: float
) -> str:
    """Who is in view, what the followed face shows, and what it showed lately; then the strips of all."""
    face = next((one for one in analysis.faces if one.id == followed), None)
    return _who(frame, analysis) + _one(face, followed) + _lately(moments, followed, now_s)


def _who(frame: NDArray[np.uint8], analysis: Analysis) -> str:
    if not analysis.faces:
        return f'<p class="fm-summary">{_DARK if frame.mean() < DARK_LEVEL else _NO_FACE}</p>'
    noun = "1 face" if len(analysis.faces) == 1 else f"{len(analysis.faces)} faces"
    ordered = sorted(analysis.faces, key=lambda face: face.id)[:MOST_NAMED]
    named = ", ".join(f"{face.id} {face.expression}" for face in ordered)
    return f'<p class="fm-summary"><b>{noun} in view:</b> {named}</p>'


def _one(face: Face | None, followed: int | None) -> str:
    if face is None and followed is not None:
        return f'<p class="fm-summary">Face {followed} is out of view.</p>'
    return words.bars(face)


def _lately(moments: Sequence[Moment], followed: int | None, now_s: float) -> str:
    rows = strips(moments, now_s)
    if not rows:
        return ""
    areas = "" if followed is None else curve(moments, followed, now_s, SPAN_S)
    axis = f'<div class="fm-axis" aria-hidden="true"><span>{SPAN_S:.0f} s ago</span><span>now</span></div>'
    return f'<section class="fm-timeline" aria-label="The last {SPAN_S:.0f} seconds">{areas}{rows}{axis}</section>'


def summary(people: Sequence[Share], duration_s: float) -> str:
    """How long the camera ran, and what each person showed for how much of the time in view; nothing if it did not."""
    if duration_s <= 0:
        return ""
    seen = sorted((one for one in people if one.in_view_s >= SHORTEST_S), key=lambda one: -one.in_view_s)
    shown = sorted(seen[:MOST_PEOPLE], key=lambda one: one.id)
    count = f"{len(seen)} face{'' if len(seen) == 1 else 's'} seen" if seen else "No face was seen"
    text = f"<p>It ran for {shares.length(duration_s)}: <b>{count}</b>.</p>"
    table = shares.table((one.id, one.seconds) for one in shown)
    return f'<section class="fm-after" aria-label="Summary">{text}{table}</section>'
