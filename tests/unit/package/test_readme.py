"""README, docs/ and the kit's README: their snippets run, their links lead somewhere, their tables match the code."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from training.common.constants import RESEARCH_ONLY
from training.detector import evaluate as evaluate_detector
from training.detector import export as detector_export
from training.detector import quantize, speed, teacher_boxes, train
from training.expression import config, export
from training.expression.data import unlabelled
from training.expression.evaluation import evaluate, test_protocol
from training.publish import cli
from training.reports import detector_report

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "training" / "README.md"]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
TOGETHER = "\n".join(TEXTS.values())
README_LINES = 210  # what is longer goes to docs/
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
NODE_MODULES = ROOT / ".venv" / "node" / "node_modules"  # `make test` fills it where npm is there
SERVER = "http://127.0.0.1:7860"
LIMIT_S = 240  # each snippet starts an interpreter that imports torch: seconds, unless the machine is busy
EMOTION = r"angry|disgust|fear|happy|neutral|sad|surprise"


class Snippet(NamedTuple):
    language: str
    code: str

    @property
    def needs_server(self) -> bool:
        return SERVER in self.code


def snippets(*languages: str) -> list[Snippet]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", TOGETHER, re.MULTILINE | re.DOTALL)
    return [Snippet(language, code) for language, code in found if language in languages]


def label(snippet: Snippet) -> str:
    first = next(line for line in snippet.code.splitlines() if line)
    return f"{snippet.language}: {first[:40]}"


RUN = snippets("python", "bash", "javascript")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder in which a snippet finds the package as in the repository, and may leave files."""
    (tmp_path / "facemotion").symlink_to(ROOT / "facemotion")
    return tmp_path


def command(snippet: Snippet, code: str, folder: Path) -> list[str]:
    if snippet.language == "python":
        return [sys.executable, "-c", code]
    if snippet.language == "bash":
        return ["bash", "-euo", "pipefail", "-c", code]
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "snippet.mjs").write_text(code, encoding="utf-8")
    return ["node", "snippet.mjs"]


def skip_without_tools(snippet: Snippet) -> None:
    if snippet.language == "javascript" and not (shutil.which("node") and (NODE_MODULES / "@gradio/client").is_dir()):
        pytest.skip("node or the package @gradio/client is not installed")
    if "curl" in snippet.code and not shutil.which("curl"):
        pytest.skip("curl is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("snippet", RUN, ids=label)
def test_a_snippet_finds_the_face(snippet: Snippet, folder: Path, request: pytest.FixtureRequest) -> None:
    skip_without_tools(snippet)
    code = snippet.code.replace(SERVER, request.getfixturevalue("app_url")) if snippet.needs_server else snippet.code
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    result = subprocess.run(
        command(snippet, code, folder),
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(rf"\b({EMOTION})\b", result.stdout), result.stdout + result.stderr


def test_there_is_a_snippet_for_every_way_in() -> None:
    together = "\n".join(snippet.code for snippet in RUN)
    for way in ("Pipeline", "python -m facemotion", "gradio_client", "@gradio/client", "/call/analyze"):
        assert way in together


def test_the_make_targets_that_are_named_exist() -> None:
    named = re.findall(r"\bmake ([\w-]+)", "\n".join(snippet.code for snippet in snippets("shell")))
    assert {"demo", "test", "train-smoke"} <= set(named)
    assert [target for target in named if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)] == []


def training_commands() -> list[tuple[str, list[str]]]:
    """Each `python -m training.<part>` of the pages with its arguments."""
    code = "\n".join(snippet.code for snippet in snippets("shell"))
    found = [shlex.split(line) for line in re.findall(r"python -m training\.(.+)$", code, re.MULTILINE)]
    return [(words[0], words[1:]) for words in found]


@pytest.mark.parametrize(("part", "given"), training_commands(), ids=lambda value: " ".join(value)[:30])
def test_the_training_commands_are_understood(part: str, given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [part, *given])
    parse = {
        "detector.train": train.parse_arguments,
        "detector.quantize": quantize.parse_arguments,
        "expression.data.unlabelled": unlabelled.parse_arguments,
        "detector.export": lambda: detector_export.parse_arguments(given),
        "reports.detector_report": detector_report.parse_arguments,
        "detector.speed": speed.parse_arguments,
        "detector.evaluate": evaluate_detector.parse_arguments,
        "expression.train": lambda: config.new_config(config.parse()),
        "expression.evaluation.test_protocol": test_protocol.parse_arguments,
        "expression.evaluation.evaluate": evaluate.parse_arguments,
        "expression.export": export.parse_arguments,
        "detector.teacher_boxes": teacher_boxes.parse_arguments,
        "publish": lambda: cli.parse_arguments(None),
    }
    parsed = parse[part]()
    if part == "expression.train" and "modern" not in given:
        assert parsed == config.PRESETS["study"]


def test_a_newcomer_is_told_in_five_commands_to_train_judge_publish_and_serve() -> None:
    [five] = [
        s.code.splitlines()
        for s in snippets("shell")
        if "training.expression.train" in s.code and "training.publish" in s.code
    ]
    words = (
        "make train-smoke",
        "training.expression.train",
        "training.expression.evaluation.evaluate",
        "training.publish model",
        "make demo",
    )
    assert len(five) == 5 and all(word in line for word, line in zip(words, five, strict=True))
    run, repo_file = re.search(r"--out (\S+)", five[1]), re.search(r"--write-env (\S+)", five[3])  # each uses the last
    assert run and f"--weights {run[1]} " in five[2] and f"--run {run[1]} " in five[3]
    assert repo_file and f"$(cat {repo_file[1]})" in five[4]
    told = subprocess.run(
        ["git", "check-ignore", run[1], repo_file[1], "fer2013/"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if (ROOT / ".git").exists():
        assert told.stdout.split() == [run[1], repo_file[1], "fer2013/"]  # nothing of it can be committed by accident


def test_no_space_is_linked_before_it_exists() -> None:
    assert not re.search(r"https?://(huggingface\.co/spaces/|\w+-[\w-]+\.hf\.space)", TOGETHER)
    assert "huggingface.co/pricing" in TOGETHER and "may need a paid plan" in TOGETHER


def test_the_table_of_settings_is_complete_and_right() -> None:
    source = (ROOT / "facemotion" / "settings.py").read_text(encoding="utf-8")
    in_code = {
        f"FACEMOTION_{name}": value.replace("_", "")
        for name, value in re.findall(r'_number\(\s*"(\w+)", ([\d_]+)\b', source)
    }
    rows = dict(re.findall(r"^\| `(FACEMOTION_\w+)` \| (.+?) \|", TEXTS["docs/configuration.md"], re.MULTILINE))
    assert in_code
    assert {name: rows.get(name) for name in in_code} == in_code
    assert set(rows) - set(in_code) == set(re.findall(r'environ\.get\("(FACEMOTION_\w+)"', source))


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= README_LINES


def links() -> list[tuple[str, str]]:
    """(page, target) of each link and image that is a file of the repository."""
    found = [(page, target) for page, text in TEXTS.items() for target in re.findall(r"\]\(([^)\s#]+)", text)]
    return [(page, target) for page, target in found if ":" not in target]


@pytest.mark.parametrize(("page", "target"), links())
def test_a_link_leads_to_a_file(page: str, target: str) -> None:
    assert ((ROOT / page).parent / target).is_file()


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    linked = {target for page, target in links() if page == "README.md"}
    assert {page for page in TEXTS if page != "README.md"} <= linked


@pytest.mark.parametrize("name", ["README.md", "NOTICE"])
def test_the_terms_of_research_data_are_stated_word_for_word(name: str) -> None:
    assert RESEARCH_ONLY in " ".join((ROOT / name).read_text(encoding="utf-8").split())


def test_the_meaning_of_a_label_is_stated() -> None:
    said = " ".join(README.split())
    for part in ("the expression that most people would name", "ten voters", "forty annotators", "search words"):
        assert part in said
