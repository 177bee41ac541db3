"""The notebook: it runs from the first cell to the last on little data, and is committed as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "training" / "walkthrough.ipynb"
MAX_LINES = 12  # of a cell of code

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Of jupyter_client and its event loop, while a kernel is started and stopped.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_runs_on_the_example_photos(notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FACEMOTION_DATA", "FACEMOTION_PHOTO", "FACEMOTION_WEIGHTS", "FACEMOTION_DETECTOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACEMOTION_EPOCHS", "2")
    monkeypatch.setenv("FACEMOTION_LIMIT", "21")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    done = NotebookClient(
        notebook, timeout=300, startup_timeout=240, kernel_name="python3", resources=resources
    ).execute()
    shown = [output for cell in code(done) for output in cell.outputs if "data" in output]
    assert sum("image/png" in output.data for output in shown) == 9
    texts = "\n".join(output.data["text/markdown"] for output in shown if "text/markdown" in output.data)
    assert "| all | 56 | 28 |" in texts and "| macro-F1 |" in texts and "| face | angry |" in texts


def test_it_is_committed_without_outputs() -> None:
    fresh = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(fresh)
    assert all(not cell.outputs and cell.execution_count is None for cell in code(fresh))


def test_every_cell_is_short_and_explained() -> None:
    fresh = nbformat.read(NOTEBOOK, as_version=4)
    assert max(len(cell.source.splitlines()) for cell in code(fresh)) <= MAX_LINES
    assert sum(cell.cell_type == "markdown" for cell in fresh.cells) >= len(code(fresh)) / 2
