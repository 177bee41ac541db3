"""Importing gradio without the type stubs that it writes for editors, which take a third of the time of its import."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def left_out() -> Iterator[None]:
    """Component classes defined inside get no stub: gradio would parse the source of each, and write a .pyi beside it.

    It asks for the class's file, and passes over classes that have none; so it is told of none. Other questions for a
    file are answered, and afterwards this one is too.
    """
    getfile = inspect.getfile

    def no_file_of_a_component(object: Any) -> str:
        if type(object).__name__ == "ComponentMeta":
            raise OSError("a component: no stub is wanted")
        return getfile(object)

    inspect.getfile = no_file_of_a_component
    try:
        yield
    finally:
        inspect.getfile = getfile
