"""How deep the images in a HEIC are coded, whatever its boxes say of it."""

from __future__ import annotations

import pytest

from facemotion import images
from facemotion.errors import CorruptImage, TooManyPixels
from facemotion.images import hevc
from tests.support.media.crafted import heic_of

LIMIT_DEEP, LIMIT = 4100, 6200  # rows of 8000 pixels, just below 33 and 50 megapixels


@pytest.mark.parametrize(
    ("mode", "bits", "chroma", "deep"),
    [
        *(("RGB", 8, 420, False), ("RGB", 8, 444, False), ("RGB", 10, 420, False), ("L", 10, 420, False)),
        *(("RGB", 10, 422, True), ("RGB", 10, 444, True), ("RGBA", 10, 444, True)),
    ],
)
def test_depth_and_colours(mode: str, bits: int, chroma: int, deep: bool) -> None:
    assert hevc.is_deep(heic_of(LIMIT, mode, bits, chroma)) is deep


def lying(height: int) -> bytes:
    """10 bits and full colours, of which the configuration says 8 and 4:2:0."""
    heic = bytearray(heic_of(height, "RGB", 10, 444))
    start = heic.index(b"hvcC") + 4
    heic[start + 16 : start + 19] = bytes([0xFC | 1, 0xF8, 0xF8])
    return bytes(heic)


def test_a_header_that_lies_about_the_depth_does_not_raise_the_limit() -> None:
    """The decoder would notice when it had taken 12 bytes for each of 50 million pixels."""
    with pytest.raises(TooManyPixels, match="up to 33 are read"):
        images.load(lying(LIMIT))
    with pytest.raises(CorruptImage):
        images.load(lying(LIMIT_DEEP))


def test_a_set_of_parameters_in_the_image_itself_counts_too() -> None:
    """Decoders take the latest; here a deep one is renamed in the configuration and stands before the image."""
    heic = lying(LIMIT)
    unit = next(unit for unit in hevc._units(heic) if unit[0] >> 1 == 33)
    start = heic.index(unit)
    hidden = heic[:start] + bytes([40 << 1]) + heic[start + 1 :]
    assert not hevc.is_deep(hidden)
    mdat = hidden.index(b"mdat") + 4
    moved = hidden[:mdat] + len(unit).to_bytes(4, "big") + unit + hidden[mdat + 4 + len(unit) :]
    assert hevc.is_deep(moved)


def test_what_cannot_be_walked_counts_as_deep() -> None:
    assert hevc.is_deep(heic_of(LIMIT, "RGB", 8, 420) + b"\0\0\0\1junk")
