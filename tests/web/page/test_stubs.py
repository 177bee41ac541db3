"""Gradio's stubs: none are written for components that are defined while they are left out."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest

from facemotion.webui.gradio_patches import fast_import

SOURCE = "from gradio.components import Textbox\n\n\nclass Mine(Textbox):\n    pass\n"


def define(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports a module with a component of its own, once."""
    (folder / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)
    __import__(name)
    monkeypatch.delitem(sys.modules, name)


def test_none_are_written_inside_and_all_is_as_before_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    getfile = inspect.getfile
    with fast_import.without_type_stubs():
        define("quick_component", tmp_path, monkeypatch)
        assert inspect.getfile(Path) == getfile(Path)
    assert inspect.getfile is getfile
    define("slow_component", tmp_path, monkeypatch)
    assert [file.name for file in tmp_path.glob("*.pyi")] == ["slow_component.pyi"]  # why this is needed at all


def test_a_failing_import_leaves_nothing_changed() -> None:
    getfile = inspect.getfile
    with pytest.raises(ImportError), fast_import.without_type_stubs():
        raise ImportError
    assert inspect.getfile is getfile
