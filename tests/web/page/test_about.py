"""The About tab's figures: published ones, photos before all, and the confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from facemotion.faces import EMOTIONS
from facemotion.webui.tabs import about

PHOTOS = {
    "accuracy": 0.8364,
    "interval": [0.8231, 0.8489],
    "rows": 3068,
    "confusion": (np.eye(7, dtype=int) * 9).tolist(),
}
CONFUSION = [[50 if row == column else 10 for column in range(7)] for row in range(7)]
VALIDATION = {"accuracy": 0.5, "confusion": np.full((7, 7), 3).tolist()}


def test_photos_stand_before_what_the_epoch_was_chosen_by() -> None:
    html = about.measured({"metrics": VALIDATION, "tests": {"photos": PHOTOS}})
    assert "<b>83.6 %</b> right (82.3 to 84.9 %) of 3,068" in html
    assert html.index("RAF-DB") < html.index("<b>50.0 %</b>")


def test_the_matrix_is_that_of_photos_where_it_was_measured() -> None:
    def cells(config: dict[str, object]) -> list[str]:
        return about.measured(config).split("<td style=")[1:]

    shown = cells({"metrics": VALIDATION, "tests": {"photos": PHOTOS}})
    assert len(shown) == len(EMOTIONS) ** 2 and shown[0].startswith('"--share:100%"')
    assert cells({"metrics": VALIDATION})[0].startswith('"--share:14%"')
    assert "<caption>Photos whose label" in about.measured({"metrics": VALIDATION, "tests": {"photos": PHOTOS}})
    assert "<caption>Validation images." in about.measured({"metrics": VALIDATION})


def test_about_shows_the_published_figures() -> None:
    metrics = {"accuracy": 0.6543, "macro_f1": 0.61, "ece": 0.02, "rows": 7066, "confusion": CONFUSION}
    html = about.measured({"metrics": metrics, "data": "FER2013 <test>"})
    for part in ("65.4 %", "61.0 %", "2.0 %", "7,066", "FER2013 &lt;test&gt;", "fm-matrix"):
        assert part in html
    assert html.count("<td style") == 49 and "counts alike" not in html
    assert "counts alike" in about.measured({"metrics": metrics, "heads": {"votes": 1.0}})


@pytest.mark.parametrize("config", [{}, {"metrics": {}}, {"metrics": None}])
def test_about_says_when_nothing_was_measured(config: dict[str, Any]) -> None:
    assert "No measurements" in about.measured(config)


def test_about_skips_a_matrix_of_another_shape() -> None:
    assert "fm-matrix" not in about.measured({"metrics": {"accuracy": 0.5, "confusion": [[1, 2], [3, 4]]}})
