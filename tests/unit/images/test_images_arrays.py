"""The only decoder, given what Python holds already: arrays and PIL images."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from facemotion import images
from facemotion.errors import BadArray, BadShape, InputError, TooManyPixels, UnsupportedFormat
from tests.support.media.bad_inputs import assert_helpful, assert_picture
from tests.support.media.crafted import encoded, scene

Pixels = npt.NDArray[np.uint8]

GREY = np.tile(np.arange(40, dtype=np.uint8) * 6, (30, 1))
RGB = np.stack([GREY, GREY // 2, 255 - GREY], -1)
ARRAYS = [
    ("2-D", GREY, np.stack([GREY] * 3, -1)),
    ("one channel", GREY[:, :, None], np.stack([GREY] * 3, -1)),
    ("RGB", RGB, RGB),
    ("on white", np.dstack([RGB, np.zeros_like(GREY)]), np.full_like(RGB, 255)),
    ("opaque", np.dstack([RGB, np.full_like(GREY, 255)]), RGB),
    ("float", RGB / 255, RGB),
    ("float16", (RGB / 255).astype(np.float16), RGB),
    ("int64", RGB.astype(np.int64), RGB),
    ("not contiguous", RGB[::-1, ::2], RGB[::-1, ::2]),
    ("Fortran's order", np.asfortranarray(RGB), RGB),
    ("float, not contiguous", (RGB / 255)[:, ::-2], RGB[:, ::-2]),
]


@pytest.mark.parametrize(("array", "expected"), [row[1:] for row in ARRAYS], ids=[row[0] for row in ARRAYS])
def test_arrays_with_a_plain_meaning(array: npt.NDArray[np.generic], expected: Pixels) -> None:
    array = array.view()
    array.flags.writeable = False
    before = array.copy()
    pixels = images.load(array)
    assert_picture(pixels)
    assert np.array_equal(pixels, expected)
    assert not np.shares_memory(pixels, array) and np.array_equal(array, before)


NAN = np.full((30, 30), np.nan)
BAD_ARRAYS = [
    ("empty", np.zeros((0, 30, 3), np.uint8), BadArray),
    ("no dimension", np.array(3), BadArray),
    ("1-D", np.zeros(900, np.uint8), BadArray),
    ("4-D", np.zeros((1, 30, 30, 3), np.uint8), BadArray),
    ("two channels", np.zeros((30, 30, 2), np.uint8), BadArray),
    ("channels first", np.zeros((3, 30, 30), np.uint8), BadArray),
    ("NaN", NAN, BadArray),
    ("one NaN", np.where(np.eye(30) > 0, NAN, 0.5), BadArray),
    ("infinite", np.full((30, 30), np.inf), BadArray),
    ("float to 255", np.full((30, 30), 255.0), BadArray),
    ("below 0", np.full((30, 30), -1), BadArray),
    ("16 bits", np.full((30, 30), 40000, np.uint16), BadArray),
    ("bool", np.ones((30, 30), bool), BadArray),
    ("complex", np.ones((30, 30), complex), BadArray),
    ("objects", np.full((30, 30), None), BadArray),
    ("text", np.full((30, 30), "x"), BadArray),
    ("too small", np.zeros((5, 5), np.uint8), BadShape),
    ("too thin", np.zeros((10, 9000), np.uint8), BadShape),
    ("too many", np.broadcast_to(np.uint8(0), (9000, 9000)), TooManyPixels),
]


@pytest.mark.parametrize(("array", "error"), [row[1:] for row in BAD_ARRAYS], ids=[row[0] for row in BAD_ARRAYS])
def test_arrays_without_a_plain_meaning(array: npt.NDArray[np.generic], error: type[InputError]) -> None:
    with pytest.raises(error) as caught:
        images.load(array)
    assert_helpful(caught.value)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_pil_images_of_every_mode(mode: str) -> None:
    assert_picture(images.load(Image.new(mode, (20, 30))))


@pytest.mark.parametrize("mode", ["LAB", "I", "F"])
def test_pil_images_whose_range_is_not_plain(mode: str) -> None:
    with pytest.raises(UnsupportedFormat, match=mode):
        images.load(Image.new(mode, (20, 30)))


def test_a_pil_image_of_a_forbidden_file_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.open(BytesIO(encoded(scene(), "EPS")))
    monkeypatch.setattr(type(image), "load", lambda *_, **__: pytest.fail("Ghostscript would have been started"))
    with pytest.raises(UnsupportedFormat, match="EPS"):
        images.load(image)
