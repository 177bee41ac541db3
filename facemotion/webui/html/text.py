"""Text and HTML that several tabs share. It names the shown expression, never a feeling."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from facemotion import settings
from facemotion.faces import EMOTIONS, Analysis, Face
from facemotion.output.draw import COLOURS
from facemotion.output.tables import count

QUALITY_WORDS = {
    "small": "the face has few pixels",
    "blurred": "the face is blurred",
    "dark": "the face is dark",
    "overexposed": "the face is overexposed",
    "cut_off": "the face is cut off by the picture's edge",
}
"""What each of `faces.QUALITY_REASONS` means to a reader."""

NO_FACES = (
    "<b>No faces found.</b> That is an ordinary answer. If the photo does show a face: lower the detection threshold, "
    "choose “Thorough” for small faces in a large photo, or turn the photo upright."
)


_COLUMNS = ("Face", "Expression", "Confidence", "Detection", "Notes")


def note(sentence: str) -> str:
    """A status message that screen readers announce."""
    return f'<p class="fm-summary" role="status">{sentence}</p>'


def percent(share: float) -> str:
    """0.934 -> "93 %"; values close to 0 or 1 are not rounded to them."""
    if 0 < share < 0.005:
        return "&lt; 1 %"
    if 0.995 <= share < 1:
        return "&gt; 99 %"
    return f"{share * 100:.0f} %"


def summary(analysis: Analysis) -> str:
    """Summary of an analysis in a sentence, announced by screen readers."""
    found = len(analysis.faces)
    if not found:
        return note(NO_FACES)
    time = analysis.timings_ms.get("total", 0)
    most = f" More than {found} are not read: these are the largest." if found >= settings.MAX_FACES else ""
    hint = "" if found == 1 else " Choose one, in the picture or below it, to see all its probabilities."
    return note(f"<b>{count(found, 'face')} found</b> in {time:.0f} ms.{most}{hint}")


def doubts(face: Face) -> list[str]:
    """Reasons to doubt the prediction for a face, in words; empty when there are none."""
    uncertain = ["no expression stands out clearly"] if face.uncertain else []
    return uncertain + [QUALITY_WORDS[reason] for reason in face.quality]


def swatch(expression: str) -> str:
    """A small square in the expression's colour, hidden from screen readers."""
    return f'<span class="fm-swatch" style="background:{css_colour(expression)}" aria-hidden="true"></span>'


def css_colour(expression: str) -> str:
    """CSS colour of an expression."""
    return "rgb({}, {}, {})".format(*COLOURS[expression])


def table(analysis: Analysis, selected: int | None = None) -> str:
    """HTML table with a row per face; empty when there are none."""
    if not analysis.faces:
        return ""
    return rows_table(_COLUMNS, [_row(face, face.id == selected) for face in analysis.faces])


def rows_table(heads: Iterable[str], rows: Iterable[str]) -> str:
    """HTML table of `<tr>` elements under these heads, which scrolls sideways where the page is narrow."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="fm-scroll"><table class="fm-table">{body}</table></div>'


def _row(face: Face, selected: bool) -> str:
    mark = ' class="fm-selected" aria-current="true"' if selected else ""
    notes = ", ".join(["uncertain"] * face.uncertain + [reason.replace("_", " ") for reason in face.quality]) or "none"
    return (
        f'<tr{mark}><th scope="row">{face.id}</th><td>{swatch(face.expression)}{face.expression}</td>'
        f"<td>{percent(face.confidence)}</td><td>{percent(face.detection_confidence)}</td><td>{notes}</td></tr>"
    )


def bars(face: Face | None) -> str:
    """Bars of the seven probabilities in the order of `EMOTIONS`; empty without a face."""
    if face is None:
        return ""
    rows = "".join(
        _bar(name, share, name == face.expression) for name, share in zip(EMOTIONS, face.probabilities, strict=True)
    )
    reasons = escape("; ".join(doubts(face)))
    caution = f'<p class="fm-caution">Read with care: {reasons}.</p>' if reasons else ""
    title = f"Face {face.id} shows: {face.expression}, {percent(face.confidence)}"
    label = f"Probabilities of face {face.id}"
    return f'<section class="fm-bars" aria-label="{label}"><h2>{title}</h2>{caution}{rows}</section>'


def _bar(expression: str, share: float, top: bool) -> str:
    width = f"{max(share * 100, 0.5):.1f}%"
    value = f'aria-label="{expression}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share * 100:.0f}"'
    fill = f'<span style="width:{width};background:{css_colour(expression)}"></span>'
    return (
        f'<div class="fm-bar{" fm-top" if top else ""}"><span class="fm-name">{expression}</span>'
        f'<span class="fm-track" role="meter" {value}>{fill}</span><span class="fm-share">{percent(share)}</span></div>'
    )


def notices(messages: tuple[str, ...]) -> str:
    """Messages about the models as a visible note; empty when there are none."""
    items = "".join(f"<p>{escape(message)}</p>" for message in messages)
    return f'<div class="fm-notice" role="note">{items}</div>' if items else ""


def serving(models: dict[str, str], live_detector: str) -> str:
    """A line that names the models in use."""
    other = f", for the camera {escape(live_detector)}" if live_detector != models["detector"] else ""
    return (
        f'<p class="fm-small">Weights: detector {escape(models["detector"])}{other}, '
        f"classifier {escape(models['classifier'])}. Nothing is stored; files are deleted within the hour.</p>"
    )
