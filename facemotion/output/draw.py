"""Drawing of labelled boxes on an image, and the colours of the expressions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from facemotion.errors import BadArray
from facemotion.faces import Analysis, Face
from facemotion.output.label_layout import Layout, Rect

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
_Mask = npt.NDArray[np.bool_]

# Okabe and Ito's colours ("Color Universal Design", 2008), moved a little until every two of them differ by 25 or more
# (CIE76) for normal sight and for protan, deutan and tritan sight (Machado, Oliveira and Fernandes, 2009), while each
# keeps a contrast of 2.2 or more to white and 3 or more to the dark page. Text on them is black or white, 4.5 or more.
COLOURS: dict[str, Colour] = {
    "angry": (187, 62, 11),
    "disgust": (14, 144, 88),
    "fear": (163, 52, 123),
    "happy": (246, 153, 6),
    "neutral": (172, 172, 172),
    "sad": (30, 85, 212),
    "surprise": (52, 185, 255),
}
"""One RGB colour per expression, for boxes, bars, charts and timeline."""

_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)

# Of the image's long side, so that an image shown at the width of a page keeps legible labels; of the face, so that
# the label of a child in the background does not cover the row in front.
_SMALLEST_TEXT = 1 / 90
_LARGEST_TEXT = 1 / 34  # 10 pixels across a phone
_TEXT_OF_FACE = 1 / 6
_LEAST_TEXT_PX = 10
_LINE_OF_PICTURE = 1 / 320
_LINE_OF_FACE = 1 / 24
_THICKER_FROM = 24  # pixels of face; a line of two pixels would hide too much of a smaller face


def annotate(image: Pixels, analysis: Analysis, *, labels: bool = True, selected: int | None = None) -> Pixels:
    """Draw the faces of `analysis` on a copy of `image`.

    Each face gets a box in the colour of its expression, edged in white and black, and a label with its number, its
    expression and the probability of that. Where room is short the label shrinks to the number. An uncertain face has
    a dashed box and a question mark.

    Args:
        image: uint8 RGB [H, W, 3]: the image that was analyzed, at its own size or another; boxes are scaled to it.
        labels: whether to write the labels; the boxes are drawn in any case.
        selected: the id of a face to emphasise with a heavier box; an id that no face has changes nothing.

    Returns:
        A new array of the shape of `image`.

    Raises:
        BadArray: `image` is not of that type or shape.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,) or not image.size:
        raise BadArray("Only a uint8 RGB array of shape [height, width, 3] can be drawn on; images.load makes one.")
    drawn = np.array(image, order="C")
    faces = sorted(analysis.faces, key=lambda face: face.id != selected)  # the selected face's label is placed first
    rects = [_scaled(face, analysis, drawn) for face in faces]
    for face, rect in reversed(list(zip(faces, rects, strict=True))):  # and its box is on top
        _draw_box(drawn, face, rect, emphasised=face.id == selected)
    if labels:
        _draw_labels(drawn, faces, rects)
    return drawn


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever has the higher contrast on `background` (WCAG 2.1)."""
    return _BLACK if contrast(_BLACK, background) >= contrast(_WHITE, background) else _WHITE


def contrast(first: Colour, second: Colour) -> float:
    """Contrast ratio of two RGB colours, 1..21 (WCAG 2.1)."""
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [c / 12.92 if (c := value / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for value in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _scaled(face: Face, analysis: Analysis, image: Pixels) -> Rect:
    """The face's box in whole pixels of `image`, inside it, at least 1 x 1."""
    height, width = image.shape[:2]
    across, down = width / max(analysis.width, 1), height / max(analysis.height, 1)
    x0 = min(max(round(face.box.x0 * across), 0), width - 1)
    y0 = min(max(round(face.box.y0 * down), 0), height - 1)
    x1 = min(max(round(face.box.x1 * across), x0 + 1), width)
    y1 = min(max(round(face.box.y1 * down), y0 + 1), height)
    return x0, y0, x1, y1


def _side(rect: Rect) -> int:
    return min(rect[2] - rect[0], rect[3] - rect[1])


def _draw_box(image: Pixels, face: Face, rect: Rect, emphasised: bool) -> None:
    """Draw three strokes, white outside, coloured, black inside, for contrast with any background."""
    line = round(min(max(image.shape[:2]) * _LINE_OF_PICTURE, _side(rect) * _LINE_OF_FACE))
    line = max(line, 2 if _side(rect) >= _THICKER_FROM else 1)
    edge = max(1, line // 3)
    if emphasised:
        line, edge = 2 * line, 2 * edge
    dash = max(4, _side(rect) // 9) if face.uncertain else 0
    dashes = [_dashes(length, dash) for length in (rect[2] - rect[0], rect[3] - rect[1])]
    area = image[rect[1] : rect[3], rect[0] : rect[2]]
    for width, colour in ((edge, _WHITE), (line, COLOURS[face.expression]), (edge, _BLACK)):
        if area.size:  # else the outer strokes have filled a tiny box
            _draw_ring(area, width, colour, *dashes)
        area = area[width:-width, width:-width]
        dashes = [which[width:-width] for which in dashes]


def _draw_ring(area: Pixels, width: int, colour: Colour, across: _Mask, down: _Mask) -> None:
    """Colour the outermost `width` pixels of `area` where the masks of columns and rows are set."""
    area[:width, across] = area[-width:, across] = colour
    area[down, :width] = area[down, -width:] = colour


def _dashes(length: int, dash: int) -> _Mask:
    """Mask of `length` pixels: all set when `dash` is 0, else dashes of about that length."""
    if not dash:
        return np.ones(length, bool)
    pieces = max(3, round(length / dash) // 2 * 2 + 1)
    piece: npt.NDArray[np.int_] = np.arange(length) * pieces // length
    return np.equal(piece % 2, 0)  # an odd number of pieces: drawn at both corners


@dataclass(frozen=True)
class _LabelStyle:
    """Style of a label: text size, padding and edge in pixels."""

    text: int
    padding: int
    edge: int

    @classmethod
    def of(cls, image: Pixels, rect: Rect) -> _LabelStyle:
        longest = max(image.shape[:2])
        least = max(_LEAST_TEXT_PX, longest * _SMALLEST_TEXT)
        text = round(min(max(_side(rect) * _TEXT_OF_FACE, least), max(least, longest * _LARGEST_TEXT)))
        return cls(text, padding=max(1, text // 5), edge=max(1, text // 16))

    def size(self, text: str) -> tuple[int, int]:
        """(width, height) of the plate that holds `text`."""
        around = 2 * (self.padding + self.edge)
        width = sum(_advance(self.text, character) for character in text)
        return round(width) + around + self.padding, sum(_font(self.text).getmetrics()) + around

    def plate(self, text: str, colour: Colour) -> Pixels:
        """Image of `text` on `colour`, with an edge in the colour of the text."""
        width, height = self.size(text)
        plate = Image.new("RGB", (width, height), colour)
        draw = ImageDraw.Draw(plate)
        draw.rectangle((0, 0, width - 1, height - 1), outline=text_colour(colour), width=self.edge)
        middle = (width / 2, height / 2)
        draw.text(middle, text, font=_font(self.text), fill=text_colour(colour), anchor="mm")
        return np.asarray(plate)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow built without FreeType has only a tiny bitmap font
        raise RuntimeError("Pillow was built without FreeType; install the pillow wheel from PyPI to draw labels.")
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)  # Latin only: the simple layout is faster


@lru_cache(maxsize=4096)
def _advance(size: int, character: str) -> float:
    """Width of a character in pixels, cached: measuring 300 labels takes longer than drawing."""
    return _font(size).getlength(character)


def _label_texts(face: Face) -> tuple[str, str, str]:
    """Texts for the label of a face, the longest first."""
    doubt = "?" if face.uncertain else ""
    name = f"{face.id} {face.expression}{doubt}"
    return f"{name} {face.confidence:.0%}", name, f"{face.id}{doubt}"


def _draw_labels(image: Pixels, faces: list[Face], rects: list[Rect]) -> None:
    layout = Layout(image.shape[1], image.shape[0], rects)
    for index, face in enumerate(faces):
        forms, style = _label_texts(face), _LabelStyle.of(image, rects[index])
        form, (x0, y0, x1, y1) = layout.place(index, [style.size(text) for text in forms])
        plate = style.plate(forms[form], COLOURS[face.expression])
        target = image[y0:y1, x0:x1]
        target[:] = plate[: target.shape[0], : target.shape[1]]
