"""Coded frame sizes of an AVIF, read from its AV1 headers.

The container states a size, and the decoder trusts it: a coded image of another size is decoded all the same and then
scaled. Three kilobytes that state 64 x 64 can hold 16,000 x 16,000, and a grid can hold thousands of such cells. This
module reads the headers of the coded images instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from facemotion.errors import CorruptImage

FULL_BOX = 4  # bytes of version and flags before the content of some boxes
_SEQUENCE_HEADER = 1  # OBU type that holds the frame size (AV1, section 6.2.2)
_HEADER_BYTES = 256  # at most 100 are needed
_MAX_ITEMS, _MAX_UNITS = 5_000, 20_000  # a grid of 8 x 8 cells with opacity has 130 items, each of 3 units


def stills_only(data: bytes) -> bytes:
    """The AVIF without its animation, whose frames lie elsewhere; its still image is the first frame.

    Raises:
        CorruptImage: it is not of the form that the format demands.
    """
    for _, start, _ in boxes(data, 0, len(data)):
        return data[:start] + b"avif" + data[start + 4 :] if data[start : start + 4] == b"avis" else data
    return data


def coded_pixels(data: bytes) -> tuple[int, int]:
    """Pixels of the largest coded image, and of all: photo or cells, opacity, thumbnail.

    Raises:
        CorruptImage: it is not of the form that the format demands, or has more pieces than any real image.
    """
    largest = total = units = 0
    for item in items(data):
        pixels = 0
        for kind, content in _units(item):
            units += 1
            if units > _MAX_UNITS:
                raise _damaged()
            if kind == _SEQUENCE_HEADER:
                width, height = _frame_size(Bits(content))
                pixels = max(pixels, width * height)
        largest, total = max(largest, pixels), total + pixels
    return largest, total


def _damaged() -> CorruptImage:
    return CorruptImage("This AVIF picture is damaged or breaks off. Please choose the photo again.")


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Iterate over boxes: (type, start, end of the content) (ISO/IEC 14496-12, section 4.2)."""
    while start + 8 <= end:
        size, head = int.from_bytes(data[start : start + 4], "big"), 8
        kind = data[start + 4 : start + 8]
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        stop = end if size == 0 else start + size
        if not start + head <= stop <= end:
            raise _damaged()  # it ends before it begins, or after its parent
        yield kind, start + head, stop
        start = stop


def items(data: bytes) -> Iterator[bytes]:
    """Content of each item in the file."""
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"meta":
            inner = {name: (first, last) for name, first, last in boxes(data, start + FULL_BOX, end)}
            if b"iloc" in inner:
                yield from _Locations(data, *inner[b"iloc"]).items(inner.get(b"idat", (0, 0)))


class _Locations:
    """The item location box (ISO/IEC 14496-12, section 8.11.3)."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data, self._at, self._end = data, start, end
        self._version = self._number(FULL_BOX) >> 24
        self._left = 2 * len(data)  # bytes of all items together; they share little
        sizes = self._number(2)
        self._offset, self._length, self._base = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        self._index = sizes & 15 if self._version in (1, 2) else 0

    def items(self, idat: tuple[int, int]) -> Iterator[bytes]:
        """The content of each item; `idat` is where the box of that name begins and ends."""
        count = self._number(4 if self._version == 2 else 2)
        if count > _MAX_ITEMS or self._version > 2:
            raise _damaged()
        for _ in range(count):
            self._number(4 if self._version == 2 else 2)
            in_idat = self._version > 0 and self._number(2) & 15 == 1
            self._number(2)
            base = self._number(self._base)
            first, last = idat if in_idat else (0, len(self._data))
            yield b"".join(self._extent(first + base, last) for _ in range(self._number(2)))

    def _extent(self, start: int, last: int) -> bytes:
        self._number(self._index)
        start += self._number(self._offset)
        length = self._number(self._length)
        content = self._data[start : min(last, start + length if length else last)]
        self._left -= len(content)
        if self._left < 0:
            raise _damaged()
        return content

    def _number(self, size: int) -> int:
        if self._at + size > self._end:
            raise _damaged()
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "big")


def _units(item: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, first bytes) of each unit of a coded item; none for other items (AV1, section 5.3)."""
    at = 0
    while at < len(item) and not item[at] & 0x81:  # bits that are always 0
        kind, extended, has_size = item[at] >> 3 & 15, item[at] >> 2 & 1, item[at] & 2
        start = at + 1 + extended
        start, size = _size(item, start) if has_size else (start, len(item))
        yield kind, item[start : start + min(size, _HEADER_BYTES)]
        at = start + size


def _size(item: bytes, at: int) -> tuple[int, int]:
    """Start and length of a unit's content, in LEB128 (AV1, section 4.10.5)."""
    size = 0
    for index, byte in enumerate(item[at : at + 8]):
        size |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return at + index + 1, size
    return at + 8, size


class Bits:
    """Reader of unsigned numbers of any bit width; zeros after the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        return (self._value >> self._left if self._left >= 0 else 0) & (1 << count) - 1

    def golomb(self) -> int:
        """A number with as many zeros before it as it has bits after the first (Exp-Golomb; AV1: uvlc)."""
        zeros = next((count for count in range(33) if self.take(1)), 32)
        return (1 << zeros) - 1 + self.take(zeros) if zeros < 32 else 0


def _frame_size(bits: Bits) -> tuple[int, int]:
    """(width, height) from a sequence header, the size of the largest frame (AV1, section 5.5.1)."""
    bits.take(4)
    if bits.take(1):
        bits.take(5)
    else:
        _skip_operating_points(bits, *_skip_timing(bits))
    width, height = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width) + 1, bits.take(height) + 1


def _skip_timing(bits: Bits) -> tuple[bool, int]:
    """Skip the timing; returns whether a decoder model follows, and the bit width of its numbers."""
    if not bits.take(1):
        return False, 0
    bits.take(64)
    if bits.take(1):
        bits.golomb()
    if not bits.take(1):
        return False, 0
    width = bits.take(5) + 1
    bits.take(42)
    return True, width


def _skip_operating_points(bits: Bits, modelled: bool, width: int) -> None:
    delayed = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if modelled and bits.take(1):
            bits.take(2 * width + 1)
        if delayed and bits.take(1):
            bits.take(4)
