"""Integrity checks and removal of metadata before an image is decoded.

Pillow parses metadata in Python, some of it in quadratic time, inflates every copy of a profile, and does not check the
checksum of the pixels of a PNG. Removed metadata costs no time, and cannot reach any output.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from facemotion.errors import CorruptImage, UnsupportedFormat
from facemotion.images import avif

_MAX_SEGMENTS = 2_000  # of a JPEG: profiles have up to 255, extended metadata some hundreds
_MAX_SCANS = 32  # of a progressive JPEG, each a pass over all pixels; encoders write about 10
_MAX_GAP = 1024  # bytes of junk between a JPEG's segments
_MAX_CHUNKS = 50_000  # of a PNG: 20 MB in pieces of 8 kB are 2,500
_MAX_GIF_HEADER = 1_000_000  # bytes before a GIF's first frame: comments, and programs' own data

_JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # other bytes after 0xff are pixels, restarts or padding
_JPEG_KEPT = ((0xE0, b"JFIF\0"), (0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe"))
_EXIF = b"Exif\0\0"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"IDAT", b"IEND")
# An entry of an AVIF's or a HEIC's list of items (ISO/IEC 14496-12, section 8.11.6): version 2 with an item's number
# of 2 bytes, or 3 with one of 4; a protection index; the type.
_HEIF_EXIF = re.compile(rb"(infe(?:\x02.{3}.{2}|\x03.{3}.{4}).{2})Exif", re.DOTALL)
_RUN_LENGTH_CODED = (1, 2)  # BMP's compression; Pillow decodes it in Python, too slow for untrusted images


class Container(NamedTuple):
    """A sanitized file, and its EXIF or None."""

    data: bytes
    exif: bytes | None = None


def strip(name: str, data: bytes) -> Container:
    """Reduce a file of format `name` to its first image.

    Raises:
        CorruptImage: it breaks off, a checksum differs, or it has more pieces than any real image.
        UnsupportedFormat: a BMP in run-length code.
    """
    return _STRIP[name](data) if name in _STRIP else Container(data)


def webp_size(data: bytes) -> tuple[int, int]:
    """(width, height) of the canvas of a WebP, which its decoder allocates at once (RFC 9649, 2.5 to 2.7)."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _damaged(name: str) -> CorruptImage:
    return CorruptImage(f"This {name} picture is damaged or breaks off. Please choose the photo again.")


def _strip_jpeg(data: bytes) -> Container:
    kept, exif, scans = [data[:2]], None, 0
    for marker, start, end in _jpeg_segments(data):
        if marker == 0xDA:
            scans += 1
            if scans == 1:
                kept.append(data[start:])
        elif scans == 0:
            body = data[start + 4 : end]
            if marker == 0xE1 and body.startswith(_EXIF):
                exif = exif or body
            if not _is_jpeg_metadata(marker, body):
                kept.append(data[start:end])
    if not 0 < scans <= _MAX_SCANS:
        raise _damaged("JPEG")
    return Container(b"".join(kept), exif)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment up to the end of the image; pixels are skipped."""
    position, in_header = 2, True
    for _ in range(_MAX_SEGMENTS):
        match = _JPEG_MARKER.search(data, position)
        if match is None or match[1] == b"\xd9":
            return
        if in_header and match.start() > position + _MAX_GAP:
            raise _damaged("JPEG")
        marker, position = match[1][0], match.end()
        if marker not in (0x01, 0xD8):  # these two stand alone
            position += max(2, int.from_bytes(data[position : position + 2], "big"))
            in_header = in_header and marker != 0xDA
            yield marker, match.start(), position
    raise _damaged("JPEG")


def _is_jpeg_metadata(marker: int, body: bytes) -> bool:
    named = any(marker == kept and body.startswith(name) for kept, name in _JPEG_KEPT)
    return (0xE0 <= marker <= 0xEF or marker == 0xFE) and not named


def _strip_png(data: bytes) -> Container:
    kept, exif, seen = [data[:8]], None, set()
    for kind, start, end in _png_chunks(data):
        if kind == b"eXIf":
            exif = data[start + 8 : end - 4]
        if kind in _PNG_KEPT and (kind not in seen or kind == b"IDAT"):
            kept.append(data[start:end])
            seen.add(kind)
    return Container(b"".join(kept), exif)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of each chunk up to IEND, with verified checksum."""
    view, position = memoryview(data), 8
    for _ in range(_MAX_CHUNKS):
        kind, length = data[position + 4 : position + 8], int.from_bytes(data[position : position + 4], "big")
        start, position = position, position + 12 + length
        checksum = int.from_bytes(data[position - 4 : position], "big")
        if position > len(data) or zlib.crc32(view[start + 4 : position - 4]) != checksum:
            raise _damaged("PNG")
        yield kind, start, position
        if kind == b"IEND":
            return
    raise _damaged("PNG")


def _strip_gif(data: bytes) -> Container:
    """Keep the header, the last graphic control (transparent colour), and all from the first frame on."""
    position = 13 + _gif_colours(data[10:11])
    header, control = data[:position], b""
    while data[position : position + 1] == b"!":
        start, position = position, _skip_gif_blocks(data, position + 2)
        if data[start + 1 : start + 2] == b"\xf9":
            control = data[start:position]
    if data[position : position + 1] != b",":
        raise _damaged("GIF")
    return Container(header + control + data[position:])


def _gif_colours(flags: bytes) -> int:
    """Length in bytes of the colour table announced by these flags."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _skip_gif_blocks(data: bytes, position: int) -> int:
    while position < _MAX_GIF_HEADER:
        size = data[position : position + 1]
        if not size:
            break
        position += 1 + size[0]
        if size == b"\0":
            return position
    raise _damaged("GIF")


def _check_bmp(data: bytes) -> Container:
    if len(data) < 14 + int.from_bytes(data[14:18], "little"):
        raise _damaged("BMP")
    if int.from_bytes(data[14:18], "little") >= 40 and data[30] in _RUN_LENGTH_CODED:
        raise UnsupportedFormat("BMP pictures in run-length code are not read here. Please save it as a PNG.")
    return Container(data)


def _strip_heif(data: bytes) -> Container:
    """Rename the EXIF item, so that the decoder skips it: malformed EXIF makes it fail.

    The rotation is stored in boxes of the format's own (ISO/IEC 23008-12, section 6.5.10).
    """
    return Container(_HEIF_EXIF.sub(rb"\1skip", data))


_STRIP: dict[str, Callable[[bytes], Container]] = {
    "JPEG": _strip_jpeg,
    "PNG": _strip_png,
    "GIF": _strip_gif,
    "BMP": _check_bmp,
    "AVIF": lambda data: _strip_heif(avif.stills_only(data)),
    "HEIC": _strip_heif,
}
