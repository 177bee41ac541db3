"""Pictures of faces that are hard to find, or many, cut out of the example photos; and how many faces may be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageOps

from tests.support.media.compose_examples import photo
from tests.support.media.crafted import encoded, scene

HEAD = (136, 30, 316, 210)  # of astronaut.png; its face is a fifth of the photo wide
FACE = (180, 70, 270, 176)


@dataclass(frozen=True)
class Composition:
    """`faces` are the numbers of faces that are right answers."""

    name: str
    compose: Callable[[], Image.Image]
    faces: tuple[int, ...]

    def __str__(self) -> str:
        return self.name

    def png(self) -> bytes:
        return encoded(self.compose(), "PNG", compress_level=1)


def head(side: int) -> Image.Image:
    return photo("astronaut.png").crop(HEAD).resize((side, side), Image.Resampling.LANCZOS)


def hundred() -> Image.Image:
    """A wall of ten by ten heads, every other one mirrored."""
    wall, one = Image.new("RGB", (1280, 1280)), head(128)
    for index in range(100):
        row, column = divmod(index, 10)
        wall.paste(ImageOps.mirror(one) if (row + column) % 2 else one, (128 * column, 128 * row))
    return wall


def twelve_pixels() -> Image.Image:
    """A face 12 pixels wide in the middle of a wall."""
    scale = 12 / (FACE[2] - FACE[0])
    small = head(round((HEAD[2] - HEAD[0]) * scale))
    wall = Image.new("RGB", (640, 480), (200, 195, 185))
    wall.paste(small, (310, 230))
    return wall


FACES = (
    Composition("nobody.png", lambda: scene(640, 480), (0,)),
    Composition("hundred.png", hundred, (100,)),
    Composition("over-the-edge.png", lambda: photo("astronaut.png").crop((215, 0, 512, 512)), (1,)),
    Composition("filling.png", lambda: photo("astronaut.png").crop(FACE).resize((540, 636)), (1,)),
    Composition("twelve-pixels.png", twelve_pixels, (0, 1)),
    Composition("upside-down.png", lambda: photo("astronaut.png").rotate(180), (0, 1)),
)
