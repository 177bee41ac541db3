"""Which way the doors open: who may import whom, read from the sources; and what importing the package costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import facemotion

ROOT = Path(__file__).resolve().parents[3]
MAX_LINES = 350

# Each module may import those of its own row and of the rows above it. A new module takes its place here.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "faces", "suffixes"),
    ("settings", "deadline", "logs", "atomic", "scratch"),
    ("images", "weights", "runtime"),
    ("detectors", "expression"),
    ("upright", "pipeline"),
    ("tracking",),
    ("output", "video"),
    ("webui", "cli", "batch", "__main__"),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}

# The same for the training kit, by folder; those of one row never import each other.
KIT_LAYERS: tuple[tuple[str, ...], ...] = (
    ("moved_commands",),
    ("common",),
    ("expression", "detector"),
    ("publish",),
    ("reports",),
    ("smoke",),
)
KIT_LEVELS = {name: level for level, names in enumerate(KIT_LAYERS) for name in names}

# Modules that may import each other in a circle, and why.
KNOWN_CIRCLES = {
    # FaceDetector.from_pretrained, in base, chooses among the kinds of detectors, which are its own subclasses.
    frozenset({"facemotion.detectors", "facemotion.detectors.base"}),
}

# Only these may import the library, at any depth, at the top of the file or inside a function.
OWNERS: dict[str, tuple[str, ...]] = {
    "av": ("facemotion.video",),
    "gradio": ("facemotion.webui", "app"),
    "huggingface_hub": ("facemotion.weights", "training.publish"),
    "onnxruntime": (
        "facemotion.runtime",
        "training.expression.onnx_export",
        "training.detector.quantize",
        "benchmarks",
    ),
    "pyarrow": ("facemotion.batch",),
    "ray": ("facemotion.batch",),
    "torch": ("facemotion.detectors.ultralytics_compat", "training", "benchmarks"),
    "ultralytics": (
        "facemotion.detectors.checkpoint",
        "facemotion.detectors.ultralytics_compat",
        "training.detector.trainer",
        "training.detector.evaluate",
        "training.detector.teacher_boxes",
        "training.detector.convert_yolov8_face",
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


def test_every_module_has_its_place() -> None:
    homeless = [module for module in PARTS if part(module) not in LEVELS]
    assert not homeless, f"these stand in no row of LAYERS: {homeless}"


def test_imports_only_from_the_rows_above() -> None:
    found = {module: downwards(module) for module in PARTS if downwards(module)}
    assert not found, f"these import what stands below them: {found}"


def downwards(module: str) -> list[str]:
    """What a module of the package imports of rows below its own."""
    mine = LEVELS.get(part(module), -1)
    return sorted(name for name in imports_of("facemotion")[module] if LEVELS.get(part_if_ours(name), -1) > mine)


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


KIT = sorted(module for module in imports_of("training") if module != "training")


def test_a_part_of_the_kit_imports_only_from_the_rows_above() -> None:
    homeless = [module for module in KIT if part(module) not in KIT_LEVELS]
    assert not homeless, f"these stand in no row of KIT_LAYERS: {homeless}"
    found = {module: strangers(module) for module in KIT if strangers(module)}
    assert not found, f"these import what does not stand above them: {found}"


def strangers(module: str) -> list[str]:
    """What a module of the kit imports of other parts, in its own row or below."""
    mine = KIT_LEVELS[part(module)]
    found = {name for name in imports_of("training")[module] if is_within(name, ("training",)) and part(name)}
    return sorted(name for name in found if part(name) != part(module) and KIT_LEVELS.get(part(name), -1) >= mine)


def test_benchmarks_take_nothing_of_the_tests_but_their_support() -> None:
    found = {name for names in imports_of("benchmarks").values() for name in names if is_within(name, ("tests",))}
    assert sorted(name for name in found if name != "tests" and not is_within(name, ("tests.support",))) == []


def test_the_support_of_the_tests_knows_no_test() -> None:
    found = {name for names in imports_of("tests.support").values() for name in names if is_within(name, ("tests",))}
    assert sorted(name for name in found if name != "tests" and not is_within(name, ("tests.support",))) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    programs = ("facemotion", "training", "benchmarks", "tests", "app")
    names = {module: found for program in programs for module, found in imports_of(program).items()}
    graph = {module: direct(found, names) - {module} for module, found in names.items()}
    for circle in KNOWN_CIRCLES:
        for module in circle:
            graph[module] -= circle
    while ends := {module for module, targets in graph.items() if not targets}:
        graph = {module: targets - ends for module, targets in graph.items() if module not in ends}
    while starts := graph.keys() - {target for targets in graph.values() for target in targets}:
        graph = {module: targets for module, targets in graph.items() if module not in starts}
    assert not graph, f"these import each other: {graph}"


def direct(found: frozenset[str], modules: Mapping[str, object]) -> set[str]:
    """The modules among what a file imports; of `from package import module` only the module, not its package."""
    ours = {name for name in found if name in modules}
    return {name for name in ours if not any(other.startswith(f"{name}.") for other in ours)}


@pytest.mark.parametrize(("library", "owners"), OWNERS.items())
def test_a_library_is_imported_only_by_its_owners(library: str, owners: tuple[str, ...]) -> None:
    programs = [imports_of(name) for name in ("facemotion", "training", "benchmarks", "app")]
    importers = {
        module
        for program in programs
        for module, names in program.items()
        if any(is_within(name, (library,)) for name in names)
    }
    others = sorted(module for module in importers if not is_within(module, owners))
    assert not others, f"{library} is imported by {others}, but belongs to {owners}"


def test_the_package_imports_nothing_that_is_not_installed_with_it() -> None:
    outside = ("training", "tests", "benchmarks", "app")
    imported = imports_of("facemotion").items()
    assert [(module, name) for module, names in imported for name in names if is_within(name, outside)] == []


def test_a_file_is_short_enough_to_have_one_subject() -> None:
    lines = {file.relative_to(ROOT): len(file.read_text(encoding="utf-8").splitlines()) for file in sources()}
    long = {str(file): count for file, count in lines.items() if count > MAX_LINES}
    assert not long, f"what is the second subject of these files, which have so many lines: {long}"


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
