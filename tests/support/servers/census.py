"""How much a process holds: the sizes of all containers that can be reached from some roots, by the path to them.

Keys of mappings and positions in lists are left out of the paths: `app.state_holder.session_data[].state_data` is the
sum over all sessions. Nothing is collected, and nothing but attributes and elements is touched.
"""

from __future__ import annotations

import sys
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakSet, WeakValueDictionary

COUNTED = (Mapping, list, set, frozenset, deque, WeakSet, WeakValueDictionary)
OURS = ("gradio.", "facemotion.", "asyncio.", "fastapi.", "mcp.", "tests.")
PACKAGES = ("gradio", "facemotion")
ATTEMPTS = 20  # another thread may change a container while it is read


def census(roots: Mapping[str, Any]) -> dict[str, int]:
    """Lengths by path, for every container below `roots` and in the global variables of gradio and facemotion."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    waiting = deque([*roots.items(), *_globals()])
    while waiting:
        path, thing = waiting.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, COUNTED):
            sizes[path] = sizes.get(path, 0) + len(thing)
        waiting.extend(_children(path, thing))
    return sizes


def growth(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """(before, after) of what became larger."""
    return {path: (before.get(path, 0), size) for path, size in after.items() if size > before.get(path, 0)}


def _globals() -> Iterator[tuple[str, Any]]:
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in PACKAGES:
            yield from ((f"{name}:{key}", value) for key, value in list(vars(module).items()) if _is_data(value))


def _is_data(value: Any) -> bool:
    return isinstance(value, COUNTED) or (_is_ours(value) and not isinstance(value, (type, FunctionType)))


def _is_ours(value: Any) -> bool:
    return f"{type(value).__module__}.".startswith(OURS)


def _children(path: str, thing: Any) -> list[tuple[str, Any]]:
    for _ in range(ATTEMPTS):
        try:
            return list(_parts(path, thing))
        except RuntimeError:  # changed size during iteration
            continue
    return []


def _parts(path: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, Mapping):
        yield from ((f"{path}[]", value) for value in list(thing.values()))
    elif isinstance(thing, (list, set, frozenset, deque, tuple)):
        yield from ((f"{path}[]", value) for value in list(thing))
    elif isinstance(thing, MethodType):
        yield f"{path}.__self__", thing.__self__
    elif isinstance(thing, FunctionType) and f"{thing.__module__}.".startswith(OURS):
        yield from _closure(path, thing)
    if _is_ours(thing) and not isinstance(thing, (type, AbstractEventLoop)):  # a loop's timers come and go
        yield from ((f"{path}.{name}", value) for name, value in _attributes(thing))


def _closure(path: str, function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"{path}.<{name}>", cell.cell_contents
        except ValueError:  # not filled yet
            continue


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(thing, "__dict__", {}).items())
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                yield name, getattr(thing, name)
