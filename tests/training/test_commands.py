"""Every command of the training kit explains itself, and the former names of the README's commands still run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.moved_commands import MOVED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
KIT = ROOT / "training"


def commands() -> list[str]:
    """The modules of the kit that can be run: `training.expression.train` and so on."""
    files = [file for file in KIT.rglob("*.py") if '__name__ == "__main__"' in file.read_text(encoding="utf-8")]
    packages = [file.parent for file in KIT.rglob("__main__.py")]
    parts = [file.relative_to(ROOT).with_suffix("").parts for file in [*files, *packages]]
    return sorted(".".join(names) for names in parts)


# One process for all: each of its own would import PyTorch anew.
EACH_ASKED = """
import contextlib, io, json, runpy, sys
told = {}
for module in sys.argv[1:]:
    sys.argv = [module, "--help"]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            told[module] = [ended.code, output.getvalue()]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, Any]:
    """What each command answers to --help: its status and its standard output."""
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-c", EACH_ASKED, *commands()]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    told: dict[str, Any] = json.loads(shown.stdout)
    return told


def help_of(module: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", commands())
def test_a_command_explains_itself(module: str, helps: dict[str, Any]) -> None:
    status, text = helps[module]
    assert status == 0 and text.startswith("usage: ") and "--" in text


@pytest.mark.parametrize("module", ["training.train", "training.export"])
def test_a_former_name_runs_the_command_and_tells_its_new_name(module: str) -> None:
    shown = help_of(module)
    assert shown.returncode == 0 and shown.stdout.startswith("usage: ")
    assert shown.stderr.startswith(f"{module} is now training.expression.")


def test_every_former_name_leads_to_a_command() -> None:
    found = {f"training.{path.removesuffix('.py').replace('/', '.')}" for path in MOVED.values()}
    assert found <= set(commands())


def test_former_names_are_for_commands_and_not_for_imports() -> None:
    with pytest.raises(ModuleNotFoundError):
        __import__("training.train")


def test_the_readme_of_the_kit_names_every_command() -> None:
    text = (KIT / "README.md").read_text(encoding="utf-8")
    assert [module for module in commands() if f"`python -m {module}" not in text] == []
