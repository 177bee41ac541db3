"""Figures made of pictures: samples, mistakes, pairs that are nearly equal, and the way of a photo. Arrays in,
matplotlib figures out; see `training.expression.figures.charts` for the style."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from facemotion.faces import EMOTIONS
from training.common.duplicates import copies
from training.expression.data.dataset import Split
from training.expression.evaluation.metrics import Floats
from training.expression.figures.charts import GREY, INK, colour

TILE = 1.05  # inches a side
SURE_MISTAKES = 24  # shown of the most confident ones

Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """A grey picture, uint8 [H, W], and a line or two under it; the line may have an expression's colour."""

    picture: Pictures
    text: str
    emotion: str | None = None


def samples(split: Split, per_emotion: int = 10, seed: int = 0) -> Figure:
    """A row of random pictures for each emotion, drawn with `seed`."""
    generator = np.random.default_rng(seed)
    figure = Figure(figsize=(per_emotion * 0.85 + 1.1, len(EMOTIONS) * 0.87))
    grid = figure.subplots(len(EMOTIONS), per_emotion, squeeze=False)
    for label, emotion in enumerate(EMOTIONS):
        rows = np.flatnonzero(split.labels == label)
        rows = generator.permutation(rows)[:per_emotion]
        for place, axes in enumerate(grid[label]):
            bare(axes)
            if place < len(rows):
                show(axes, split.pictures[rows[place]])
        # An axis label keeps its room in the layout, unlike free text.
        grid[label][0].set_ylabel(emotion, rotation=0, ha="right", va="center", color=INK, labelpad=6)
    return figure


def mistakes(split: Split, probabilities: Floats, shown: int = SURE_MISTAKES) -> Figure:
    """The pictures on which the network was surest and, by their label, wrong; each once, though it stand twice."""
    wrong = np.flatnonzero(probabilities.argmax(1) != split.labels)
    order = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")]
    rows = order[~copies(split.pictures[order])]
    tiles = [
        Tile(
            split.pictures[row],
            f"{EMOTIONS[said]} {100 * probabilities[row, said]:.0f} %\nlabel: {EMOTIONS[split.labels[row]]}",
            EMOTIONS[said],
        )
        for row in rows[:shown]
        for said in [int(probabilities[row].argmax())]
    ]
    return tile_grid(tiles, 8, f"The surest of {len(wrong):,} mistakes: what the network said, and the label")


def pairs(tiles: Sequence[tuple[Tile, Tile]], title: str) -> Figure:
    """Pictures two by two, four pairs a row."""
    figure = Figure(figsize=(8 * TILE + 0.8, -(-len(tiles) // 4) * (TILE + 0.32) + 0.4))
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    grid = figure.add_gridspec(-(-len(tiles) // 4), 11, width_ratios=[1, 1, 0.12] * 3 + [1, 1])
    for index, both in enumerate(tiles):
        for side, tile in enumerate(both):
            draw(figure.add_subplot(grid[index // 4, index % 4 * 3 + side]), tile)
    return figure


def tile_grid(tiles: Sequence[Tile], columns: int, title: str) -> Figure:
    """Tiles row by row under a title."""
    rows = max(1, -(-len(tiles) // columns))
    figure = Figure(figsize=(columns * TILE, rows * (TILE + 0.32) + 0.4))
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        bare(axes)
        if index < len(tiles):
            draw(axes, tiles[index])
    return figure


def chain(stages: Iterable[tuple[str, Pictures]]) -> Figure:
    """Stages of one photo side by side, each RGB uint8 [H, W, 3] with its caption."""
    listed = list(stages)
    height, width = listed[0][1].shape[:2]
    figure = Figure(figsize=(3.4 * len(listed), 3.4 * height / width + 0.4))
    for axes, (text, picture) in zip(figure.subplots(1, len(listed), squeeze=False)[0], listed, strict=True):
        bare(axes)
        axes.imshow(picture, interpolation="antialiased")
        axes.set_title(text, fontsize=9)
    return figure


def draw(axes: Axes, tile: Tile) -> None:
    """One tile, with a line in the expression's colour between picture and text."""
    bare(axes)
    show(axes, tile.picture)
    axes.set_xlabel(tile.text, fontsize=6.5, labelpad=3)
    if tile.emotion:
        axes.spines["bottom"].set(visible=True, color=colour(tile.emotion), linewidth=3)


def show(axes: Axes, picture: Pictures) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def bare(axes: Axes) -> None:
    """No ticks and no frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.spines[:].set_color(GREY)
