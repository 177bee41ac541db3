"""Metaclass that keeps Gradio from writing .pyi files into this package."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

from gradio.component_meta import ComponentMeta


class WithoutStub(ComponentMeta):
    """Gradio's metaclass without the stub, for components that add no event. Seen in Gradio 6.31.0."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> WithoutStub:
        made: WithoutStub = ABCMeta.__new__(cls, name, bases, attributes)
        return made
