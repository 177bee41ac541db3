"""How the files of the corpus are made: every kind of picture, whole or broken, from nothing, the same each time."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from functools import cache
from io import BytesIO

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ORIENTATION, GPS_IFD, MAKER = 0x0112, 0x8825, 0x010F
GPS_SECRET = "SECRET-PLACE-51N"

pillow_heif.register_heif_opener()  # for Image.save; facemotion itself leaves Pillow as it is


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """A picture without any symmetry, so that each way of turning it differs: red to the right, green downwards."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).astype(np.uint8)
    pixels[..., 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@cache
def jpeg() -> bytes:
    return encoded(scene(), "JPEG", quality=90)


@cache
def phone_photo() -> bytes:
    """24 megapixels."""
    return encoded(scene().resize((6000, 4000)), "JPEG")


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
    exif[MAKER] = "Camera works"  # an AVIF's orientation stands elsewhere; without this it would have no EXIF at all
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    return encoded(image or scene(), kind, exif=exif.tobytes(), **options)


def with_gps(kind: str = "JPEG") -> bytes:
    """A file that tells a place and a camera."""
    exif = Image.Exif()
    exif[MAKER] = GPS_SECRET
    exif[GPS_IFD] = {1: "N", 2: (51.0, 28.0, 38.0), 27: GPS_SECRET.encode()}
    return encoded(scene(), kind, exif=exif.tobytes(), comment=GPS_SECRET.encode())


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
    frame = bytes(6) + int24(95) + int24(63) + int24(20) + b"\0" + image
    chunks = riff_chunk(b"VP8X", b"\x02\0\0\0" + int24(95) + int24(63)) + riff_chunk(b"ANIM", bytes(6))
    body = b"WEBP" + chunks + riff_chunk(b"ANMF", frame) * count
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_bomb() -> bytes:
    """A header of 16,000 x 16,000 pixels, for which the decoder would reserve 2 GB."""
    chunks = riff_chunk(b"VP8X", bytes(4) + int24(15_999) + int24(15_999))
    still = encoded(scene(), "WEBP", lossless=True)
    body = b"WEBP" + chunks + still[still.index(b"VP8L") :]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_bomb() -> bytes:
    """20,000 x 20,000 pixels by its header."""
    gif = encoded(scene().quantize(8), "GIF")
    return gif[:6] + struct.pack("<HH", 20_000, 20_000) + gif[10:]


def bmp_bomb() -> bytes:
    bmp = encoded(scene(), "BMP")
    return bmp[:18] + struct.pack("<ii", 20_000, 20_000) + bmp[26:]


def jpeg_bomb() -> bytes:
    frame = jpeg().index(b"\xff\xc0") + 5
    return jpeg()[:frame] + struct.pack(">HH", 20_000, 20_000) + jpeg()[frame + 4 :]


def heif_bomb(kind: str) -> bytes:
    """An AVIF or a HEIC of 16,000 x 16,000 pixels by its header."""
    heif = encoded(scene(), kind)
    extent = heif.index(b"ispe") + 8
    return heif[:extent] + struct.pack(">II", 16_000, 16_000) + heif[extent + 8 :]


def heic_of(height: int, mode: str, bits: int, chroma: int) -> bytes:
    """A small HEIC of that mode, depth and sampling, of 8000 x `height` pixels by its header."""
    file = BytesIO()
    if bits == 8:
        scene().convert(mode).save(file, "HEIF", chroma=chroma)
    else:
        deep = np.asarray(scene().convert(mode)).astype(np.uint16) << 8
        pillow_heif.from_bytes(f"{mode};16", scene().size, deep.tobytes()).save(file, chroma=chroma)
    heif = file.getvalue()
    return heif.replace(b"ispe" + struct.pack(">III", 0, 96, 64), b"ispe" + struct.pack(">III", 0, 8000, height))


@cache
def avif_lie() -> bytes:
    """An AVIF of 30 megapixels that says 64 x 64, which its decoder believes: it decodes them all, and scales."""
    avif = encoded(Image.new("RGB", (6000, 5000), (9, 90, 200)), "AVIF", quality=1, speed=10)
    extent = avif.index(b"ispe") + 8
    return avif[:extent] + struct.pack(">II", 64, 64) + avif[extent + 8 :]


def int24(number: int) -> bytes:
    return number.to_bytes(3, "little")


def riff_chunk(kind: bytes, body: bytes) -> bytes:
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


def exif_bodies() -> dict[str, bytes]:
    """EXIF that breaks off, points outside itself, points at itself, or is noise; without its mark in front."""
    return {
        "empty": b"",
        "broken-off": b"II*\0",
        "outside": b"MM\0*\xff\xff\xff\xff",
        "loop": b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 0x8769, 4, 1, 8),
        "noise": random.Random(3).randbytes(500),
        "orientation-9": b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", ORIENTATION, 3, 1, 9, 0) + bytes(4),
        "orientation-text": b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI4s", ORIENTATION, 2, 4, b"six\0"),
    }


def malformed_exif() -> dict[str, bytes]:
    """Files of five formats by name, each with a malformed EXIF in it and otherwise good."""
    makers = {
        "jpg": jpeg_with_exif,
        "png": png_with_exif,
        "webp": webp_with_exif,
        "avif": avif_with_exif,
        "heic": heic_with_exif,
    }
    return {f"{name}.{kind}": make(body) for kind, make in makers.items() for name, body in exif_bodies().items()}


def jpeg_with_exif(body: bytes) -> bytes:
    segment = b"Exif\0\0" + body
    return jpeg()[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg()[2:]


def png_with_exif(body: bytes) -> bytes:
    return png()[:33] + chunk(b"eXIf", body) + png()[33:]


def webp_with_exif(body: bytes) -> bytes:
    image = encoded(scene(), "WEBP", lossless=True)[12:]
    canvas = riff_chunk(b"VP8X", b"\x08\0\0\0" + int24(95) + int24(63))
    return riff_chunk(b"RIFF", b"WEBP" + canvas + image + riff_chunk(b"EXIF", body))


def avif_with_exif(body: bytes) -> bytes:
    return _heif_with_exif("AVIF", body)


def heic_with_exif(body: bytes) -> bytes:
    return _heif_with_exif("HEIF", body)


def _heif_with_exif(kind: str, body: bytes) -> bytes:
    """The body takes the place of one that Pillow wrote, of which the rest remains."""
    whole, body = _heif_with_long_exif(kind), body or bytes(600)
    start = whole.index(b"MM\0*")
    return whole[:start] + body + whole[start + len(body) :]


@cache
def _heif_with_long_exif(kind: str) -> bytes:
    exif = Image.Exif()
    exif[MAKER] = "x" * 600
    return encoded(scene(), kind, exif=exif.tobytes(), quality=100)


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


@cache
def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def zip_file() -> bytes:
    return b"PK\x03\x04" + random.Random(1).randbytes(3000) + b"PK\x05\x06" + bytes(18)


def cut(data: bytes, tenths: int) -> bytes:
    return data[: len(data) * tenths // 10]


def mp4() -> bytes:
    return b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41" + bytes(500)


def heif(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + bytes(4) + b"mif1" + brand + bytes(500)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(%pipe%touch /tmp/pwned) (w) file\nshowpage\n"
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
PSD = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 64, 64, 8, 3) + bytes(20000)
FITS = b"SIMPLE  =                    T" + b" " * 2850


def heic_header() -> bytes:
    """The first bytes of a phone's HEIC, and nothing after them but zeros."""
    return heif(b"heic")
