"""Composes the example pictures group.jpg, small.jpg and rotated.jpg from the three example photos.

    python -m tests.support.media.compose_examples            # writes them into facemotion/assets/examples

The same photos give the same pictures; only Pillow's JPEG encoder decides on the bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

FOLDER = Path(__file__).resolve().parents[3] / "facemotion" / "assets" / "examples"
SIZE = (1280, 720)
WALL = (206, 200, 190)
QUALITY = 88
ORIENTATION, TURN_RIGHT = 0x0112, 6  # EXIF 2.32: "turn the stored picture by 90 degrees clockwise to see it upright"

# file: the width of its face in pixels, as the embedded detector draws it
FACE_WIDTHS = {"astronaut.png": 90, "fr_obama.jpg": 241, "grace_hopper.jpg": 170}


def photo(name: str) -> Image.Image:
    with Image.open(FOLDER / name) as image:
        return image.convert("RGB")


def group() -> Image.Image:
    """The three photos side by side, each face of another size: about 155, 220 and 130 pixels wide."""
    picture = Image.new("RGB", SIZE, "white")
    for name, left, width, x0, y0, zoom in (
        ("fr_obama.jpg", 0, 356, 212, 0, 0.64),
        ("grace_hopper.jpg", 360, 560, 53, 20, 1.3),
        ("astronaut.png", 924, 356, 100, 2, 1.42),
    ):
        crop = (x0, y0, x0 + width / zoom, y0 + SIZE[1] / zoom)
        picture.paste(
            photo(name).resize((width, SIZE[1]), Image.Resampling.LANCZOS, box=crop),
            (left, 0),
        )
    return picture


def small() -> Image.Image:
    """Fifteen prints on a wall, their faces 24 to 40 pixels wide; every other round is mirrored."""
    picture = Image.new("RGB", SIZE, WALL)
    names = sorted(FACE_WIDTHS)
    for index in range(15):
        row, column = divmod(index, 5)
        name = names[(index + 2 * row) % len(names)]
        scale = (24 + 16 * index / 14) / FACE_WIDTHS[name]
        print_ = photo(name)
        size = (round(print_.width * scale), round(print_.height * scale))
        print_ = print_.resize(size, Image.Resampling.LANCZOS)
        hang(picture, ImageOps.mirror(print_) if row % 2 else print_, 128 + 256 * column, 110 + 238 * row)
    return picture


def hang(wall: Image.Image, print_: Image.Image, x: int, y: int) -> None:
    """Puts a print with a white border and a soft shadow on the wall, its centre at (x, y)."""
    framed = ImageOps.expand(print_, 5, "white")
    left, top = x - framed.width // 2, y - framed.height // 2
    shadow = Image.new("L", wall.size, 0)
    shadow.paste(110, (left + 3, top + 4, left + 3 + framed.width, top + 4 + framed.height))
    wall.paste((60, 55, 50), mask=shadow.filter(ImageFilter.GaussianBlur(4)))
    wall.paste(framed, (left, top))


def rotated() -> Image.Image:
    """A portrait as a telephone held upright stores it: lying on its side, with the turn noted in its EXIF."""
    upright = photo("fr_obama.jpg").resize((728, 910), Image.Resampling.LANCZOS)
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    lying.getexif()[ORIENTATION] = TURN_RIGHT
    return lying


COMPOSED = {"group.jpg": group, "small.jpg": small, "rotated.jpg": rotated}


def main(folder: Path) -> None:
    for name, compose in COMPOSED.items():
        picture = compose()
        picture.save(folder / name, quality=QUALITY, optimize=True, exif=picture.getexif())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
