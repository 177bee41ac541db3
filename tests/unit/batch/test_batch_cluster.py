"""How `facemotion batch` starts Ray: what it puts into the environment, its folder, what killed runs have left."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from facemotion.batch import cluster
from tests.support.servers.processes import ROOT


def test_folders_of_processes_that_are_gone_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(cluster, "_LONGEST_TEMP", 1000)
    for name in (f"facemotion-ray-{int(gone.stdout)}-abc", f"facemotion-ray-{os.getpid()}-def", "facemotion-ray-other"):
        (tmp_path / name / "session").mkdir(parents=True)
    new = cluster._make_folder()
    left = {folder.name for folder in tmp_path.iterdir()}
    assert left == {f"facemotion-ray-{os.getpid()}-def", "facemotion-ray-other", new.name}
    assert new.stat().st_mode & 0o77 == 0  # nobody else's


def test_a_long_temporary_folder_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's sockets would have names that Linux does not take."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 60)))
    folder = cluster._make_folder()
    folder.rmdir()
    assert len(str(folder)) < 40


@pytest.mark.parametrize("before", ["/home/somebody", None])
def test_the_home_folder_is_another_only_while_ray_starts(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", before)
    with cluster._home(tmp_path):
        assert os.environ["HOME"] == str(tmp_path)
        assert Path("~/ray_bootstrap_config.yaml").expanduser().is_file()
    assert os.environ.get("HOME") == before


def test_workers_get_the_settings_and_threads_that_do_not_fight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMOTION_MAX_SIDE", "2000")
    monkeypatch.setenv("FACEMOTION_MAX_THREADS", "8")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never told")
    given = cluster._environment(2)
    assert (given["FACEMOTION_MAX_SIDE"], given["FACEMOTION_MAX_THREADS"], given["OMP_NUM_THREADS"]) == (
        "2000",
        "2",
        "2",
    )
    assert "AWS_SECRET_ACCESS_KEY" not in given


def test_importing_the_room_loads_neither_ray_nor_pyarrow() -> None:
    code = "import sys; from facemotion import batch; from facemotion.batch import command, cluster\n"
    code += "print(*sorted({'ray', 'pyarrow', 'pandas'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
