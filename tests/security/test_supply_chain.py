"""What the program is made of: pinned versions, no loader that runs code, no secrets, no known weak spots."""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.servers.processes import ROOT

# A range, both ends named, only where any version in it will do; the reasons stand in requirements.txt.
RANGES = {"safetensors", "numpy", "pillow", "tqdm"}
REQUIREMENTS = sorted(ROOT.glob("requirements*.txt"))
PROGRAMS = sorted(
    [*ROOT.glob("*.py"), *(file for name in ("facemotion", "training") for file in (ROOT / name).rglob("*.py"))]
)
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def lines(file: Path) -> list[str]:
    text = (line.split("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return [line for line in text if line and not line.startswith("-r ")]


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.name)
def test_versions_are_pinned(file: Path) -> None:
    for line in lines(file):
        match = re.fullmatch(r"([\w.-]+)(\[[\w,]+\])?(==[\w.]+|>=[\w.]+,<[\w.]+)(; .+)?", line)
        assert match, f"{line} names no version"
        assert match[3].startswith("==") or match[1] in RANGES, f"{line} is no exact version"


def test_the_package_is_installed_with_the_same_versions() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'dependencies = { file = "requirements.txt" }' in text


def calls(file: Path) -> Iterator[tuple[str, dict[str, ast.expr], int]]:
    """(dotted name, keyword arguments, line) of each call in a file."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {one.arg or "**": one.value for one in node.keywords}, node.lineno


def is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def unsafe(file: Path) -> list[str]:
    """Where a file loads what could run code, or runs a string."""
    found = []
    for name, arguments, line in calls(file):
        weights_only = name in {"torch.load", "torch.hub.load"} and not is_true(arguments.get("weights_only"))
        pickled = "allow_pickle" in arguments or name in {"eval", "exec", "os.system", "yaml.load", "yaml.unsafe_load"}
        if weights_only or pickled or is_true(arguments.get("shell")):
            found.append(f"{file.name}:{line}: {name}")
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [f"{file.name}: imports {name}" for name in names if name.split(".")[0] in UNPICKLERS]
    return found


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_is_unpickled_and_no_string_is_run(file: Path) -> None:
    """A detector that the user names is a pickle, and ultralytics loads it; see facemotion/detectors/checkpoint.py."""
    assert unsafe(file) == []


@pytest.mark.parametrize(
    "line",
    ["torch.load(f)", "torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)", "import pickle", "eval(x)",
     "from joblib import load", "subprocess.run(x, shell=True)", "yaml.load(x)"],
)  # fmt: skip
def test_the_search_for_loaders_finds_them(line: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(line)
    assert unsafe(tmp_path / "wrong.py")


def test_no_weights_but_safetensors_and_onnx_are_shipped() -> None:
    names = git("ls-files").splitlines()
    assert [name for name in names if re.search(r"\.(pt|pth|pkl|pickle|bin|ckpt|h5|joblib|npy)$", name)] == []
    assert any(name.endswith(".safetensors") for name in names)


def git(*arguments: str) -> str:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a module of the virtual environment; the test is skipped where it is not installed."""
    pytest.importorskip(command[0].partition(".")[0])
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)


def search(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """The hook of .pre-commit-config.yaml, with a copy of the baseline."""
    baseline = shutil.copy(ROOT / ".secrets.baseline", folder)
    return tool("detect_secrets.pre_commit_hook", "--baseline", str(baseline), *files)


def test_the_search_finds_secrets_and_excuses_only_commits_and_checksums_that_are_called_so(tmp_path: Path) -> None:
    checksum = hashlib.sha256(b"a key").hexdigest()
    secrets = {"key": "AKIA" + "QYLPMN5HHFIZ" + "Z7KW", "TOKEN": checksum, "api_key": checksum, '"commits"': checksum}
    files = [tmp_path / f"{number}.py" for number in range(len(secrets))]
    for file, (name, secret) in zip(files, secrets.items(), strict=True):
        file.write_text(f'{name}: "{secret}"\n')
    result = search(tmp_path, *map(str, files))
    assert result.returncode == 1
    assert [file.name for file in files if f"{file}:1" not in result.stdout] == []


def test_commits_are_held_to_the_linters_and_searched_for_secrets() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = {hook["id"] for repository in config["repos"] for hook in repository["hooks"]}
    assert {"ruff-check", "ruff-format", "mypy", "bandit", "detect-secrets"} <= hooks
    assert {repository["repo"] for repository in config["repos"]} == {"local"}  # the versions of requirements-dev.txt


def test_make_lint_searches_for_weak_spots_and_secrets() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    output = subprocess.run(["make", "-n", "lint"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "bandit -q -c pyproject.toml -r facemotion training app.py" in output
    assert "detect-secrets-hook --baseline" in output
    searched = re.compile(re.findall(r"grep -E '(.+?)'", output)[0])
    left_out = [ROOT / name for name in git("ls-files").splitlines() if not searched.search(name)]
    texts = [file.name for file in left_out if file.is_file() and b"\0" not in file.read_bytes()]
    assert [name for name in texts if not name.startswith(".") and name != "py.typed"] == []
