"""The same answer and the same files in whatever environment a command is started."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="locales and umasks are POSIX's")]

LIMIT_S = 280
NAME = "Zoë 写真.png"
ENVIRONMENTS = {
    "usual": {},
    "far away": {"LC_ALL": "C", "TZ": "Pacific/Auckland", "COLUMNS": "40", "PYTHONHASHSEED": "1"},
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "1", "PYTHONHASHSEED": "2"},
    "no home": {"HOME": "/nonexistent", "TZ": "Asia/Kathmandu", "TERM": "dumb", "OMP_NUM_THREADS": "1"},
}
UMASKS = {"usual": 0o022, "far away": 0o077, "ASCII": 0o002, "no home": 0o077}


def run(folder: Path, name: str) -> Any:
    """The JSON of a photo with a table and a drawn picture, by the real command in a named environment."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "OMP_NUM_THREADS") if name in os.environ}
    (folder / "home").mkdir()
    defaults = {"HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    # `-c` and no function that runs before the command: the umask belongs to the child alone.
    start = f"import os; os.umask({UMASKS[name]}); from facemotion.cli import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", start, NAME, "--json", "--csv", "out.csv", "--annotate", "drawn"],
        cwd=folder,
        env=kept | defaults | ENVIRONMENTS[name],
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)


def values(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a JSON with the way to it, but for times."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from values(value, f"{path}.{key}") if key != "timings_ms" else ()
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from values(value, f"{path}[{index}]")
    else:
        yield path, content if isinstance(content, str | bool | None) else pytest.approx(content, abs=1e-3)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> tuple[Any, Path]:
    """The usual environment's JSON and folder."""
    folder = tmp_path_factory.mktemp("usual")
    (folder / NAME).write_bytes((examples / "astronaut.png").read_bytes())
    return run(folder, "usual"), folder


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_photo_by_the_command_line(name: str, tmp_path: Path, examples: Path, expected: tuple[Any, Path]) -> None:
    result, folder = expected
    if name != "usual":
        folder = tmp_path
        (folder / NAME).write_bytes((examples / "astronaut.png").read_bytes())
        result = run(folder, name)
    assert len(result["faces"]) == 1
    assert dict(values(result)) == dict(values(expected[0]))
    (drawn,) = (folder / "drawn").iterdir()
    assert drawn.name == "Zoë 写真_faces.png"
    with (folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["picture"] for row in csv.DictReader(file)] == [NAME]
    mode = 0o666 & ~UMASKS[name]
    assert [oct(path.stat().st_mode & 0o777) for path in (drawn, folder / "out.csv")] == [oct(mode)] * 2
