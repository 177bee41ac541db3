"""docs/batch.md: its ways to read the results, run as they stand there, and its columns against the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facemotion.batch.rows import SCHEMA
from tests.support.batch_runs import finish_all, rows, tiny_pictures, worker
from tests.support.servers.processes import ROOT

DOCS = (ROOT / "docs" / "batch.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```py\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, face: np.ndarray) -> Path:
    """A folder in which faces/ holds results, as the snippets take for granted."""
    above = tmp_path_factory.mktemp("batch")
    finish_all(worker(above / "faces", tiny_pictures(above / "pictures", face, 10)))
    return above


def run(snippet: str, folder: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", snippet]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_pandas_reads_the_results(folder: Path) -> None:
    [snippet] = [one for one in SNIPPETS if "import pandas" in one]
    counted = dict(re.findall(r"^(\w+) +(\d+)$", run(snippet, folder), re.MULTILINE))
    faces = [row for row in rows(folder / "faces") if row["face"]]
    assert sum(int(count) for name, count in counted.items() if name != "dtype") == len(faces) > 0


@pytest.mark.slow
def test_duckdb_reads_the_results(folder: Path) -> None:
    [snippet] = [one for one in SNIPPETS if "import duckdb" in one]
    said = run(snippet, folder)
    assert "000.png" in said and "10 rows" in said


def test_the_snippet_for_spark_is_python() -> None:
    [snippet] = [one for one in SNIPPETS if "pyspark" in one]
    assert ast.parse(snippet)


def test_every_column_is_explained_with_its_type() -> None:
    table = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", DOCS, re.MULTILINE)
    explained = {name: kind.strip() for names, kind in table for name in re.findall(r"`(\w+)`", names)}
    plain = {"double": "double", "int32": "int32", "int64": "int64", "string": "string", "bool": "bool"}
    expected = {field.name: plain.get(str(field.type), "list of string") for field in SCHEMA}
    assert {name: explained.get(name) for name in expected} == expected


@pytest.mark.slow
def test_the_image_has_what_a_worker_imports() -> None:
    """What the Containerfile leaves out must not be needed: a worker is run without it."""
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'ultralytics', 'gradio', 'fastapi'): sys.modules[name] = None\n"
        "from facemotion.batch.worker import PartWorker; from facemotion import Pipeline\n"
        "print(len(Pipeline.from_pretrained().analyze('facemotion/assets/examples/group.jpg').faces))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "3", result.stderr
    wanted = re.search(r"grep -E '\^\((.+?)\)", (ROOT / "Containerfile").read_text("utf-8"))
    assert wanted
    pinned = (ROOT / "requirements.txt").read_text("utf-8")
    assert [name for name in wanted[1].split("|") if not re.search(rf"^{name}\b", pinned, re.MULTILINE)] == []
