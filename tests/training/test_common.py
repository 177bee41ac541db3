"""What both kits share: where a run comes from, and how files are written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from training.common import files, provenance
from training.expression.inference import not_learned, resized_pictures
from training.publish.model_repo import figure_files


def test_a_change_anywhere_in_the_clone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    for name in ("training/common/a.py", "facemotion/crops.py"):
        files.write_text(tmp_path / name, "x = 1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(provenance, "HERE", tmp_path / "training" / "common")
    assert provenance.commit()["dirty"] is False
    (tmp_path / "facemotion" / "crops.py").write_text("x = 2\n")
    assert provenance.commit()["dirty"] is True


def test_the_folder_of_a_report_is_made(tmp_path: Path) -> None:
    files.write_json(tmp_path / "new" / "reports" / "a.json", {"a": 1})
    assert (tmp_path / "new" / "reports" / "a.json").read_text() == '{\n  "a": 1\n}\n'


def test_validation_images_are_found_among_smaller_training_images() -> None:
    small = np.random.default_rng(0).integers(0, 256, (6, 48, 48), np.uint8)
    assert not_learned(resized_pictures(small[:4], 64), small[2:]).tolist() == [True, True, False, False]


def test_figures_that_show_the_data_are_not_published() -> None:
    reports = Path(files.__file__).parents[1] / "reports"
    shown = [file.stem for file in reports.glob("detector/*")]
    assert {"hits", "misses"} <= set(shown)
    assert [file.stem for file in figure_files(reports / "detector")] == ["curves", "precision_recall"]
