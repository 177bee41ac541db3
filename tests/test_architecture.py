"""Which way the doors open: who may import whom, read from the sources; and what importing the package costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import facemotion

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 350

# Each module may import those of its own row and of the rows above it. A new module takes its place here.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "faces", "suffixes"),
    ("settings", "uploads", "deadline", "interrupts", "logs"),
    ("images", "_avif", "_colours", "_containers", "_formats", "_sources"),
    ("crops", "networks", "quality", "weights", "compat"),
    ("graphs", "runtime"),
    ("detectors", "classifier"),
    ("pipeline",),
    ("tracking", "tally", "live", "drawing", "heatmap", "placement", "report", "video"),
    ("webui", "cli", "cli_video", "batch", "__main__"),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}

# Only these may import the library, at any depth, at the top of the file or inside a function.
OWNERS: dict[str, tuple[str, ...]] = {
    "av": ("facemotion.video",),
    "gradio": ("facemotion.webui", "app"),
    "huggingface_hub": ("facemotion.weights", "training.hub"),
    "onnxruntime": ("facemotion.runtime", "training.onnx_export", "benchmarks"),
    "pyarrow": ("facemotion.batch",),
    "ray": ("facemotion.batch",),
    "torch": ("facemotion.networks", "facemotion.compat", "training", "benchmarks"),
    "ultralytics": (
        "facemotion.detectors",
        "facemotion.compat",
        "training.detector",
        "training.detector_trainer",
        "training.evaluate_detector",
    ),
}

PUBLIC_NAMES = {
    "Analysis",
    "Box",
    "EMOTIONS",
    "EmotionClassifier",
    "Face",
    "FaceDetector",
    "FaceTracker",
    "FacemotionError",
    "InputError",
    "LiveSession",
    "Pipeline",
    "WeightsError",
    "__version__",
    "annotate",
    "images",
}


def sources() -> list[Path]:
    """Every Python file of the project, by path."""
    folders = ("facemotion", "training", "benchmarks", "tests")
    return sorted([*ROOT.glob("*.py"), *(file for name in folders for file in (ROOT / name).rglob("*.py"))])


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> Iterator[str]:
    """The full names of what a file imports; `from a import b` gives both a and a.b, as b may be a module."""
    package = module_name(file) if file.name == "__init__.py" else module_name(file).rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def imports_of(package: str) -> dict[str, frozenset[str]]:
    """For each module of a package (or for the module of that name), the names of what it imports."""
    return {
        module_name(file): frozenset(imports(file)) for file in sources() if is_within(module_name(file), (package,))
    }


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def part(module: str) -> str:
    """`facemotion.webui.page` -> `webui`; the package itself -> ``."""
    return module.split(".")[1] if "." in module else ""


PARTS = sorted(module for module in imports_of("facemotion") if module != "facemotion")


@pytest.mark.parametrize("module", PARTS)
def test_every_module_has_its_place(module: str) -> None:
    assert part(module) in LEVELS, f"{module} stands in no row of LAYERS"


@pytest.mark.parametrize("module", PARTS)
def test_imports_only_from_the_rows_above(module: str) -> None:
    mine = LEVELS[part(module)]
    upwards = {name for name in imports_of("facemotion")[module] if LEVELS.get(part_if_ours(name), -1) > mine}
    assert not upwards, f"{module} imports what stands below it: {sorted(upwards)}"


def part_if_ours(name: str) -> str:
    return part(name) if is_within(name, ("facemotion",)) else ""


def test_no_parts_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in LEVELS}
    for module in PARTS:
        targets = {part_if_ours(name) for name in imports_of("facemotion")[module]} & LEVELS.keys()
        graph[part(module)] |= targets - {part(module)}
    while leaves := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - leaves for name, targets in graph.items() if name not in leaves}
    assert not graph, f"these import each other: {graph}"


@pytest.mark.parametrize(("library", "owners"), OWNERS.items())
def test_a_library_is_imported_only_by_its_owners(library: str, owners: tuple[str, ...]) -> None:
    programs = [imports_of(name) for name in ("facemotion", "training", "benchmarks", "app")]
    importers = {
        module
        for program in programs
        for module, names in program.items()
        if any(is_within(name, (library,)) for name in names)
    }
    strangers = sorted(module for module in importers if not is_within(module, owners))
    assert not strangers, f"{library} is imported by {strangers}, but belongs to {owners}"


@pytest.mark.parametrize("module", ["facemotion", *PARTS])
def test_the_package_imports_nothing_that_is_not_installed_with_it(module: str) -> None:
    outside = ("training", "tests", "benchmarks", "app")
    assert not [name for name in imports_of("facemotion")[module] if is_within(name, outside)]


@pytest.mark.parametrize("file", sources(), ids=module_name)
def test_a_file_is_short_enough_to_have_one_subject(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{file.relative_to(ROOT)} has {lines} lines; what is its second subject?"


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"torch", "torchvision", "cv2", "gradio", "PIL", "ultralytics", "huggingface_hub", "numpy"}
    code = f"import sys, facemotion; print(*sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_the_embedded_models_need_no_training_library(examples: Path) -> None:
    """Importing torch or ultralytics takes seconds, and hundreds of megabytes, before the first answer."""
    heavy = {"torch", "torchvision", "ultralytics", "onnx", "onnxscript", "huggingface_hub"}
    code = (
        "import sys; from facemotion import Pipeline\n"
        f"print(len(Pipeline.from_pretrained('yunet').analyze({str(examples / 'group.jpg')!r}).faces))\n"
        f"print(*sorted({heavy!r} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["3"]


def test_the_public_names() -> None:
    assert set(facemotion.__all__) == PUBLIC_NAMES
    assert set(dir(facemotion)) == PUBLIC_NAMES


@pytest.mark.parametrize("name", sorted(PUBLIC_NAMES))
def test_every_public_name_is_there_and_explained(name: str) -> None:
    value = getattr(facemotion, name)
    if name not in {"EMOTIONS", "__version__"}:
        assert value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Detektor'"):
        _ = facemotion.Detektor
