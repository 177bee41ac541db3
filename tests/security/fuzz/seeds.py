"""Small valid files of every kind that is read, from which mutations start; and the repair of what they break."""

from __future__ import annotations

import zlib
from functools import cache

from PIL import Image

from tests.support.media import crafted
from tests.support.media.crafted import PNG_SIGNATURE, chunk, encoded, scene

SIZE = (20, 14)  # just above what is refused as too small, so that a thousand are decoded in a second


@cache
def seeds() -> dict[str, bytes]:
    """Name -> file. The pictures are tiny: what is searched are the ways through the readers, not pixels."""
    picture = scene(*SIZE)
    alpha = picture.convert("RGBA")
    alpha.putalpha(90)
    return {**_jpegs(picture), **_pngs(picture, alpha), **_gifs(picture), **_others(picture, alpha)}


def _jpegs(picture: Image.Image) -> dict[str, bytes]:
    return {
        "exif.jpg": crafted.with_exif(6, "JPEG", picture),
        "progressive.jpg": encoded(picture, "JPEG", progressive=True),
        "restarts.jpg": encoded(picture, "JPEG", restart_marker_blocks=1),
        "cmyk.jpg": encoded(picture.convert("CMYK"), "JPEG"),
        "grey.jpg": encoded(picture.convert("L"), "JPEG"),
        "profile.jpg": encoded(picture, "JPEG", icc_profile=crafted.srgb_profile()),
    }


def _pngs(picture: Image.Image, alpha: Image.Image) -> dict[str, bytes]:
    exif = Image.Exif()
    exif[crafted.ORIENTATION] = 3
    return {
        "exif.png": encoded(picture, "PNG", exif=exif.tobytes(), icc_profile=crafted.srgb_profile()),
        "alpha.png": encoded(alpha, "PNG"),
        "grey-alpha.png": encoded(alpha.convert("LA"), "PNG"),
        "palette.png": encoded(picture.quantize(8), "PNG", transparency=b"\0\x80"),
        "key.png": encoded(picture, "PNG", transparency=(0, 0, 60)),
        "16-bit.png": encoded(Image.new("I;16", SIZE, 30000), "PNG"),
        "1-bit.png": encoded(picture.convert("1"), "PNG"),
        "interlaced.png": _interlaced(),
        "animated.png": encoded(picture, "PNG", save_all=True, append_images=[alpha.convert("RGB")]),
    }


def _interlaced() -> bytes:
    """Adam7, which Pillow cannot write: 16 x 16, grey, all zero (PNG, section 8.2)."""
    passes = ((2, 2), (2, 2), (4, 2), (4, 4), (8, 4), (8, 8), (16, 8))  # (width, height) of each
    rows = b"".join(bytes(1 + width) * height for width, height in passes)
    header = (16).to_bytes(4, "big") * 2 + b"\x08\0\0\0\1"
    return PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _gifs(picture: Image.Image) -> dict[str, bytes]:
    frames = [picture.quantize(4), Image.new("P", SIZE, 1)]
    return {
        "still.gif": encoded(picture.quantize(8), "GIF", transparency=0, comment=b"hello"),
        "animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50),
        "old.gif": encoded(picture.convert("1"), "GIF", interlace=0),
    }


def _others(picture: Image.Image, alpha: Image.Image) -> dict[str, bytes]:
    return {
        "lossy.webp": encoded(alpha, "WEBP"),
        "lossless.webp": crafted.with_exif(8, "WEBP", picture),
        "animated.webp": encoded(picture, "WEBP", save_all=True, append_images=[picture.rotate(90)]),
        "colours.bmp": encoded(picture, "BMP"),
        "palette.bmp": encoded(picture.quantize(8), "BMP"),
        "1-bit.bmp": encoded(picture.convert("1"), "BMP"),
        "alpha.bmp": encoded(alpha, "BMP"),
        "exif.avif": crafted.with_exif(6, "AVIF", picture),
        "alpha.avif": encoded(alpha, "AVIF", icc_profile=crafted.srgb_profile()),
        "animated.avif": encoded(picture, "AVIF", save_all=True, append_images=[picture.rotate(90)]),
    }


def repaired(data: bytes) -> bytes:
    """A PNG with the checksum of every chunk put right, so that mutations reach what lies behind it; others as is."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    parts, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        body = data[position + 8 : position + 8 + length]
        parts.append(data[position : position + 4] + data[position + 4 : position + 8] + body)
        parts.append(zlib.crc32(data[position + 4 : position + 8] + body).to_bytes(4, "big"))
        position += 12 + length
    return b"".join(parts)
