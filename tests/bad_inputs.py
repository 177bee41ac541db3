"""The hostile corpus: one table of files, each with the error it has to end in, or None where it has to be read.

`FILES` holds what any way in can be given (page, client, command line, Python). Everything is made here from nothing,
on demand, the same each time.
"""

from __future__ import annotations

import base64
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from facemotion import settings
from facemotion.errors import (
    BadShape,
    CorruptImage,
    EmptyFile,
    FileTooLarge,
    InputError,
    NotAnImage,
    TooManyPixels,
    UnsupportedFormat,
)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ORIENTATION, GPS_IFD, MAKER = 0x0112, 0x8825, 0x010F
GPS_SECRET = "SECRET-PLACE-51N"
GENEROUS_S = 8  # of processor time; the promise is 2 s on an idle machine, and test machines are busy


@dataclass(frozen=True)
class Case:
    """A file under the name it comes with. `error` is the kind it must be refused with; None: it must be read."""

    row: int
    name: str
    make: Callable[[], bytes]
    error: type[InputError] | None = None

    def __str__(self) -> str:
        return f"{self.row}-{self.name[:40]}"


def assert_picture(pixels: npt.NDArray[np.uint8]) -> None:
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert pixels.flags.c_contiguous and pixels.flags.writeable
    assert max(pixels.shape[:2]) <= settings.MAX_SIDE


def assert_helpful(error: InputError) -> None:
    assert type(error) is not InputError
    assert 20 < len(error.message) < 300
    assert not any(word in error.message for word in ("Traceback", "/tmp", "0x", "site-packages", "errno"))


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """A picture without any symmetry, so that each way of turning it differs: red to the right, green downwards."""
    across = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    down = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([across, down, np.full_like(down, 60)], -1).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@cache
def jpeg() -> bytes:
    return encoded(scene(), "JPEG", quality=90)


@cache
def png() -> bytes:
    return encoded(scene(), "PNG")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@cache
def png_bomb(width: int, height: int) -> bytes:
    """A valid grey PNG, all black, of about a thousandth of its pixels in bytes."""
    rows = height * (width + 1)
    squeeze = zlib.compressobj(9)
    head = squeeze.compress(b"") + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = zlib.compressobj(9, wbits=-15)
    million = block.compress(bytes(1_000_000)) + block.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, wbits=-15)
    tail = rest.compress(bytes(rows % 1_000_000)) + rest.flush()
    stream = head[:2] + million * (rows // 1_000_000) + tail + struct.pack(">I", (rows % 65521) << 16 | 1)  # Adler-32
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def with_exif(orientation: int, kind: str = "JPEG", image: Image.Image | None = None) -> bytes:
    """A file that says it has to be turned by `orientation`."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    return encoded(image or scene(), kind, exif=exif.tobytes(), **options)


def with_gps() -> bytes:
    exif = Image.Exif()
    exif[MAKER] = GPS_SECRET
    exif[GPS_IFD] = {1: "N", 2: (51.0, 28.0, 38.0), 27: GPS_SECRET.encode()}
    return encoded(scene(), "JPEG", exif=exif.tobytes(), comment=GPS_SECRET.encode())


def with_profile(profile: bytes) -> bytes:
    return encoded(scene(), "JPEG", icc_profile=profile)


def gif_of_growing_frames() -> bytes:
    small, large = (encoded(Image.new("P", size), "GIF") for size in ((96, 64), (6000, 5000)))
    return small[:-1] + large[large.index(b",", 13) :]


def gif_of_comments() -> bytes:
    """Millions of comments before the first frame: joining them as Pillow does would take hours."""
    gif = encoded(scene().quantize(8), "GIF")
    start = 13 + (3 << (gif[10] & 7) + 1)
    return gif[:start] + b"!\xfe\x01x\x00" * 2_000_000 + gif[start:]


def webp_of_many_frames(count: int = 5000) -> bytes:
    still = encoded(scene(), "WEBP", lossless=True)
    image = still[still.index(b"VP8L") :]
    frame = bytes(6) + _int24(95) + _int24(63) + _int24(20) + b"\0" + image
    chunks = _riff_chunk(b"VP8X", b"\x02\0\0\0" + _int24(95) + _int24(63)) + _riff_chunk(b"ANIM", bytes(6))
    body = b"WEBP" + chunks + _riff_chunk(b"ANMF", frame) * count
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_bomb() -> bytes:
    """A header of 16,000 x 16,000 pixels, for which the decoder would reserve 2 GB."""
    chunks = _riff_chunk(b"VP8X", bytes(4) + _int24(15_999) + _int24(15_999))
    still = encoded(scene(), "WEBP", lossless=True)
    body = b"WEBP" + chunks + still[still.index(b"VP8L") :]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _int24(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _riff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (96, 64), colour) for colour in ((0, 0, 255), (255, 255, 0))]
    return encoded(scene(), kind, save_all=True, append_images=frames, duration=50)


def png_wrong_crc(kind: bytes) -> bytes:
    data = bytearray(png())
    start = data.index(kind)
    length = int.from_bytes(data[start - 4 : start], "big")
    data[start + 4 + length] ^= 0xFF
    return bytes(data)


def png_of_profiles() -> bytes:
    """Thousands of profiles that inflate to a megabyte each."""
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1_000_000), 9))
    return png()[:33] + profile * 5_000 + png()[33:]


def jpeg_of_scans(count: int = 500) -> bytes:
    """A progressive JPEG whose last scan comes again and again, each a walk over the whole picture."""
    data = encoded(Image.new("RGB", (4000, 3000), (9, 90, 200)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def jpeg_of_junk() -> bytes:
    return jpeg()[:20] + bytes(5_000_000) + jpeg()[20:]


def bmp_run_length() -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, 64, 64, 1, 8, 1, 0, 0, 0, 256, 0)
    pixels = b"\x40\x05\0\0" * 64 + b"\0\1"
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(pixels), 0, 0, 54 + 1024) + header + bytes(1024) + pixels


def malformed_exif() -> list[tuple[str, bytes]]:
    """EXIF that breaks off, points outside itself, points at itself, or is noise."""
    loop = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 0x8769, 4, 1, 8)
    bodies = {
        "empty": b"Exif\0\0",
        "broken-off": b"Exif\0\0II*\0",
        "outside": b"Exif\0\0MM\0*\xff\xff\xff\xff",
        "loop": loop,
        "noise": b"Exif\0\0" + random.Random(3).randbytes(500),
        "orientation-9": b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", ORIENTATION, 3, 1, 9, 0) + bytes(4),
        "orientation-text": b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI4s", ORIENTATION, 2, 4, b"six\0"),
    }
    return [
        (name, jpeg()[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg()[2:])
        for name, body in bodies.items()
    ]


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


@cache
def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _zip() -> bytes:
    return b"PK\x03\x04" + random.Random(1).randbytes(3000) + b"PK\x05\x06" + bytes(18)


def _cut(data: bytes, tenths: int) -> bytes:
    return data[: len(data) * tenths // 10]


def _mp4() -> bytes:
    return b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41" + bytes(500)


def _heif(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + bytes(4) + b"mif1" + brand + bytes(500)


_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(%pipe%touch /tmp/pwned) (w) file\nshowpage\n"
_SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
_PSD = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 64, 64, 8, 3) + bytes(20000)
_FITS = b"SIMPLE  =                    T" + b" " * 2850

REFUSED: tuple[Case, ...] = (
    Case(2, "nothing.jpg", lambda: b"", EmptyFile),
    Case(3, "text.png", lambda: b"Dear all,\nthis is not a photo.\n" * 9, NotAnImage),
    Case(3, "unicode.png", lambda: "Grüße aus Köln, здравствуйте\n".encode() * 9, NotAnImage),
    Case(3, "bmw.bmp", lambda: b"BMW builds cars and motorcycles in Munich.\n", NotAnImage),
    Case(3, "page.jpg", lambda: b"<!DOCTYPE html><html><body>404</body></html>", NotAnImage),
    Case(3, "paper.png", lambda: b"%PDF-1.7\n1 0 obj\n", NotAnImage),
    Case(3, "film.jpg", _mp4, NotAnImage),
    Case(3, "archive.png", _zip, NotAnImage),
    Case(3, "noise.png", lambda: b"\x01" + random.Random(5).randbytes(5000), NotAnImage),
    Case(4, "noise.jpg", lambda: jpeg()[:4] + random.Random(2).randbytes(5000), CorruptImage),
    Case(4, "noise-after-header.jpg", lambda: b"\xff\xd8\xff\xe0" + random.Random(4).randbytes(300), CorruptImage),
    *(Case(5, f"cut-{n}.jpg", lambda n=n: _cut(jpeg(), n), CorruptImage) for n in range(1, 10)),
    *(Case(5, f"cut-{n}.png", lambda n=n: _cut(png(), n), CorruptImage) for n in range(1, 10)),
    *(Case(5, f"cut-{n}.webp", lambda n=n: _cut(encoded(scene(), "WEBP"), n), CorruptImage) for n in (2, 5, 9)),
    *(Case(5, f"cut-{n}.gif", lambda n=n: _cut(encoded(scene(), "GIF"), n), CorruptImage) for n in (2, 5, 9)),
    *(Case(5, f"cut-{n}.bmp", lambda n=n: _cut(encoded(scene(), "BMP"), n), CorruptImage) for n in (2, 5, 9)),
    Case(5, "end-missing.png", lambda: png()[:-12], CorruptImage),
    *(
        Case(5, f"crc-{kind.decode()}.png", lambda k=kind: png_wrong_crc(k), CorruptImage)
        for kind in (b"IHDR", b"IDAT")
    ),
    Case(5, "header.jpg", lambda: jpeg()[:20], CorruptImage),
    Case(5, "header.png", lambda: png()[:33], CorruptImage),
    Case(5, "signature.png", lambda: PNG_SIGNATURE, CorruptImage),
    Case(7, "drawing.svg", lambda: _SVG, UnsupportedFormat),
    Case(7, "drawing.png", lambda: _SVG, UnsupportedFormat),
    Case(8, "print.png", lambda: _EPS, UnsupportedFormat),
    Case(9, "tiff.jpg", lambda: encoded(scene(), "TIFF"), UnsupportedFormat),
    Case(9, "psd.jpg", lambda: _PSD, UnsupportedFormat),
    Case(9, "fits.png", lambda: _FITS, UnsupportedFormat),
    Case(9, "jp2.jpg", lambda: encoded(scene(), "JPEG2000"), UnsupportedFormat),
    Case(9, "j2k.jpg", lambda: b"\xff\x4f\xff\x51" + bytes(100), UnsupportedFormat),
    Case(9, "netpbm.png", lambda: encoded(scene(), "PPM"), UnsupportedFormat),
    Case(10, "bomb-60.png", lambda: png_bomb(7746, 7746), TooManyPixels),
    Case(10, "bomb-144.png", lambda: png_bomb(12000, 12000), TooManyPixels),
    Case(10, "bomb-400.png", lambda: png_bomb(20000, 20000), TooManyPixels),
    Case(10, "bomb.webp", webp_bomb, TooManyPixels),
    Case(12, "one-pixel.png", lambda: encoded(scene(1, 1), "PNG"), BadShape),
    Case(12, "thread.png", lambda: encoded(scene(60000, 1), "PNG"), BadShape),
    Case(12, "thin.png", lambda: encoded(scene(6000, 20), "PNG"), BadShape),
    Case(13, "long.jpg", lambda: jpeg() + bytes(settings.MAX_FILE_BYTES), FileTooLarge),
    Case(20, "comments.gif", gif_of_comments, CorruptImage),
    Case(20, "scans.jpg", jpeg_of_scans, CorruptImage),
    Case(20, "junk.jpg", jpeg_of_junk, CorruptImage),
    Case(20, "runs.bmp", bmp_run_length, UnsupportedFormat),
)

READ: tuple[Case, ...] = (
    Case(6, "zip-appended.jpg", lambda: jpeg() + _zip()),
    Case(11, "phone.jpg", lambda: encoded(scene(6000, 4000), "JPEG")),
    *(Case(15, f"turned-{n}.jpg", lambda n=n: with_exif(n)) for n in range(1, 9)),
    *(Case(16, f"exif-{name}.jpg", lambda data=data: data) for name, data in malformed_exif()),
    Case(17, "gps.jpg", with_gps),
    Case(18, "alpha.png", lambda: encoded(scene().convert("RGBA"), "PNG")),
    Case(18, "grey-alpha.png", lambda: encoded(scene().convert("LA"), "PNG")),
    Case(18, "palette-alpha.png", lambda: encoded(scene().quantize(8), "PNG", transparency=b"\0\x80\xff")),
    Case(18, "palette-hole.gif", lambda: encoded(scene().quantize(8), "GIF", transparency=0)),
    Case(19, "grey.jpg", lambda: encoded(scene().convert("L"), "JPEG")),
    Case(19, "grey.png", lambda: encoded(scene().convert("L"), "PNG")),
    Case(19, "bits.png", lambda: encoded(scene().convert("1"), "PNG")),
    Case(19, "grey-16.png", lambda: encoded(Image.new("I;16", (96, 64), 30000), "PNG")),
    Case(19, "cmyk.jpg", lambda: encoded(scene().convert("CMYK"), "JPEG")),
    Case(19, "srgb.jpg", lambda: with_profile(srgb_profile())),
    Case(19, "profile-noise.jpg", lambda: with_profile(random.Random(6).randbytes(600))),
    Case(19, "profile-cut.jpg", lambda: with_profile(srgb_profile()[:200])),
    Case(19, "profiles.png", png_of_profiles),
    Case(20, "animated.gif", lambda: animated("GIF")),
    Case(20, "animated.webp", lambda: animated("WEBP")),
    Case(20, "animated.png", lambda: animated("PNG")),
    Case(20, "growing.gif", gif_of_growing_frames),
    Case(20, "frames.webp", webp_of_many_frames),
    Case(21, "picture.bmp", lambda: encoded(scene(), "BMP")),
    Case(21, "picture.avif", lambda: encoded(scene(), "AVIF")),
    *(Case(23, name, jpeg) for name in ("фото 😀.jpg", "a" * 200 + ".jpg", "no-extension", "photo.txt", "-rf.jpg")),
)

FILES: tuple[Case, ...] = REFUSED + READ
"""Every file of the corpus; HEIC stands apart, as reading it depends on what is installed."""


def heic_header() -> bytes:
    """The first bytes of a phone's HEIC, and nothing after them."""
    return _heif(b"heic")
