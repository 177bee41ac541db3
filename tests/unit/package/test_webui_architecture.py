"""Who may import whom inside facemotion/webui, and where private names of Gradio may stand; read from the sources."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import facemotion

WEBUI = Path(facemotion.__file__).resolve().parent / "webui"
ROOT_NAME = "facemotion.webui"

# Each room may import those of the rows above it, and modules of its own. A new room takes its place here.
LAYERS = (
    ("server", "html"),
    ("gradio_patches",),
    ("components",),
    ("sessions",),
    ("tabs", "api"),
    ("page", "theme"),
    ("",),  # facemotion/webui/__init__.py
)
LEVELS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
MAX_FILES = 12  # of one kind in a folder
SMALL = 60  # lines; a file below that has two importers, or belongs into its only user's file

# Modules of Gradio that its own guides use; any other is private.
PUBLIC_MODULES = {"gradio", "gradio.data_classes", "gradio.exceptions", "gradio.themes", "gradio.themes.utils"}
PRIVATE_ATTRIBUTES = {"state_holder", "session_data", "config_values", "fns", "app", "extra_startup_events"}

# Small files that stand alone although one file imports them, each for a reason.
ALONE = {
    "sessions.fair_semaphore": "a synchronisation primitive, tested by itself",
    "gradio_patches.fast_import": "must be importable before Gradio",
    "gradio_patches.install": "the one place that changes Gradio",
    "gradio_patches.type_stubs": "a private class of Gradio, which only the patches import",
    "theme": "the look is a subject of its own",
}


def modules() -> dict[str, Path]:
    """Every module of the page by its name below facemotion.webui; the package itself is ""."""
    files = {file: file.relative_to(WEBUI).with_suffix("").parts for file in sorted(WEBUI.rglob("*.py"))}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): file for file, parts in files.items()}


MODULES = modules()


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


@cache
def imports(file: Path) -> frozenset[str]:
    """Full names; `from a import b` gives both a and a.b, as b may be a module."""
    found: set[str] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative imports are not used here"
            found.update([node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)])
    return frozenset(found)


def rooms_imported(file: Path) -> set[str]:
    inside = {name.removeprefix(f"{ROOT_NAME}.") for name in imports(file) if name.startswith(f"{ROOT_NAME}.")}
    return {name.split(".")[0] for name in inside}


def test_a_room_imports_only_from_the_rows_above() -> None:
    for module in MODULES:
        room = module.split(".", maxsplit=1)[0]
        assert room in LEVELS, f"{module} stands in no row of LAYERS"
        lower = {other for other in rooms_imported(MODULES[module]) if LEVELS[other] > LEVELS[room]}
        beside = {other for other in rooms_imported(MODULES[module]) - {room} if LEVELS[other] == LEVELS[room]}
        assert not lower, f"{module} imports what stands below it: {lower}"
        assert not beside or room == "page", f"{module} imports what stands beside it: {beside}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: {other for other in MODULES if f"{ROOT_NAME}.{other}" in imports(file)} - {name}
             for name, file in MODULES.items()}  # fmt: skip
    while leaves := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - leaves for name, targets in graph.items() if name not in leaves}
    assert not graph, f"these import each other: {graph}"


def outside_the_patches() -> list[str]:
    return [name for name in MODULES if not name.startswith("gradio_patches")]


def test_private_modules_of_gradio_are_imported_only_by_the_patches() -> None:
    for module in outside_the_patches():
        nodes = list(ast.walk(tree(MODULES[module])))
        plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        private = {name for name in plain | named if name.split(".")[0] in ("gradio", "gradio_client")} - PUBLIC_MODULES
        assert not private, f"{module} imports {private}; private names of Gradio belong into gradio_patches"


@pytest.mark.parametrize("module", outside_the_patches())
def test_private_attributes_are_touched_only_by_their_owner_and_the_patches(module: str) -> None:
    for node in ast.walk(tree(MODULES[module])):
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            assert own or not private, f"{module}:{node.lineno} touches {node.attr}"
            assert own or node.attr not in PRIVATE_ATTRIBUTES, f"{module}:{node.lineno} touches {node.attr}"


@pytest.mark.parametrize("module", outside_the_patches())
def test_nothing_of_another_library_is_replaced(module: str) -> None:
    """Assigned is to one's own attributes alone: `library.name = ...` changes it for everybody."""
    nodes = list(ast.walk(tree(MODULES[module])))
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    for node in nodes:
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            owner = target.value if isinstance(target, ast.Attribute) else None
            assert not (isinstance(owner, ast.Name) and owner.id in imported), f"{module}:{node.lineno}"


@pytest.mark.parametrize("folder", sorted({file.parent for file in MODULES.values()}), ids=lambda folder: folder.name)
def test_a_folder_holds_about_a_dozen_files_of_one_kind(folder: Path) -> None:
    kinds = [file.suffix for file in folder.iterdir() if file.is_file()]
    assert all(kinds.count(kind) <= MAX_FILES for kind in kinds)


def test_every_file_says_what_it_is_about() -> None:
    for module in MODULES:
        assert ast.get_docstring(tree(MODULES[module])), module


def test_a_small_file_has_two_importers() -> None:
    for module in (name for name, file in MODULES.items() if file.stem != "__init__"):
        lines = len(MODULES[module].read_text("utf-8").splitlines())
        full = f"{ROOT_NAME}.{module}"
        importers = [name for name, file in MODULES.items() if full in imports(file)]
        assert lines >= SMALL or len(importers) > 1 or module in ALONE, f"{module}: {lines} lines for {importers}"
