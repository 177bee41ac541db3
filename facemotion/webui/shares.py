"""Who showed what for how much of the time, as an HTML table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from facemotion.webui import words

MOST_NAMED = 4  # expressions of one person, the longest shown first


def table(people: Iterable[tuple[int, Mapping[str, float]]]) -> str:
    """A row for each person, given as an id and the seconds of each expression; nothing when there is nobody."""
    rows = "".join(_row(identity, seconds) for identity, seconds in people)
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Face", "In view", "Showed"))
    body = f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="fm-scroll"><table class="fm-table">{body}</table></div>'


def _row(identity: int, seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values())
    shares = sorted(((value / total, name) for name, value in seconds.items() if value > 0), reverse=True)
    parts = " ".join(
        f'<span class="fm-part">{words.swatch(name)}{name} {words.percent(share)}</span>'
        for share, name in shares[:MOST_NAMED]
    )
    return f'<tr><th scope="row">{identity}</th><td>{_seconds(total)} s</td><td>{parts}</td></tr>'


def length(seconds: float) -> str:
    """How long something was: "12.3 seconds", or "1:05 minutes"."""
    return f"{_seconds(seconds)} seconds" if seconds < 60 else f"{clock(seconds)} minutes"


def _seconds(seconds: float) -> str:
    """A single frame of 0.04 s is not "0.0"."""
    return f"{seconds:.2f}" if 0 < seconds < 0.1 else f"{seconds:.1f}"


def clock(seconds: float) -> str:
    """65.2 -> "1:05"."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"
