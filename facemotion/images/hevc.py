"""Coded depth and colours of a HEIC, read from its sequence parameter sets (ITU-T H.265, section 7.3.2.2).

The container states them too, and the decoder finds out that it lies when all is decoded: at 50 megapixels that takes
600 MB.
"""

from __future__ import annotations

from collections.abc import Iterator

from facemotion.errors import CorruptImage
from facemotion.images.avif import FULL_BOX, Bits, boxes, items

_CONFIGURATIONS = (b"meta", b"iprp", b"ipco", b"hvcC")
_PARAMETER_SET = 33  # NAL unit type of a sequence parameter set (table 7-1)
_SET_BYTES = 256  # of its beginning; about 30 are needed
_ARRAYS = 22  # bytes of a configuration before its parameter sets (ISO/IEC 14496-15, section 8.3.3.1.2)


def is_deep(data: bytes) -> bool:
    """Whether a coded image has more than 8 bits and more colours than 4:2:0; in doubt it has."""
    try:
        found = [_chroma_and_bits(unit) for unit in _units(data) if unit[0] >> 1 == _PARAMETER_SET and unit[1] < 8]
    except CorruptImage:  # the decoder may read on where this module does not
        return True
    return any(chroma > 1 and bits > 8 for chroma, bits in found)


def _units(data: bytes) -> Iterator[bytes]:
    """The first bytes of each NAL unit, in the configurations and in the coded images."""
    for start, end in _inside(data, _CONFIGURATIONS, 0, len(data)):
        yield from _configured(data[start:end])
    for item in items(data):
        at = 0
        while at + 6 <= len(item):
            yield item[at + 4 : at + 4 + _SET_BYTES]
            at += 4 + int.from_bytes(item[at : at + 4], "big")


def _inside(data: bytes, path: tuple[bytes, ...], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Start and end of the boxes at the end of `path`."""
    for kind, first, last in boxes(data, start, end):
        if kind == path[0]:
            begin = first + FULL_BOX if kind == b"meta" else first
            yield from _inside(data, path[1:], begin, last) if path[1:] else [(begin, last)]


def _configured(configuration: bytes) -> Iterator[bytes]:
    at = _ARRAYS + 1
    while at + 3 <= len(configuration):
        count, at = int.from_bytes(configuration[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            size, at = int.from_bytes(configuration[at : at + 2], "big"), at + 2
            if len(unit := configuration[at : at + min(size, _SET_BYTES)]) > 1:
                yield unit
            at += size
            if at >= len(configuration):
                return


def _chroma_and_bits(unit: bytes) -> tuple[int, int]:
    """chroma_format_idc (1 is 4:2:0), and the bits of the deeper plane."""
    bits = Bits(unit[2:].replace(b"\0\0\3", b"\0\0"))  # without emulation prevention
    bits.take(4)
    layers = bits.take(3)
    bits.take(1 + 96)  # profile, tier and level
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    bits.take(2 * (8 - layers) if layers else 0)
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
    bits.golomb()
    chroma = bits.golomb()
    bits.take(chroma == 3)
    for _ in range(2):
        bits.golomb()  # width and height
    for _ in range(4 * bits.take(1)):
        bits.golomb()  # the window of what is shown
    return chroma, 8 + max(bits.golomb(), bits.golomb())
