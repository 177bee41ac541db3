"""Validated select events. Clients may send arbitrary data in an event."""

from __future__ import annotations

from typing import Any

import gradio as gr

from facemotion.errors import BadOption

_FARTHEST = 1e6  # pixels; NaN is not below it, nor a number too long for a float


class ItemSelect(gr.SelectData):
    """Selection of a gallery item; `index` is its number from 0.

    Raises:
        BadOption: what was sent names no item.
    """

    index: int

    def __init__(self, target: Any, data: Any) -> None:
        super().__init__(target, _complete(data))
        if not isinstance(self.index, int) or isinstance(self.index, bool) or self.index < 0:
            raise BadOption("A choice is the number of an item, from 0. Please choose one on the page.")


class PointSelect(gr.SelectData):
    """Click in an image; `index` is its (x, y) in pixels of the displayed image.

    Raises:
        BadOption: what was sent is no point.
    """

    index: tuple[float, float]

    def __init__(self, target: Any, data: Any) -> None:
        super().__init__(target, _complete(data))
        if not isinstance(self.index, (list, tuple)) or len(self.index) != 2 or not all(map(_is_pixel, self.index)):
            raise BadOption("A choice in a picture is two numbers, x and y. Please choose a face on the page.")


def _complete(data: Any) -> dict[str, Any]:
    """Fill in the keys of `data` that Gradio requires."""
    return {"index": None, "value": None} | (data if isinstance(data, dict) else {})


def _is_pixel(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _FARTHEST
