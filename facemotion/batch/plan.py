"""The list of all items, written down once: what is part number 12 today is part number 12 after any restart."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow
from pyarrow import parquet

from facemotion.batch import storage
from facemotion.batch.sources import VIDEO, Item
from facemotion.batch.storage import Place

SHARD_ITEMS = 50_000  # in one file of the list: 5 MB in memory
VIDEOS_IN_PART = 2  # a video of three minutes has as many frames to look at as 180 photos
_LEAST, _MOST = 32, 4096  # pictures in a part: a thousand parts, but neither tiny files nor hours without a result
_PARTS = 1000

_SCHEMA = pyarrow.schema(
    [
        ("kind", pyarrow.string()),
        ("address", pyarrow.binary()),  # a file's name on Linux need not be text
        ("row", pyarrow.int64()),
        ("root", pyarrow.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Part:
    """Items `first` to `last` (exclusive) of the list of "pictures" or of "videos", which become one file of results.

    `number` counts the parts of both; `start` is the number of the first item among all items, pictures first.
    """

    number: int
    listed: str
    first: int
    last: int
    start: int

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return f"part-{self.number:06d}"


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to do: numbers of pictures and of videos, and of pictures in one part."""

    pictures: int
    videos: int
    part_pictures: int

    @property
    def items(self) -> int:
        """Pictures and videos together."""
        return self.pictures + self.videos

    @property
    def count(self) -> int:
        """How many parts there are."""
        return self._picture_parts + -(-self.videos // VIDEOS_IN_PART)

    @property
    def _picture_parts(self) -> int:
        return -(-self.pictures // self.part_pictures)

    def part(self, number: int) -> Part:
        """Part number 0 to `count` - 1: first those of pictures, then those of videos."""
        if number < self._picture_parts:
            listed, total, step, index, before = "pictures", self.pictures, self.part_pictures, number, 0
        else:
            listed, total, step, before = "videos", self.videos, VIDEOS_IN_PART, self.pictures
            index = number - self._picture_parts
        first = index * step
        return Part(number, listed, first, min(first + step, total), before + first)

    def parts(self) -> Iterator[Part]:
        """All parts in order."""
        return map(self.part, range(self.count))


def write(
    folder: Place,
    items: Iterable[Item],
    limit: int | None = None,
    part_pictures: int | None = None,
    videos: bool = False,
) -> Size:
    """Writes the list of the first `limit` items into a folder, a shard at a time.

    Videos that are not analysed stand among the pictures, where each takes a row that says so.

    Raises:
        DestinationError: it cannot be written.
    """
    shards = {"pictures": _Shards(folder, "pictures"), "videos": _Shards(folder, "videos")}
    for item in islice(items, limit):
        shards["videos" if videos and item.kind == VIDEO else "pictures"].add(item)
    pictures, films = (shards[name].finish() for name in ("pictures", "videos"))
    return Size(pictures, films, part_pictures or pictures_in_part(pictures))


def pictures_in_part(pictures: int) -> int:
    """How many of so many pictures go into one file of results, unless the user says so."""
    return min(_MOST, max(_LEAST, -(-pictures // _PARTS)))


def read(folder: Place, part: Part) -> list[Item]:
    """The items of a part.

    Raises:
        OSError: the list cannot be read.
    """
    items: list[Item] = []
    for shard in range(part.first // SHARD_ITEMS, (part.last - 1) // SHARD_ITEMS + 1):
        data = storage.read(folder.child(_shard_name(part.listed, shard)))
        start = shard * SHARD_ITEMS
        first, last = max(part.first - start, 0), min(part.last - start, SHARD_ITEMS)
        rows = parquet.read_table(pyarrow.BufferReader(data)).slice(first, last - first).to_pylist()
        items += [Item(row["kind"], os.fsdecode(row["address"]), row["row"], row["root"]) for row in rows]
    return items


class _Shards:
    def __init__(self, folder: Place, name: str) -> None:
        self._folder, self._name = folder, name
        self._items: list[Item] = []
        self._written = 0

    def add(self, item: Item) -> None:
        self._items.append(item)
        if len(self._items) == SHARD_ITEMS:
            self._write()

    def finish(self) -> int:
        if self._items:
            self._write()
        return self._written

    def _write(self) -> None:
        rows = [(one.kind, os.fsencode(one.address), one.row, one.root) for one in self._items]
        columns = [pyarrow.array(list(values), kind.type) for values, kind in zip(zip(*rows, strict=True), _SCHEMA)]  # noqa: B905
        place = self._folder.child(_shard_name(self._name, self._written // SHARD_ITEMS))
        storage.write(place, _as_parquet(pyarrow.table(columns, schema=_SCHEMA)))
        self._written += len(self._items)
        self._items = []


def _as_parquet(table: pyarrow.Table) -> bytes:
    """The bytes of a Parquet file, the same ones for the same table."""
    stream = pyarrow.BufferOutputStream()
    parquet.write_table(table, stream, compression="zstd")
    return bytes(stream.getvalue())


def _shard_name(listed: str, number: int) -> str:
    return f"{listed}-{number:06d}.parquet"
