"""The About tab's figures of test sets: photos before all, and the confusion matrix of photos where it was measured."""

from __future__ import annotations

import numpy as np

from facemotion.faces import EMOTIONS
from facemotion.webui.tabs import about

PHOTOS = {
    "accuracy": 0.8364,
    "interval": [0.8231, 0.8489],
    "rows": 3068,
    "confusion": (np.eye(7, dtype=int) * 9).tolist(),
}
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
