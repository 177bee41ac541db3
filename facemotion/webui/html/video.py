"""What the Video tab says about a video, as HTML: how far it is, what was found, who showed what when."""

from __future__ import annotations

from facemotion import settings
from facemotion.video import Person, Result
from facemotion.video.job import ANALYSED_PER_S
from facemotion.webui.html.timeline import clock, duration, people_table, strip

MAX_PEOPLE = 12  # strips and rows; the ones longest in view
SHORTEST_S = 0.25  # in view for less, a face is no person of the summary: a reflection, a pattern

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


def note(text: str) -> str:
    """A sentence that screen readers announce."""
    return f'<p class="fm-summary" role="status">{text}</p>'


def progress(share: float, spent_s: float) -> str:
    """A bar with the share that is done, and how long the rest will take once that can be told."""
    left = f", about {_rounded(spent_s * (1 - share) / share)} seconds left" if share > 0.05 and spent_s > 2 else ""
    bar = f'<progress value="{share:.3f}" max="1" aria-label="Video read"></progress>'
    return f'<div class="fm-progress" role="status">{bar}<span>{share:.0%} read{left}</span></div>'


def _rounded(seconds: float) -> int:
    return max(5, round(seconds / 5) * 5)


def summary(result: Result) -> str:
    """One sentence on the whole video."""
    people = shown(result)
    found = f"<b>{len(people)} face{'' if len(people) == 1 else 's'} followed</b>" if people else _NOBODY
    sound = {"kept": "The sound is untouched.", "encoded": "The sound was encoded anew.", "none": "It has no sound."}
    facts = (
        f"in {duration(result.duration_s)}; {result.analysed} of {result.frames} frames were analysed, "
        f"about {ANALYSED_PER_S} a second, and the boxes between them interpolated. {sound[result.sound]}"
    )
    return note(f"{found} {facts}")


def shown(result: Result) -> list[Person]:
    """The people longest in view, by id."""
    seen = [one for one in result.people if _seconds(one) >= min(SHORTEST_S, result.duration_s / 2)]
    return sorted(sorted(seen, key=lambda one: -_seconds(one))[:MAX_PEOPLE], key=lambda one: one.id)


def timeline(result: Result) -> str:
    """A strip for each person over the length of the video; nothing where there was nobody."""
    people = shown(result)
    span_s = max(result.duration_s, 0.1)
    if not people:
        return ""
    rows = "".join(strip(one.id, one.runs, 0.0, span_s) for one in people)
    axis = f'<div class="fm-axis" aria-hidden="true"><span>0:00</span><span>{clock(result.duration_s)}</span></div>'
    return f'<section class="fm-timeline" aria-label="Expressions over time"><h2>Over time</h2>{rows}{axis}</section>'


def table(result: Result) -> str:
    """How long each person was in view, and what that face showed for how much of it."""
    return people_table((one.id, one.seconds) for one in shown(result))


def _seconds(one: Person) -> float:
    return sum(one.seconds.values())
