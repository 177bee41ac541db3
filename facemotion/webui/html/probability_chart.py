"""SVG chart of the expression probabilities of a face over the last seconds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from facemotion.faces import EMOTIONS
from facemotion.tracking.live import Moment
from facemotion.tracking.timeline import GAP_S
from facemotion.webui.html import text

BINS_A_SECOND = 4  # as often as the readout is shown; finer would only make the page larger

Row = tuple[int, NDArray[np.float64]]
"""The number of a bin of time, counted from 0 s, and the mean of the seven probabilities in it."""


def curve(moments: Iterable[Moment], identity: int, now_s: float, span_s: float) -> str:
    """Stacked areas of a face's probabilities in the `span_s` seconds before `now_s`; empty when it was not seen.

    Each expression's area is as high as its probability, in the order of `EMOTIONS` from the top: all seven fill the
    height. Where the face was away there is a gap.
    """
    mine = (moment for moment in moments if moment.id == identity and moment.time_s >= now_s - span_s)
    bins = groupby(mine, lambda moment: int(moment.time_s * BINS_A_SECOND))
    rows = [(number, np.mean([moment.probabilities for moment in group], axis=0)) for number, group in bins]
    if not rows:
        return ""
    runs = _runs(rows)
    start = (now_s - span_s) * BINS_A_SECOND
    areas = "".join(_areas(run, start) for run in runs)
    box = f"0 0 {span_s * BINS_A_SECOND:g} 100"
    name = f"Expressions of face {identity} in the last {span_s:.0f} seconds"
    return (
        f'<svg class="fm-curve" viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{name}">{areas}</svg>'
    )


def _runs(rows: list[Row]) -> list[list[Row]]:
    """Split `rows` where the face was away for more than `GAP_S`."""
    runs = [rows[:1]]
    for before, row in pairwise(rows):
        if row[0] - before[0] > GAP_S * BINS_A_SECOND:
            runs.append([])
        runs[-1].append(row)
    return runs


def _areas(run: list[Row], start: float) -> str:
    """A polygon for each expression over a run of bins; a bin is one unit wide."""
    left = np.array([number for number, _ in run]) - start
    across = np.append(left, left[-1] + 1)  # the last bin has a width too
    shares = np.array([share for _, share in run] + [run[-1][1]])
    edges = 100 * np.hstack([np.zeros((len(across), 1)), np.cumsum(shares, axis=1)])
    return "".join(
        f'<polygon fill="{text.css_colour(name)}" points="{_points(across, edges[:, index], edges[:, index + 1])}"/>'
        for index, name in enumerate(EMOTIONS)
        if shares[:, index].max() >= 0.005  # below half a percent nothing is visible
    )


def _points(across: NDArray[np.float64], above: NDArray[np.float64], below: NDArray[np.float64]) -> str:
    there = [f"{x:.1f},{y:.1f}" for x, y in zip(across, above, strict=True)]
    back = [f"{x:.1f},{y:.1f}" for x, y in zip(across[::-1], below[::-1], strict=True)]
    return " ".join(there + back)
