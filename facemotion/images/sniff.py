"""Image format detection from the first bytes; the file name is ignored."""

from __future__ import annotations

from facemotion.errors import NotAnImage, UnsupportedFormat

ACCEPTED = "JPEG, PNG, GIF, WebP, BMP, AVIF and HEIC pictures are read here"

_READ = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"))
_OTHER_PICTURES = (
    (b"II*\x00", "a TIFF or camera raw picture"),
    (b"MM\x00*", "a TIFF or camera raw picture"),
    (b"II+\x00", "a TIFF picture"),
    (b"MM\x00+", "a TIFF picture"),
    (b"8BPS", "a Photoshop file"),
    (b"%!PS", "a PostScript (EPS) file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript (EPS) file"),
    (b"SIMPLE  =", "a FITS picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"DDS ", "a DDS texture"),
    (b"qoif", "a QOI picture"),
    *((b"P%d%c" % (kind, space), "a Netpbm picture") for kind in range(1, 7) for space in b"\n \r\t"),
)
_NO_PICTURES = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"OggS", "an Ogg sound or video"),
    (b"ID3", "an MP3 sound"),
    (b"fLaC", "a FLAC sound"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"\x80\x02", "a Python pickle"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # valid sizes of the second header of a BMP


def sniff(data: bytes) -> str:
    """Format of an image file: JPEG, PNG, GIF, WEBP, BMP, AVIF or HEIC.

    Raises:
        UnsupportedFormat: an image of another kind, which the message names.
        NotAnImage: anything else; the message says what it seems to be.
    """
    head = data[:4096]
    for magic, name in _READ:
        if head.startswith(magic):
            return name
    found = _riff(head) or _bmp(head) or _isobmff(head)
    if found:
        return found
    _refuse_known(head)
    _refuse_text(head)
    raise NotAnImage(f"This file is no picture that can be recognised. {ACCEPTED}; please choose one of these.")


def _riff(head: bytes) -> str | None:
    if head[:4] != b"RIFF":
        return None
    if head[8:12] == b"WEBP":
        return "WEBP"
    if head[8:12] == b"AVI ":
        raise _a_video("an AVI video")
    raise _not_a_picture("a WAV sound" if head[8:12] == b"WAVE" else "a RIFF container")


def _bmp(head: bytes) -> str | None:
    plausible = head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    return "BMP" if plausible else None


def _isobmff(head: bytes) -> str | None:
    """AVIF or HEIC by the list of brands; both share their container with MP4."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), 256)
    brands = [head[8:12], *(head[start : start + 4] for start in range(16, end, 4))]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    if any(brand in _HEIC_BRANDS for brand in brands):
        return "HEIC"
    raise _a_video("an MP4 or QuickTime video")


def _refuse_known(head: bytes) -> None:
    for magic, kind in _OTHER_PICTURES:
        if head.startswith(magic):
            raise _other_picture(kind)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        raise _a_video("a WebM or Matroska video")
    for magic, kind in _NO_PICTURES:
        if head.startswith(magic):
            raise _not_a_picture(kind)


def _refuse_text(head: bytes) -> None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n\x00")[:1024].lower()
    if b"<svg" in start:
        raise _other_picture("an SVG drawing")
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        raise _not_a_picture("a web page (HTML)")
    if start.startswith(b"<?xml"):
        raise _not_a_picture("an XML file")
    if _is_text(head):
        raise _not_a_picture("a text file")


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16's byte order mark
        return True
    return not any(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in head)


def _other_picture(kind: str) -> UnsupportedFormat:
    return UnsupportedFormat(f"This seems to be {kind}, which is not read here. Please save it as a JPEG or PNG.")


def _not_a_picture(kind: str) -> NotAnImage:
    return NotAnImage(f"This seems to be {kind}, not a picture. {ACCEPTED}; please choose one of these.")


def _a_video(kind: str) -> NotAnImage:
    return NotAnImage(
        f"This seems to be {kind}, not a picture. Videos are read on the page's Video tab, and by the command "
        "facemotion video."
    )
