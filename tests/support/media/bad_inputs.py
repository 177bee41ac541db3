"""The hostile corpus: one table of files, each with the error it has to end in, or None where it has to be read.

`FILES` holds what any way in can be given: page, client, REST, command line, Python. Everything is made by
tests/support/media/crafted.py, on demand.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

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
from tests.support.media import crafted
from tests.support.media.crafted import cut, encoded, jpeg, png, scene

GENEROUS_S = 8  # of processor time; the promise is 2 s on an idle machine, and test machines are busy


@dataclass(frozen=True)
class Case:
    """A file under the name it comes with. `error` is the kind it must be refused with; None: it must be read.

    `row` groups what is alike: 2 empty, 3 no picture, 4 noise, 5 damaged, 6 more than a picture, 7 to 9 pictures of
    kinds that are not read, 10 bombs, 11 and 12 sizes, 13 long files, 15 to 17 EXIF, 18 and 19 colours, 20 animations
    and what is slow, 21 newer formats, 23 names.
    """

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


KINDS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")  # of files with EXIF, as Pillow names them

REFUSED: tuple[Case, ...] = (
    Case(2, "nothing.jpg", lambda: b"", EmptyFile),
    Case(3, "text.png", lambda: b"Dear all,\nthis is not a photo.\n" * 9, NotAnImage),
    Case(3, "unicode.png", lambda: "Grüße aus Köln, здравствуйте\n".encode() * 9, NotAnImage),
    Case(3, "bmw.bmp", lambda: b"BMW builds cars and motorcycles in Munich.\n", NotAnImage),
    Case(3, "page.jpg", lambda: b"<!DOCTYPE html><html><body>404</body></html>", NotAnImage),
    Case(3, "paper.png", lambda: b"%PDF-1.7\n1 0 obj\n", NotAnImage),
    Case(3, "film.jpg", crafted.mp4, NotAnImage),
    Case(3, "archive.png", crafted.zip_file, NotAnImage),
    Case(3, "noise.png", lambda: b"\x01" + random.Random(5).randbytes(5000), NotAnImage),
    Case(4, "noise.jpg", lambda: jpeg()[:4] + random.Random(2).randbytes(5000), CorruptImage),
    Case(4, "noise-after-header.jpg", lambda: b"\xff\xd8\xff\xe0" + random.Random(4).randbytes(300), CorruptImage),
    *(Case(5, f"cut-{n}.jpg", lambda n=n: cut(jpeg(), n), CorruptImage) for n in range(1, 10)),
    *(Case(5, f"cut-{n}.png", lambda n=n: cut(png(), n), CorruptImage) for n in range(1, 10)),
    *(Case(5, f"cut-{n}.webp", lambda n=n: cut(encoded(scene(), "WEBP"), n), CorruptImage) for n in (2, 5, 9)),
    *(Case(5, f"cut-{n}.gif", lambda n=n: cut(encoded(scene(), "GIF"), n), CorruptImage) for n in (2, 5, 9)),
    *(Case(5, f"cut-{n}.bmp", lambda n=n: cut(encoded(scene(), "BMP"), n), CorruptImage) for n in (2, 5, 9)),
    *(Case(5, f"cut-{n}.avif", lambda n=n: cut(encoded(scene(), "AVIF"), n), CorruptImage) for n in (2, 5, 9)),
    *(Case(5, f"cut-{n}.heic", lambda n=n: cut(encoded(scene(), "HEIF"), n), CorruptImage) for n in (2, 5, 9)),
    Case(5, "header.heic", crafted.heic_header, CorruptImage),
    Case(5, "header.bmp", lambda: encoded(scene(), "BMP")[:20], CorruptImage),
    Case(5, "end-missing.png", lambda: png()[:-12], CorruptImage),
    *(
        Case(5, f"crc-{kind.decode()}.png", lambda k=kind: crafted.png_wrong_crc(k), CorruptImage)
        for kind in (b"IHDR", b"IDAT")
    ),
    Case(5, "header.jpg", lambda: jpeg()[:20], CorruptImage),
    Case(5, "header.png", lambda: png()[:33], CorruptImage),
    Case(5, "signature.png", lambda: crafted.PNG_SIGNATURE, CorruptImage),
    Case(7, "drawing.svg", lambda: crafted.SVG, UnsupportedFormat),
    Case(7, "drawing.png", lambda: crafted.SVG, UnsupportedFormat),
    Case(8, "print.png", lambda: crafted.EPS, UnsupportedFormat),
    Case(9, "tiff.jpg", lambda: encoded(scene(), "TIFF"), UnsupportedFormat),
    Case(9, "psd.jpg", lambda: crafted.PSD, UnsupportedFormat),
    Case(9, "fits.png", lambda: crafted.FITS, UnsupportedFormat),
    Case(9, "jp2.jpg", lambda: encoded(scene(), "JPEG2000"), UnsupportedFormat),
    Case(9, "j2k.jpg", lambda: b"\xff\x4f\xff\x51" + bytes(100), UnsupportedFormat),
    Case(9, "netpbm.png", lambda: encoded(scene(), "PPM"), UnsupportedFormat),
    Case(10, "bomb-60.png", lambda: crafted.png_bomb(7746, 7746), TooManyPixels),
    Case(10, "bomb-144.png", lambda: crafted.png_bomb(12000, 12000), TooManyPixels),
    Case(10, "bomb-400.png", lambda: crafted.png_bomb(20000, 20000), TooManyPixels),
    Case(10, "bomb.webp", crafted.webp_bomb, TooManyPixels),
    Case(10, "bomb.gif", crafted.gif_bomb, TooManyPixels),
    Case(10, "bomb.bmp", crafted.bmp_bomb, TooManyPixels),
    Case(10, "bomb.jpg", crafted.jpeg_bomb, TooManyPixels),
    Case(10, "bomb.avif", lambda: crafted.heif_bomb("AVIF"), TooManyPixels),
    Case(10, "lie.avif", crafted.avif_lie, TooManyPixels),
    Case(10, "bomb.heic", lambda: crafted.heif_bomb("HEIF"), TooManyPixels),
    Case(12, "one-pixel.png", lambda: encoded(scene(1, 1), "PNG"), BadShape),
    Case(12, "thread-upright.png", lambda: encoded(scene(1, 60000), "PNG"), BadShape),
    Case(12, "thread.png", lambda: encoded(scene(60000, 1), "PNG"), BadShape),
    Case(12, "thin.png", lambda: encoded(scene(6000, 20), "PNG"), BadShape),
    Case(13, "long.jpg", lambda: jpeg() + bytes(settings.MAX_FILE_BYTES), FileTooLarge),
    Case(20, "comments.gif", crafted.gif_of_comments, CorruptImage),
    Case(20, "scans.jpg", crafted.jpeg_of_scans, CorruptImage),
    Case(20, "junk.jpg", crafted.jpeg_of_junk, CorruptImage),
    Case(20, "runs.bmp", crafted.bmp_run_length, UnsupportedFormat),
)

READ: tuple[Case, ...] = (
    Case(6, "zip-appended.jpg", lambda: jpeg() + crafted.zip_file()),
    Case(11, "phone.jpg", crafted.phone_photo),
    *(Case(15, f"turned-{n}.jpg", lambda n=n: crafted.with_exif(n)) for n in range(1, 9)),
    *(Case(16, f"exif-{name}", lambda data=data: data) for name, data in crafted.malformed_exif().items()),
    *(Case(17, f"gps.{kind.lower()}", lambda k=kind: crafted.with_gps(k)) for kind in KINDS),
    Case(18, "alpha.png", lambda: encoded(scene().convert("RGBA"), "PNG")),
    Case(18, "grey-alpha.png", lambda: encoded(scene().convert("LA"), "PNG")),
    Case(18, "palette-alpha.png", lambda: encoded(scene().quantize(8), "PNG", transparency=b"\0\x80\xff")),
    Case(18, "palette-hole.gif", lambda: encoded(scene().quantize(8), "GIF", transparency=0)),
    Case(19, "grey.jpg", lambda: encoded(scene().convert("L"), "JPEG")),
    Case(19, "grey.png", lambda: encoded(scene().convert("L"), "PNG")),
    Case(19, "bits.png", lambda: encoded(scene().convert("1"), "PNG")),
    Case(19, "grey-16.png", lambda: encoded(Image.new("I;16", (96, 64), 30000), "PNG")),
    Case(19, "cmyk.jpg", lambda: encoded(scene().convert("CMYK"), "JPEG")),
    Case(19, "srgb.jpg", lambda: crafted.with_profile(crafted.srgb_profile())),
    Case(19, "profile-noise.jpg", lambda: crafted.with_profile(random.Random(6).randbytes(600))),
    Case(19, "profile-cut.jpg", lambda: crafted.with_profile(crafted.srgb_profile()[:200])),
    Case(19, "profiles.png", crafted.png_of_profiles),
    Case(20, "animated.gif", lambda: crafted.animated("GIF")),
    Case(20, "animated.webp", lambda: crafted.animated("WEBP")),
    Case(20, "animated.png", lambda: crafted.animated("PNG")),
    Case(20, "growing.gif", crafted.gif_of_growing_frames),
    Case(20, "frames.webp", crafted.webp_of_many_frames),
    Case(21, "picture.bmp", lambda: encoded(scene(), "BMP")),
    Case(21, "picture.avif", lambda: encoded(scene(), "AVIF")),
    Case(21, "picture.heic", lambda: encoded(scene(), "HEIF")),
    *(Case(23, name, jpeg) for name in ("фото 😀.jpg", "a" * 200 + ".jpg", "no-extension", "photo.txt", "-rf.jpg")),
    *(Case(23, name, jpeg) for name in ("=cmd|'calc'!A0.jpg", "<img src=x onerror=alert(1)>.jpg", "a\x1b[31m.jpg")),
)

NAMES = (
    *("../../../etc/passwd", "..\\..\\photo.jpg", "%2e%2e%2fphoto.jpg", "photo.jpg/"),
    *("b" * 300 + ".jpg", ".jpg", "photo\0.jpg", "photo\r\n.jpg", "CON.jpg"),
)
"""Names that no file system of ours has to hold, as an upload may bear them; what comes with them is a good picture."""

ADDRESSES = (
    *(
        "http://127.0.0.1:22/",
        "http://localhost/photo.jpg",
        "HTTP://[::1]/photo.jpg",
        "http://0x7f000001/",
        "http://127.1/",
    ),
    *(
        "http://10.0.0.1/photo.jpg",
        "https://192.168.0.1/",
        "http://172.16.0.1/",
        "http://[fd00::1]/",
        "http://0.0.0.0/",
    ),
    *("http://169.254.169.254/latest/meta-data", "http://metadata.google.internal/", "http://2852039166/"),
    *("https://example.org/redirect?to=http://localhost", "http://user:secret@localhost/", "//127.0.0.1/photo.jpg"),
    *(
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "ftp://localhost/photo.jpg",
        "gopher://localhost/",
        "s3://bucket/photo.jpg",
    ),
)
"""Addresses that nobody may be asked to open: loopback, private, of a cloud's metadata, redirects, other schemes."""

OPTIONS: tuple[dict[str, Any], ...] = (
    *({"threshold": value} for value in (float("nan"), float("inf"), -1, 2, 1e308, "x", "", [0.5])),
    *({"detail": value} for value in ("closely", "", "auto\0", "a" * 10_000, 7, None, ["auto"])),
)
"""Options of which each is refused."""

FILES: tuple[Case, ...] = REFUSED + READ
"""Every file of the corpus."""
