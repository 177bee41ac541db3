"""The size of what is coded in an AVIF, whatever its boxes say of it."""

from __future__ import annotations

import struct
from importlib import import_module
from typing import Any

import pytest

from facemotion import images
from facemotion.errors import CorruptImage, TooManyPixels
from facemotion.images import avif as headers
from tests.support.media.crafted import encoded, scene

LOAD = import_module("facemotion.images.load")  # as an attribute of the package, `load` is the function
PIXELS = 200 * 100


def avif(**options: Any) -> bytes:
    return encoded(scene(200, 100), "AVIF", **options)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0", "4:0:0"])
@pytest.mark.parametrize("speed", [0, 6, 10])
def test_the_pixels_of_a_photo(subsampling: str, speed: int) -> None:
    assert headers.coded_pixels(avif(subsampling=subsampling, speed=speed)) == (PIXELS, PIXELS)


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (255, 257), (1000, 20), (4097, 100)])
def test_any_size(size: tuple[int, int]) -> None:
    pixels = size[0] * size[1]
    assert headers.coded_pixels(encoded(scene(*size), "AVIF", speed=10)) == (pixels, pixels)


def half_transparent() -> bytes:
    picture = scene(200, 100)
    picture.putalpha(90)
    return encoded(picture, "AVIF")


def test_opacity_is_a_picture_of_its_own() -> None:
    assert headers.coded_pixels(half_transparent()) == (PIXELS, 2 * PIXELS)


def test_the_frames_of_an_animation_are_passed_over() -> None:
    """Their sizes stand elsewhere; so long a box as this one's head announces is one that readers understand too."""
    animated = avif(save_all=True, append_images=[scene(200, 100).rotate(180)])
    assert animated[8:12] == b"avis" and headers.stills_only(animated)[8:12] == b"avif"
    size = int.from_bytes(animated[:4], "big")
    longer = b"\0\0\0\1ftyp" + struct.pack(">Q", size + 8) + animated[8:]
    assert headers.stills_only(longer)[16:20] == b"avif"
    assert headers.stills_only(avif()) == avif()
    assert images.load(animated).shape == (100, 200, 3)


def without_places(data: bytes) -> bytes:
    at = data.index(b"iloc")
    return data[: at - 4] + struct.pack(">I", 8) + data[at:]


def many_extents(data: bytes) -> bytes:
    """The one item consists of the whole file 60,000 times; what follows the list is no box any more."""
    at = data.index(b"iloc") + 4
    places = bytes(4) + b"\x44\0\0\1" + struct.pack(">HHH", 1, 0, 60_000) + struct.pack(">II", 0, len(data)) * 60_000
    head = data[: at - 8] + struct.pack(">I", 8 + len(places)) + b"iloc" + places
    meta = head.index(b"meta")
    return head[: meta - 4] + struct.pack(">I", 0) + head[meta:]


def many_units(data: bytes) -> bytes:
    """A million units of no content instead of the picture."""
    at = data.index(b"iloc") + 4
    units = b"\x12\0" * 1_000_000
    places = data[: at + 14] + struct.pack(">II", len(data), len(units)) + data[at + 22 :]
    return places + units


@pytest.mark.parametrize("make", [without_places, many_extents, many_units])
def test_lists_without_end_are_not_walked(make: Any) -> None:
    with pytest.raises(CorruptImage):
        headers.coded_pixels(make(avif()))


@pytest.mark.parametrize("end", range(0, 400, 7))
def test_what_breaks_off_is_damaged_or_short(end: int) -> None:
    try:
        largest, total = headers.coded_pixels(avif()[:end])
    except CorruptImage:
        return
    assert (largest, total) in ((0, 0), (PIXELS, PIXELS))


def test_many_cells_that_say_less_than_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each within the limit: together they would be decoded for minutes."""
    monkeypatch.setattr(LOAD, "_PIXELS_AT_ONCE", PIXELS)
    assert images.load(half_transparent()).shape == (100, 200, 3)
    monkeypatch.setattr(LOAD, "_CODED_RENDERINGS", 1)
    with pytest.raises(TooManyPixels):
        images.load(half_transparent())
