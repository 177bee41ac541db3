"""A stretch of time as HTML: for each person a strip in the colours of the expressions, with their names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from facemotion.faces import EMOTIONS
from facemotion.output.draw import COLOURS, text_colour
from facemotion.tracking.live import Moment
from facemotion.webui import words

SPAN_S = 20.0  # shown; the whole record can be downloaded
GAP_S = 1.0  # without a face for longer, the strip is empty
MAX_PEOPLE = 4  # strips; the ones seen last
NAMED_SHARE = 0.13  # of the strip's width, from which the expression's name fits on a phone


class Stretch(Protocol):
    """A stretch of time in which one face showed one expression, in seconds."""

    start_s: float
    end_s: float
    expression: str


@dataclass(slots=True)
class _Piece:
    """A stretch of time in which one face showed one expression, in seconds."""

    start_s: float
    end_s: float
    expression: str


def strips(timeline: Iterable[Moment], now_s: float) -> str:
    """What each of the people seen last showed in the `SPAN_S` seconds before `now_s`, a strip for each; nothing when
    there is nobody."""
    recent = [moment for moment in timeline if moment.time_s >= now_s - SPAN_S]
    last_seen = {moment.id: moment.time_s for moment in recent}
    people = sorted(sorted(last_seen, key=lambda one: -last_seen[one])[:MAX_PEOPLE])
    if not people:
        return ""
    return "".join(strip(one, _pieces([m for m in recent if m.id == one]), now_s - SPAN_S, SPAN_S) for one in people)


def strip(identity: int, pieces: Iterable[Stretch], start_s: float, span_s: float) -> str:
    """One person's strip, from `start_s` on and `span_s` long."""
    blocks = "".join(_block(piece, start_s, span_s) for piece in pieces)
    return f'<div class="fm-strip"><span class="fm-who">Face {identity}</span><div class="fm-band">{blocks}</div></div>'


def _pieces(moments: list[Moment]) -> list[_Piece]:
    """Runs of one expression; each lasts until the next begins, unless the face was away in between."""
    pieces: list[_Piece] = []
    for moment in moments:
        goes_on = bool(pieces) and moment.time_s - pieces[-1].end_s <= GAP_S
        if goes_on:
            pieces[-1].end_s = moment.time_s
        if not goes_on or pieces[-1].expression != _expression(moment):
            pieces.append(_Piece(moment.time_s, moment.time_s, _expression(moment)))
    return pieces


def _expression(moment: Moment) -> str:
    return EMOTIONS[moment.probabilities.index(max(moment.probabilities))]


def _block(piece: Stretch, start_s: float, span_s: float) -> str:
    left = (piece.start_s - start_s) / span_s
    share = max((piece.end_s - piece.start_s) / span_s, 0.004)
    name = piece.expression if share >= NAMED_SHARE else ""
    colours = f"background:{words.css_colour(piece.expression)};color:rgb{text_colour(COLOURS[piece.expression])}"
    place = f"left:{left * 100:.2f}%;width:{share * 100:.2f}%"
    return f'<span title="{piece.expression}" style="{place};{colours}">{name}</span>'
