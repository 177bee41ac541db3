"""Recipes of a run as frozen dataclasses: command-line options from their fields, former names, values from JSON."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Section = argparse.ArgumentParser | argparse._ArgumentGroup
Former = Mapping[str, str | None]
"""A knob's name in an earlier version -> its name now; None for a knob that has no effect any more."""


def knob(default: Any, group: str, help: str, *, metavar: str = "", nargs: int | str | None = None) -> Any:
    """Define a field of a recipe with its part of `--help`.

    Args:
        default: the value of runs that were made before the knob existed.
        group: the section of `--help`.
        help: a sentence that names the unit and the accepted range.
        metavar: what `--help` calls the value; by default it follows from the type.
        nargs: as for argparse, for tuples; without it a tuple is written with commas.
    """
    return dataclasses.field(
        default=default, metadata={"group": group, "help": help, "metavar": metavar, "nargs": nargs}
    )


def flag(name: str) -> str:
    """`batch_size` -> `--batch-size`."""
    return f"--{name.replace('_', '-')}"


def names(text: str) -> tuple[str, ...]:
    """`a, b` -> ("a", "b")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def add_knobs(
    section: Section, recipe: type[Any], group: str, describe: Callable[[dataclasses.Field[Any]], str]
) -> None:
    """Add an option for every knob of the group; options that are not given stay out of the parsed arguments.

    Args:
        section: the parser, or a group of it.
        recipe: the dataclass.
        group: as named in `knob`.
        describe: the help text of a field, its default included.
    """
    for field in dataclasses.fields(recipe):
        if field.metadata.get("group") == group:
            _add_knob(section, field, describe(field).replace("%", "%%"))


def _add_knob(section: Section, field: dataclasses.Field[Any], help: str) -> None:
    shared: dict[str, Any] = {"help": help, "default": argparse.SUPPRESS}
    if isinstance(field.default, bool):
        section.add_argument(flag(field.name), action=argparse.BooleanOptionalAction, **shared)
        return
    kind: Callable[[str], Any] = type(field.default)
    if isinstance(field.default, tuple):
        kind = names
        if field.metadata["nargs"] is not None:
            shared["nargs"] = field.metadata["nargs"]
            kind = type(field.default[0]) if field.default else str
    metavar = field.metadata["metavar"] or {int: "N", float: "X", tuple: "LIST"}.get(type(field.default), "NAME")
    section.add_argument(flag(field.name), type=kind, metavar=metavar, **shared)


def with_current_flags(arguments: Sequence[str], former: Former) -> list[str]:
    """Replace flags of an earlier version in a command line, and say so on standard error."""
    flags = {flag(old): flag(new) for old, new in former.items() if new}
    current = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in flags:
            print(f"{name} is now {flags[name]}", file=sys.stderr)
        current.append(flags.get(name, name) + equals + value)
    return current


def current_names(values: Mapping[str, Any], former: Former) -> dict[str, Any]:
    """The values of a recipe of any version, by the knobs' present names; keys that are no knobs stay."""
    renamed = {former.get(name, name): value for name, value in values.items()}
    return {name: value for name, value in renamed.items() if name is not None}


def known_values(values: Mapping[str, Any], recipe: type[Any]) -> dict[str, Any]:
    """The items that are knobs of the recipe, lists (JSON has no others) as tuples."""
    fields = {field.name for field in dataclasses.fields(recipe)}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in fields
    }
