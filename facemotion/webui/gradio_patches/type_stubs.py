"""A metaclass for components of our own, for which Gradio then writes no .pyi file into this package."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

from gradio.component_meta import ComponentMeta


class WithoutStub(ComponentMeta):
    """Gradio's metaclass without its file: a component that adds no event needs none."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> WithoutStub:
        made: WithoutStub = ABCMeta.__new__(cls, name, bases, attributes)
        return made
