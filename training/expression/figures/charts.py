"""The charts of a run: curves, confusion matrices, bars. Numbers in, matplotlib figures out; no files, no network.

Figures are made without pyplot, so nothing global is touched and no window is ever opened. `style()` is to be entered
around making and saving them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from facemotion.faces import EMOTIONS
from facemotion.output.draw import COLOURS

INK, GREY, FAINT = "#222222", "#8a8a8a", "#e4e4e4"
BLUE, ORANGE = "#1e55d4", "#d9730d"  # validation and training, or after and before
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#9db7ee", "#1e3f94"])
STYLE: dict[str, Any] = {
    "figure.dpi": 150,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}

History = Sequence[Mapping[str, float]]
Counts = NDArray[np.int64]


def style() -> AbstractContextManager[None]:
    """The style of all figures."""
    return mpl.rc_context(STYLE)  # type: ignore[arg-type]


def colour(emotion: str) -> str:
    """The emotion's colour on the page, as matplotlib takes it."""
    return "#{:02x}{:02x}{:02x}".format(*COLOURS[emotion])


def curves(history: History, reference: tuple[float, float] | None = None, best: int | None = None) -> Figure:
    """Loss and accuracy after each epoch, in training and on validation.

    Args:
        history: rows of history.csv.
        reference: lowest and highest validation accuracy of somebody's last five epochs, drawn as a band.
        best: the epoch to mark; else the first with the highest validation accuracy.
    """
    figure = Figure(figsize=(9, 3.6))
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for axes, what in ((left, "loss"), (right, "accuracy")):
        for part, line, width in (("train", ORANGE, 1.4), ("validation", BLUE, 1.8)):
            values = [row[f"{part}_{what}"] for row in history]
            mark = "o" if len(history) < 8 else ""
            axes.plot(epochs, values, color=line, linewidth=width, marker=mark, markersize=3, label=part)
        axes.set(xlabel="epoch", title=f"{what.capitalize()} after each epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
    left.set_ylim(0, 1.05 * max(max(row["train_loss"], row["validation_loss"]) for row in history))
    right.yaxis.set_major_formatter(PercentFormatter(1, 0))
    if reference:
        label = f"the reference's last five epochs: {100 * reference[0]:.1f} to {100 * reference[1]:.1f} %"
        right.axhspan(*reference, color=GREY, alpha=0.35, linewidth=0, label=label)
    mark_best(right, history, best)
    left.legend()
    right.legend(loc="lower right")
    return figure


def mark_best(axes: Axes, history: History, epoch: int | None = None) -> None:
    """A dot and its number at that epoch, else at the first with the highest validation accuracy."""
    highest = max(history, key=lambda row: row["validation_accuracy"])
    best = next((row for row in history if row["epoch"] == epoch), highest)
    where = (best["epoch"], best["validation_accuracy"])
    axes.plot(*where, "o", color=BLUE, markersize=6, markeredgecolor="white", zorder=5)
    text = f"{100 * where[1]:.1f} % in epoch {where[0]:.0f}"
    late = where[0] > np.mean([row["epoch"] for row in history])
    axes.annotate(
        text,
        where,
        (0, -34),  # below the curve, which is not to be hidden
        textcoords="offset points",
        ha="right" if late else "left",
        color=BLUE,
        arrowprops={"arrowstyle": "-", "color": BLUE, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4},
    )
    axes.margins(y=0.12)


def confusion(counts: Counts, title: str) -> Figure:
    """A confusion matrix [7, 7], a row per true class: counts on the left, shares of each row on the right."""
    figure = Figure(figsize=(9.2, 4.6))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    left, right = figure.subplots(1, 2)
    matrix(left, shares, [[f"{n:,}" for n in row] for row in counts], "Pictures")
    matrix(right, shares, [[f"{100 * s:.0f}" for s in row] for row in shares], "Percent of the pictures that show it")
    return figure


def two_confusions(first: Counts, second: Counts, titles: Sequence[str]) -> Figure:
    """Two confusion matrices [7, 7] side by side; a cell holds the percent of its row, and under it the count."""
    figure = Figure(figsize=(10.4, 5.6))  # square matrices, and room for their titles
    for axes, counts, title in zip(figure.subplots(1, 2), (first, second), titles, strict=True):
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        texts = [
            [f"{100 * s:.0f} %\n{n:,}" for s, n in zip(*row, strict=True)] for row in zip(shares, counts, strict=True)
        ]
        matrix(axes, shares, texts, title)
    return figure


def matrix(axes: Axes, shares: NDArray[np.float64], texts: list[list[str]], title: str) -> None:
    """One matrix: cells shaded by `shares`, 0..1, with `texts` in them."""
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        ink = "white" if share > 0.55 else INK
        weight = "bold" if row == column else "normal"
        axes.text(column, row, texts[row][column], ha="center", va="center", color=ink, fontsize=8, fontweight=weight)
    axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(EMOTIONS)), EMOTIONS)
    axes.set(xlabel="what the network said", ylabel="what the picture is labelled", title=title)
    axes.spines[:].set_visible(False)


def classes(per_class: Mapping[str, Mapping[str, float]], intervals: Mapping[str, list[float]] | None = None) -> Figure:
    """Precision, recall and F1 of each expression side by side.

    Args:
        per_class: of `metrics.per_class`.
        intervals: [low, high] of each `f1_<emotion>`, drawn as whiskers.
    """
    figure = Figure(figsize=(9, 3.6))
    axes = figure.subplots()
    places = np.arange(len(EMOTIONS))
    for shift, (what, alpha) in enumerate((("precision", 0.4), ("recall", 0.7), ("f1", 1.0))):
        values = [per_class[emotion][what] for emotion in EMOTIONS]
        bars = axes.bar(places + 0.27 * (shift - 1), values, 0.25, color=[colour(e) for e in EMOTIONS], alpha=alpha)
        tops = [intervals[f"f1_{e}"][1] for e in EMOTIONS] if intervals and what == "f1" else values
        for bar, value, top in zip(bars, values, tops, strict=True):
            place = bar.get_x() + bar.get_width() / 2
            axes.annotate(
                f"{100 * value:.0f}", (place, top), (0, 2), textcoords="offset points", ha="center", fontsize=7
            )
    if intervals:
        lows, highs = np.array([intervals[f"f1_{emotion}"] for emotion in EMOTIONS]).T
        axes.vlines(places + 0.27, lows, highs, color=INK, linewidth=0.9)
    axes.set_xticks(places, [f"{e}\n{int(per_class[e]['support']):,} pictures" for e in EMOTIONS])
    note = ", with its 95 % interval" if intervals else ""
    axes.set_title(f"Of each three bars: precision (pale), recall, F1 (full{note})")
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.grid(axis="y")
    return figure


def reliability(
    before: Sequence[Mapping[str, float]], after: Sequence[Mapping[str, float]], texts: list[str]
) -> Figure:
    """How often the network is right when it says how sure it is, before and after the temperature.

    Args:
        before: of `metrics.reliability`.
        after: likewise.
        texts: the titles of the two.
    """
    figure = Figure(figsize=(8.4, 4.45))
    for axes, bins, text, shade in zip(
        figure.subplots(1, 2, sharey=True), (before, after), texts, (ORANGE, BLUE), strict=True
    ):
        width = 1 / 15
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
        largest = max(row["count"] for row in bins)
        lows = np.array([row["low"] for row in bins])
        alphas = [0.25 + 0.75 * row["count"] / largest for row in bins]
        bars = axes.bar(lows, [row["accuracy"] for row in bins], width * 0.9, align="edge", color=shade)
        for bar, alpha in zip(bars, alphas, strict=True):
            bar.set_alpha(alpha)
        axes.plot([row["confidence"] for row in bins], [row["accuracy"] for row in bins], ".", color=INK, markersize=4)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", title=text, box_aspect=1)
        axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
        axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
        axes.grid()
    figure.get_layout_engine().set(wspace=0.08)  # type: ignore[union-attr, call-arg]
    figure.axes[0].set_ylabel("of these, right")
    note = "On the dashed line, right as often as it says. The fuller a bar's colour, the more pictures it stands for."
    figure.supxlabel(note, fontsize=8, color=GREY)
    return figure


def coverage(accuracies: NDArray[np.float64], marked: float = 0.8) -> Figure:
    """Accuracy when only the most confident share of the pictures gets an answer.

    Args:
        accuracies: of `metrics.accuracy_by_coverage`, [N].
        marked: the share whose accuracy is written into the chart.
    """
    figure = Figure(figsize=(5.6, 3.6))
    axes = figure.subplots()
    count = len(accuracies)
    shares = np.arange(1, count + 1) / count
    first = min(count - 1, max(20, count // 100))  # on a handful of pictures the accuracy is mere chance
    axes.plot(shares[first:], accuracies[first:], color=BLUE)
    points = {share: accuracies[max(1, round(share * count)) - 1] for share in (marked, 1.0)}
    for share, value in points.items():
        axes.plot(share, value, "o", color=BLUE, markersize=6, markeredgecolor="white", clip_on=False)
        text = f"{100 * value:.1f} % right of " + (f"the surest {100 * share:.0f} %" if share < 1 else "all")
        axes.annotate(text, (share, value), (-6, -12), textcoords="offset points", ha="right", color=BLUE)
    axes.set(
        xlim=(0, 1.01), xlabel="share of the pictures answered, the most confident first", ylabel="of these, right"
    )
    shown = [*accuracies[first:], *points.values()]  # with few pictures a marked share lies before the curve
    low, high = float(min(shown)), float(max(shown))
    axes.set_ylim(low - 0.14 * max(high - low, 0.1), min(1.005, high + 0.03))
    axes.set_title("Accuracy against coverage: when only the surest answers count")
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.grid()
    return figure


def distribution(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """Pictures per expression in each split.

    Args:
        counts: split -> emotion -> number.
    """
    figure = Figure(figsize=(3.3 * len(counts) + 1, 3.2))
    for axes, (split, numbers) in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts.items(), strict=True):
        values = [numbers[emotion] for emotion in EMOTIONS]
        total = sum(values)
        bars = axes.barh(EMOTIONS, values, 0.72, color=[colour(emotion) for emotion in EMOTIONS])
        axes.bar_label(bars, [f"{n:,}  ({100 * n / max(total, 1):.1f} %)" for n in values], padding=3, fontsize=7.5)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.42 * max(values))
        axes.set_title(f"{split}: {total:,} pictures")
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
    return figure
