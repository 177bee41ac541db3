"""HTML timelines and tables of expressions over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from facemotion.output.draw import COLOURS, text_colour
from facemotion.tracking.live import Moment
from facemotion.tracking.timeline import Run, runs
from facemotion.webui.html import text

SPAN_S = 20.0  # length of the timeline; the whole record can be downloaded
MAX_PEOPLE = 4  # strips, of the faces seen last
MAX_NAMED = 4  # expressions named per face, the longest shown first
NAMED_SHARE = 0.13  # of the strip's width, from which the expression's name fits on a phone


def strips(timeline: Iterable[Moment], now_s: float) -> str:
    """Timelines of the faces last seen within `SPAN_S` seconds before `now_s`; empty when there are none."""
    recent = [moment for moment in timeline if moment.time_s >= now_s - SPAN_S]
    last_seen = {moment.id: moment.time_s for moment in recent}
    people = sorted(sorted(last_seen, key=lambda face_id: -last_seen[face_id])[:MAX_PEOPLE])
    if not people:
        return ""
    sightings = {face_id: [(m.time_s, m.expression) for m in recent if m.id == face_id] for face_id in people}
    return "".join(strip(face_id, runs(sightings[face_id]), now_s - SPAN_S, SPAN_S) for face_id in people)


def strip(identity: int, shown: Iterable[Run], start_s: float, span_s: float) -> str:
    """Timeline of a face, starting at `start_s` and `span_s` seconds long."""
    blocks = "".join(_block(run, start_s, span_s) for run in shown)
    return f'<div class="fm-strip"><span class="fm-who">Face {identity}</span><div class="fm-band">{blocks}</div></div>'


def _block(run: Run, start_s: float, span_s: float) -> str:
    left = (run.start_s - start_s) / span_s
    share = max((run.end_s - run.start_s) / span_s, 0.004)
    name = run.expression if share >= NAMED_SHARE else ""
    colours = f"background:{text.css_colour(run.expression)};color:rgb{text_colour(COLOURS[run.expression])}"
    place = f"left:{left * 100:.2f}%;width:{share * 100:.2f}%"
    return f'<span title="{run.expression}" style="{place};{colours}">{name}</span>'


def people_table(people: Iterable[tuple[int, Mapping[str, float]]]) -> str:
    """Table with a row per face, from its id and the seconds per expression; empty when there are none."""
    rows = [_person_row(identity, seconds) for identity, seconds in people]
    return text.rows_table(("Face", "In view", "Showed"), rows) if rows else ""


def _person_row(identity: int, seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values())
    shares = sorted(((value / total, name) for name, value in seconds.items() if value > 0), reverse=True)
    parts = " ".join(
        f'<span class="fm-part">{text.swatch(name)}{name} {text.percent(share)}</span>'
        for share, name in shares[:MAX_NAMED]
    )
    return f'<tr><th scope="row">{identity}</th><td>{_seconds(total)} s</td><td>{parts}</td></tr>'


def duration(seconds: float) -> str:
    """Format a duration: "12.3 seconds" or "1:05 minutes"."""
    return f"{_seconds(seconds)} seconds" if seconds < 60 else f"{clock(seconds)} minutes"


def _seconds(seconds: float) -> str:
    """A single frame of 0.04 s is not "0.0"."""
    return f"{seconds:.2f}" if 0 < seconds < 0.1 else f"{seconds:.1f}"


def clock(seconds: float) -> str:
    """65.2 -> "1:05"."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"
