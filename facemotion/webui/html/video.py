"""HTML of the Video tab: progress, summary, timelines."""

from __future__ import annotations

from facemotion import settings
from facemotion.output.tables import count
from facemotion.video import Person, Result
from facemotion.video.job import ANALYSED_PER_S
from facemotion.webui.html import text
from facemotion.webui.html.timeline import clock, duration, people_table, strip

MAX_PEOPLE = 12  # strips and rows, of the faces longest in view
SHORTEST_S = 0.25  # faces in view for less are left out of the summary: reflections, patterns

INVITATION = (
    f"Add a video (MP4, MOV, WebM, MKV or AVI; up to {settings.MAX_VIDEO_SECONDS} seconds and "
    f"{settings.MAX_VIDEO_BYTES / 1e6:.0f} MB) and choose “Find the faces”. "
    "It may take a few times as long as the video lasts; one video is read at a time."
)
WAITING = "Waiting for its turn: one video is read at a time."
STOPPED = "Stopped. Nothing of the video was kept."

NOTICE = (
    '<p class="fm-notice" role="note"><b>The expressions of all faces in the video are analysed.</b> They are what a '
    "face shows, not what anybody feels. The video goes to this server and is deleted within the hour, with the "
    "annotated one and the table; nothing else is kept. Ask the people in it first.</p>"
)
_NOBODY = "<b>No faces found.</b> Faces are found from about 1/40 of the picture's long side, seen from the front."
_BRIEF = f"<b>No face stays in view for {SHORTEST_S} seconds.</b>"


def progress(share: float, spent_s: float) -> str:
    """Progress bar with the share done, and the remaining time once it can be estimated."""
    known = share > 0.05 and spent_s > 2
    left = f", about {max(5, 5 * round(spent_s * (1 - share) / share / 5))} seconds left" if known else ""
    bar = f'<progress value="{share:.3f}" max="1" aria-label="Video read"></progress>'
    return f'<div class="fm-progress" role="status">{bar}<span>{share:.0%} read{left}</span></div>'


def summary(result: Result) -> str:
    """Summary of the result in a sentence."""
    seen, lasted = len(_seen(result)), duration(result.duration_s)
    nobody = _BRIEF if result.people else _NOBODY
    found = f"<b>{count(seen, 'face')} followed</b> in {lasted};" if seen else f"{nobody} The video lasts {lasted};"
    sound = {"kept": "The sound is untouched.", "encoded": "The sound was encoded anew.", "none": "It has no sound."}
    facts = (
        f"{result.analysed} of {result.frames} frames were analysed, about {ANALYSED_PER_S} a second, "
        f"and the boxes between them interpolated. {sound[result.sound]}"
    )
    return text.note(f"{found} {facts}")


def shown(result: Result) -> list[Person]:
    """The faces longest in view, ordered by id."""
    return sorted(_seen(result)[:MAX_PEOPLE], key=lambda person: person.id)


def _seen(result: Result) -> list[Person]:
    """The faces that are in view for long enough, the longest first."""
    seen = [person for person in result.people if person.in_view_s >= min(SHORTEST_S, result.duration_s / 2)]
    return sorted(seen, key=lambda person: -person.in_view_s)


def timeline(result: Result) -> str:
    """A timeline per face over the length of the video; empty when there are none."""
    people = shown(result)
    span_s = max(result.duration_s, 0.1)
    if not people:
        return ""
    rows = "".join(strip(person.id, person.runs, 0.0, span_s) for person in people)
    axis = f'<div class="fm-axis" aria-hidden="true"><span>0:00</span><span>{clock(result.duration_s)}</span></div>'
    return f'<section class="fm-timeline" aria-label="Expressions over time"><h2>Over time</h2>{rows}{axis}</section>'


def table(result: Result) -> str:
    """Time in view of each face, and its expressions by share."""
    return people_table((person.id, person.seconds) for person in shown(result))
