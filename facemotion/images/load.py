"""The only decoder of untrusted images: any source to upright RGB, or an InputError.

The format is detected from the first bytes, and only its decoder is tried. The limits are checked in the header before
any pixel is decoded. No metadata is kept, and no global setting of Pillow is changed.
"""

from __future__ import annotations

import math
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.AvifImagePlugin import SUPPORTED as AVIF_SUPPORTED
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile
from pillow_heif import HeifImageFile

from facemotion import settings
from facemotion.errors import BadArray, BadShape, CorruptImage, InputError, TooManyPixels, UnsupportedFormat
from facemotion.images import avif, color, hevc, sanitize, sniff, sources

Pixels = npt.NDArray[np.uint8]
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | npt.NDArray[Any]
"""Sources of `load`: a path or `data:` URL, the bytes of a file, a PIL image, an array."""

_STRIP_PIXELS = 2_000_000  # converted at a time, so that a large image is never in memory twice
_LARGE_PIXELS = 17_000_000  # a JPEG that has more when reduced to about MAX_SIDE may be decoded somewhat smaller still
_WORTH_DRAFT = 2 / 3  # of MAX_SIDE must then be left: 6000 x 4000 -> 3000 x 2000, not 4160 -> 2080
_USUAL_PIXELS = 50_000_000  # default of settings.MAX_PIXELS; the next limits scale with it
_PIXELS_AT_ONCE = 25_000_000  # of WebP, AVIF and transparent HEIC, whose decoders hold 16 bytes a pixel: 400 MB
_DEEP_PIXELS = 33_000_000  # of HEIC with 10 bits and full colours, as cameras' .HIF: 15 bytes; 9 of other opaque HEIC
_CODED_RENDERINGS = 3  # of a photo in an AVIF: its colours, its opacity, and another rendering
_ORIENTATION, _SHORT = 0x0112, 3  # the tag and its type: EXIF 2.32, table 4

# Transforms of the stored image to upright (EXIF 2.32, orientation 1 to 8).
_UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: pixels[::-1].transpose(1, 0, 2),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: pixels[:, ::-1].transpose(1, 0, 2),
}
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "HEIC": HeifImageFile,  # its decoder applies the orientation
}
if AVIF_SUPPORTED:
    _READERS["AVIF"] = AvifImageFile


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image: upright RGB, uint8 [H, W, 3].

    `source_size` is the (width, height) before it was reduced and turned, of HEIC already turned; `decode_ms` the time
    in milliseconds.
    """

    pixels: Pixels
    source_size: tuple[int, int]
    decode_ms: float = 0.0


def load(source: Source | None) -> Pixels:
    """Decode an image: upright RGB uint8 [H, W, 3], a fresh, contiguous and writable array.

    `source` is a path of this machine, the bytes of a file, a `data:` URL in base64, a PIL image, or an array:

    - uint8 [H, W], [H, W, 1] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGB and opacity, laid over white);
    - other integers, of the same shapes, when all lie in 0..255;
    - floats, of the same shapes, when all lie in 0..1, which is taken as the full range.

    OpenCV's arrays are BGR, which cannot be told from RGB: convert them first with `array[:, :, ::-1]`.
    The longer side is reduced to settings.MAX_SIDE. Of an animation the first frame is read. URLs are never fetched.

    Raises:
        InputError: one of its kinds; its message says what is wrong and what to do.
    """
    return load_picture(source).pixels


def load_picture(source: Source | None) -> Picture:
    """`load`, with the size of the image in its file.

    Raises:
        InputError: one of its kinds; its message says what is wrong and what to do.
    """
    started = time.perf_counter()
    try:
        picture = _read(source)
    except MemoryError:
        raise TooManyPixels("There is not enough memory for this picture. Please reduce it first.") from None
    return replace(picture, decode_ms=(time.perf_counter() - started) * 1e3)


def _read(source: Source | None) -> Picture:
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_image(source)
    return _from_bytes(sources.read(source))


def _from_bytes(data: bytes) -> Picture:
    name = sniff.sniff(data)
    try:
        container = sanitize.strip(name, data)
        image = _open(name, container.data)
        source_size = image.size
        _check_size(*source_size, _limit(name, image, container.data))
        _draft(image)
        image.load()
        return _upright(image, source_size, container.exif)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow raises many types for damaged files
        raise CorruptImage(f"This {name} picture is damaged or breaks off. Please choose the photo again.") from error


def _open(name: str, data: bytes) -> Image.Image:
    reader = _READERS.get(name)
    if reader is None:  # a Pillow that was built without AVIF
        raise UnsupportedFormat(f"{name} pictures cannot be read here. Please save this one as a JPEG.")
    if name == "WEBP":
        _check_size(*sanitize.webp_size(data), _limit(name))
    if name == "AVIF":
        for pixels, limit in zip(
            avif.coded_pixels(data), (_limit(name), _CODED_RENDERINGS * _limit(name)), strict=True
        ):
            if pixels > limit:
                raise _too_many(pixels, limit)
    return reader(BytesIO(data))


def _limit(name: str, image: Image.Image | None = None, data: bytes = b"") -> int:
    """Pixel limit of a format; for HEIC, it depends on how `image` is coded in `data`."""
    if name == "HEIC" and image is not None and image.mode in ("L", "RGB"):
        usual = _DEEP_PIXELS if hevc.is_deep(data) else _USUAL_PIXELS
    else:
        usual = _PIXELS_AT_ONCE if name in ("WEBP", "AVIF", "HEIC") else _USUAL_PIXELS
    return max(min(usual, settings.MAX_PIXELS), settings.MAX_PIXELS * usual // _USUAL_PIXELS)


def _check_size(width: int, height: int, limit: int) -> None:
    """Check the size in the header, before any pixel is decoded; `limit` is in pixels."""
    long, short = max(width, height), min(width, height)
    if width * height > limit:
        raise _too_many(width * height, limit)
    if short < settings.MIN_SIDE:
        raise BadShape(
            f"This picture has {width} x {height} pixels, too few for a face: "
            f"each side needs {settings.MIN_SIDE} or more. Please choose a larger one."
        )
    if long > short * settings.MAX_ASPECT:
        raise BadShape(
            f"This picture has {width} x {height} pixels, too thin for a face: the long side may have up to "
            f"{settings.MAX_ASPECT} times the short one. Please crop it."
        )


def _too_many(pixels: int, limit: int) -> TooManyPixels:
    return TooManyPixels(
        f"This picture has {pixels / 1e6:.0f} megapixels; up to {limit / 1e6:g} are read. Please reduce it first."
    )


def _draft(image: Image.Image) -> None:
    """Decode a large JPEG at 1/2, 1/4 or 1/8 where that leaves about MAX_SIDE.

    An image that is long and low, such as 6000 x 2000, has few pixels to save, and small faces to lose.
    """
    if not isinstance(image, JpegImageFile):
        return
    for divisor in (8, 4, 2):
        many = 4 * image.width * image.height / divisor**2 > _LARGE_PIXELS  # at half the divisor
        enough = settings.MAX_SIDE * (_WORTH_DRAFT if many else 1)
        if max(image.size) > settings.MAX_SIDE and max(image.size) / divisor >= enough:
            image.draft(None, (image.width // divisor, image.height // divisor))
            return


def _from_image(image: Image.Image) -> Picture:
    """Convert a PIL image; an image file that is not yet decoded must have a supported format."""
    _check_size(*image.size, settings.MAX_PIXELS)
    if isinstance(image, ImageFile.ImageFile) and image.format not in (*_READERS, "MPO", "HEIF"):
        raise UnsupportedFormat(f"{image.format} pictures are not read here. Please convert it with .convert('RGB').")
    try:
        image.load()
        return _upright(image, image.size)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # as in _from_bytes
        raise CorruptImage("This picture is damaged or breaks off. Please choose the photo again.") from error


def _upright(image: Image.Image, source_size: tuple[int, int], exif: bytes | None = None) -> Picture:
    turn = _UPRIGHT[_orientation(exif or image.info.get("exif"))]
    return Picture(np.ascontiguousarray(turn(_to_array(image))), source_size)


def _orientation(exif: object) -> int:
    """1 to 8; 1 where EXIF is absent, malformed or silent about it.

    Only this one number is ever read from EXIF, as a TIFF's first directory holds it (EXIF 2.32, sections 4.5 and 4.6).
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and value in _UPRIGHT else 1
    except struct.error:
        return 1
    return 1


def _to_array(image: Image.Image) -> Pixels:
    """RGB uint8 [H, W, 3] with sides up to MAX_SIDE, converted strip by strip to bound the memory."""
    scale = max(1.0, max(image.size) / settings.MAX_SIDE)
    width, height = max(1, round(image.width / scale)), max(1, round(image.height / scale))
    pixels = np.empty((height, width, 3), np.uint8)
    transform, white = color.srgb_transform(image), color.white_level(image)
    rows = max(1, int(_STRIP_PIXELS / (image.width * scale)))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = _strip(image, lambda part: color.flatten(part, transform, white), (width, height), (top, bottom))
        pixels[top:bottom] = np.asarray(color.correct(strip, transform))
    return pixels


def _strip(
    image: Image.Image, flatten: Callable[[Image.Image], Image.Image], size: tuple[int, int], rows: tuple[int, int]
) -> Image.Image:
    """Rows `rows` as RGB, reduced to `size`; the crop includes the margin that the filter needs."""
    scale = image.height / size[1]
    top, bottom = rows[0] * scale, min(rows[1] * scale, image.height)
    reach = math.ceil(scale) + 1 if size != image.size else 0
    first, last = max(0, math.floor(top) - reach), min(image.height, math.ceil(bottom) + reach)
    strip = flatten(image.crop((0, first, image.width, last)))
    if size == image.size:
        return strip
    box = (0, top - first, image.width, bottom - first)
    return strip.resize((size[0], rows[1] - rows[0]), Image.Resampling.BILINEAR, box)


def _from_array(array: npt.NDArray[Any]) -> Picture:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or array.size == 0:
        raise BadArray(
            f"An array has to be [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], but this one is {list(array.shape)}."
        )
    height, width = array.shape[:2]
    _check_size(width, height, settings.MAX_PIXELS)
    pixels = _to_uint8(array)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3 and pixels.shape[2] == 3 and max(width, height) <= settings.MAX_SIDE:
        return Picture(np.array(pixels, order="C"), (width, height))
    return Picture(_to_array(Image.fromarray(np.ascontiguousarray(pixels))), (width, height))


def _to_uint8(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.asarray(array)
    if array.dtype.kind not in "iuf":
        raise BadArray(f"An array has to hold uint8 or floats, but this one holds {array.dtype}.")
    low, high = array.min(), array.max()  # NaN makes both NaN, which is in no range
    full = 255 if array.dtype.kind in "iu" else 1
    if not (low >= 0 and high <= full):
        raise BadArray(
            f"An array of {array.dtype} has to lie in 0..{full}, without NaN, but this one goes from {low} to {high}. "
            "Please convert it to uint8."
        )
    if full == 255:
        return array.astype(np.uint8)
    pixels = np.empty(array.shape, np.uint8)
    for row, values in zip(pixels, array, strict=True):  # row by row: no second array of floats
        row[:] = np.rint(values.astype(np.float32) * 255)
    return pixels
