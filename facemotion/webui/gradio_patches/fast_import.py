"""Imports Gradio without type stubs for editors, which take a third of its import time.

Gradio 6.31.0 parses the source of each of its components on import.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_type_stubs() -> Iterator[None]:
    """Skip the type stubs of component classes that are defined inside.

    Gradio would parse the source of each class, and write a .pyi file beside it. It asks `inspect.getfile` for the
    source, and passes over classes that have none; so components have none in here. Other questions for a file are
    answered, and afterwards these are too.
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
