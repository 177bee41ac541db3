"""What is shipped: the Space's front matter, the licences and checksums of the assets, the installed package."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import facemotion

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
ASSETS = ROOT / "facemotion" / "assets"
STATIC = ROOT / "facemotion" / "webui" / "static"
SUMS = ASSETS / "SHA256SUMS"
AGPL_SHA256 = (
    "0d96a4ff68ad6d4b6f1f30f713b18d5184912ba8dd389f86aa7710db079abcb0"  # https://www.gnu.org/licenses/agpl-3.0.txt
)
WEIGHTS_SUFFIXES = {".bin", ".onnx", ".pt", ".safetensors"}

# https://huggingface.co/docs/hub/spaces-config-reference
SPACE_KEYS = {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "license"}
SPACE_COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SHORT_DESCRIPTION_LIMIT = 60


@pytest.fixture(scope="module")
def front_matter() -> dict[str, Any]:
    match = re.match(r"---\n(.*?)\n---\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert match, "README.md does not begin with front matter between two lines of ---"
    return dict(yaml.safe_load(match[1]))


def requirement(name: str) -> str:
    """The exact version that requirements.txt pins."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    match = re.search(rf"^{name}(?:\[\w+\])?==(\S+)$", text, re.MULTILINE)
    assert match, f"requirements.txt pins no {name}"
    return match[1]


def asset_files() -> list[Path]:
    return sorted(file for file in ASSETS.rglob("*") if file.is_file())


def asset_name(file: Path) -> str:
    return file.relative_to(ASSETS).as_posix()


def weights_files() -> list[Path]:
    return [file for file in asset_files() if file.suffix in WEIGHTS_SUFFIXES]


def checksums() -> dict[str, str]:
    """Path relative to the assets -> SHA-256, as `sha256sum -c SHA256SUMS` reads them."""
    lines = [line.split("  ", 1) for line in SUMS.read_text(encoding="utf-8").splitlines()]
    return {path: digest for digest, path in lines}


def test_the_front_matter_has_what_a_space_needs(front_matter: dict[str, Any]) -> None:
    assert front_matter.keys() >= SPACE_KEYS
    assert front_matter["sdk"] == "gradio"
    assert front_matter["license"] == "agpl-3.0"
    assert {front_matter["colorFrom"], front_matter["colorTo"]} <= SPACE_COLOURS
    assert (ROOT / front_matter["app_file"]).is_file()


def test_the_space_runs_the_gradio_that_is_tested_here(front_matter: dict[str, Any]) -> None:
    assert front_matter["sdk_version"] == requirement("gradio")


def test_the_spaces_python_is_a_supported_one(front_matter: dict[str, Any]) -> None:
    assert front_matter["python_version"] in {"3.10", "3.11", "3.12", "3.13"}


def test_the_short_description_fits(front_matter: dict[str, Any]) -> None:
    assert 0 < len(front_matter["short_description"]) <= SHORT_DESCRIPTION_LIMIT


@pytest.mark.parametrize("file", asset_files(), ids=asset_name)
def test_notice_names_every_asset(file: Path) -> None:
    named = (ROOT / "NOTICE").read_text(encoding="utf-8").splitlines()
    assert file.relative_to(ROOT).as_posix() in named, "NOTICE has no line that is this path"


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_notice_names_every_file_of_the_page(file: Path) -> None:
    test_notice_names_every_asset(file)


def test_notice_names_no_file_that_is_gone() -> None:
    lines = (ROOT / "NOTICE").read_text(encoding="utf-8").splitlines()
    named = {line for line in lines if line.startswith("facemotion/")}
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_the_licence_is_the_whole_agpl() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert hashlib.sha256(text.encode()).hexdigest() == AGPL_SHA256


@pytest.mark.parametrize("file", weights_files(), ids=asset_name)
def test_weights_have_the_listed_checksum(file: Path) -> None:
    assert checksums()[asset_name(file)] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_every_listed_checksum_is_of_a_file_that_is_there() -> None:
    assert checksums()
    assert [path for path in checksums() if not (ASSETS / path).is_file()] == []


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package was installed into, from a copy, so that the build leaves nothing in the sources."""
    source = tmp_path_factory.mktemp("source")
    target = tmp_path_factory.mktemp("target")
    for name in ("pyproject.toml", "requirements.txt", "requirements-batch.txt", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "facemotion", source / "facemotion", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *options, "--target", str(target), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return target


def test_the_installed_package_has_every_file(installed: Path) -> None:
    kept = {file.relative_to(ROOT) for file in (ROOT / "facemotion").rglob("*") if file.is_file()}
    expected = {file for file in kept if "__pycache__" not in file.parts}
    assert {Path("facemotion/py.typed"), Path("facemotion/assets/SHA256SUMS")} <= expected
    assert [str(file) for file in sorted(expected) if not (installed / file).is_file()] == []


def test_the_installed_package_has_its_licences_and_its_command(installed: Path) -> None:
    (metadata,) = installed.glob("facemotion-*.dist-info")
    assert (metadata / "licenses" / "LICENSE").is_file()
    assert (metadata / "licenses" / "NOTICE").is_file()
    assert "facemotion = facemotion.cli:main" in (metadata / "entry_points.txt").read_text(encoding="utf-8")
    required = (metadata / "METADATA").read_text(encoding="utf-8")
    assert f"Requires-Dist: gradio[mcp]=={requirement('gradio')}" in required
    assert re.search(r'^Requires-Dist: ray\[data\]==\S+; extra == "batch"$', required, re.MULTILINE)


def test_the_installed_package_is_importable(installed: Path) -> None:
    code = "import facemotion; print(facemotion.__file__, facemotion.__version__)"
    environment = {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True, check=True)
    file, version = result.stdout.split()
    assert Path(file).is_relative_to(installed)
    assert version == facemotion.__version__
