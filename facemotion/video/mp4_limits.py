"""Limits on the index of an MP4 or QuickTime file, checked before FFmpeg reads it.

Three kilobytes can announce so many frames that FFmpeg allocates gigabytes (74 bytes per frame were measured). The
entries of all tables in the headers are summed (ISO/IEC 14496-12, section 8).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from facemotion.errors import CorruptVideo

MAX_HEADER_BYTES = 20_000_000
"""Limit of all boxes except the media; three minutes of a phone have 0.5 MB."""

MAX_SAMPLES = 1_000_000
"""Frames and packets of sound in the tables of one kind; three minutes have 21,600 and 8,500 at the most."""

MAX_PCM_SAMPLES = 9_000_000
"""The same of sound without compression, whose every sample counts: three minutes at 48 kHz."""

MAX_EDITS = 200
"""Entries of an edit list, each of which may repeat the whole track."""

_TABLES = re.compile(rb"stsz|stz2|stts|ctts|trun|elst|cmov")
_SKIPPED = (b"mdat",)
_EXCESSIVE = (
    "This video's index asks for more memory than any video needs. Please choose it again, or convert it to MP4."
)


def check(file: BinaryIO) -> None:
    """Check the tables of the index, and rewind the file.

    Raises:
        CorruptVideo: an index that no camera writes.
    """
    sums = dict.fromkeys((b"stsz", b"stz2", b"stts", b"ctts", b"trun", b"pcm"), 0)
    left = MAX_HEADER_BYTES
    for size in _headers(file):
        left -= size
        if left < 0:
            raise CorruptVideo(_EXCESSIVE)
        for kind, count in _counts(file.read(size)):
            sums[kind] += count
    if sums.pop(b"pcm") > MAX_PCM_SAMPLES or max(sums.values()) > MAX_SAMPLES:
        raise CorruptVideo(_EXCESSIVE)
    file.seek(0)


def _headers(file: BinaryIO) -> Iterator[int]:
    """Seek to each top-level box except the media, and yield its length."""
    end = os.fstat(file.fileno()).st_size
    start = 0
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8:  # 0: to the end of the file; from 2 to 7: broken, and FFmpeg may look for boxes in the rest
            size = end - start
        size = min(size, end - start)
        if kind not in _SKIPPED:
            file.seek(start)
            yield size
        start += size


def _counts(data: bytes) -> Iterator[tuple[bytes, int]]:
    """(kind, entries) of each table in some boxes, found by name at any depth."""
    for match in _TABLES.finditer(data):
        kind, body = match[0], data[match.end() : match.end() + 12]
        if kind == b"cmov" or (kind == b"elst" and _number(body, 4) > MAX_EDITS):
            raise CorruptVideo(_EXCESSIVE)
        if kind == b"stsz" and _number(body, 4) in (1, 2, 3, 4, 6, 8):  # bytes per sound sample and channel
            yield b"pcm", _number(body, 8)
        elif kind in (b"stsz", b"stz2"):
            yield kind, _number(body, 8)
        elif kind == b"trun":
            yield kind, _number(body, 4)
        elif kind != b"elst":
            yield _runs(kind, data, match.end(), _number(body, 4))


def _runs(kind: bytes, data: bytes, start: int, entries: int) -> tuple[bytes, int]:
    """Total of a table of runs, each a count and a value."""
    entries = min(entries, (len(data) - start - 8) // 8)
    table = np.frombuffer(data, ">u4", 2 * max(0, entries), start + 8).reshape(-1, 2)
    is_pcm = kind == b"stts" and len(table) == 1 and table[0, 1] == 1
    return b"pcm" if is_pcm else kind, int(table[:, 0].astype(np.int64).sum())


def _number(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4], "big")
