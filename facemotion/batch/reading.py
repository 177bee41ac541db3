"""Items of the list -> what a pipeline takes: paths of this machine as they are, the bytes of all else."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice

from facemotion import settings
from facemotion.batch import sources, storage
from facemotion.batch.sources import BYTES, Item
from facemotion.errors import BadOption, FileTooLarge, ForbiddenSource, MissingInput, SourceGone

GROUP_PICTURES = 16  # that are searched for faces and classified together
GROUP_BYTES = 64_000_000  # of files in memory for one group
_AHEAD = 8  # files that are fetched from a store while others are analysed
_NO_FILE = "There is no such file. Please check its name."
_UNREADABLE = "This file cannot be read. Please check its name, or choose the photo again."
_FORBIDDEN = "This file may not be opened. Please check its permissions."
_UNSEARCHED = "This folder could not be searched, so its photos are missing here. Please check its permissions."


@dataclass(frozen=True, slots=True)
class Loaded:
    """An item with its `source`: a path, the bytes of a file, or None; `failure` is why there is none."""

    item: Item
    source: str | bytes | None
    failure: tuple[str, str] | None = None


def load(items: Sequence[Item], roots: Sequence[str], column: str | None = None) -> Iterator[Loaded]:
    """The items in order, files of stores fetched a few ahead.

    Raises:
        SourceGone: a file is missing because all of its source is.
    """
    for (way, address), group in groupby(items, _way):
        if way == "here":
            yield from (Loaded(item, _path(item.address)) for item in group)
        elif way == "folder":
            yield from (Loaded(item, None, (ForbiddenSource.code, _UNSEARCHED)) for item in group)
        elif way == "row":
            yield from _rows(address, list(group), column)
        else:
            yield from _fetched(group, roots)


def groups(loaded: Iterable[Loaded]) -> Iterator[list[Loaded]]:
    """Groups bounded in number and bytes: the same in every try, because results depend on them in the last digit."""
    group: list[Loaded] = []
    size = 0
    for one in loaded:
        bytes_more = len(one.source) if isinstance(one.source, bytes) else 0
        if group and (len(group) == GROUP_PICTURES or size + bytes_more > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(one)
        size += bytes_more
    if group:
        yield group


def gone(item: Item, roots: Sequence[str]) -> SourceGone | None:
    """The error to raise where a file is missing because its whole source is; None where the source is there."""
    root = roots[item.root] or storage.bucket_of(item.address)
    if sources.is_alive(root):
        return None
    return SourceGone(f"{root} is not there any more, or is empty. Bring it back, then go on with --resume.")


def _way(item: Item) -> tuple[str, str]:
    if item.kind == BYTES:
        return "row", item.address
    if item.address.removesuffix(storage.options_of(item.address)).endswith("/"):
        return "folder", ""
    return ("here" if storage.is_here(item.address) else "store"), ""


def _path(address: str) -> str | None:
    return storage.locate(address).path if address else None


def _fetched(items: Iterable[Item], roots: Sequence[str]) -> Iterator[Loaded]:
    waiting: deque[Future[Loaded]] = deque()
    rest = iter(items)
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting.extend(pool.submit(_fetch, item, roots) for item in islice(rest, _AHEAD))
        while waiting:
            loaded = waiting.popleft().result()
            waiting.extend(pool.submit(_fetch, item, roots) for item in islice(rest, 1))
            yield loaded


def _fetch(item: Item, roots: Sequence[str]) -> Loaded:
    try:
        return Loaded(item, storage.read(storage.locate(item.address), settings.MAX_FILE_BYTES + 1))
    except FileNotFoundError:
        failure = (MissingInput.code, _NO_FILE)
    except BadOption as error:  # an address of a kind that is not known here
        failure = (error.code, error.message)
    except OSError as error:
        refused = isinstance(error, PermissionError) or "ACCESS_DENIED" in str(error)
        failure = (ForbiddenSource.code, _FORBIDDEN) if refused else (MissingInput.code, _UNREADABLE)
    if (vanished := gone(item, roots)) is not None:
        raise vanished
    return Loaded(item, None, failure)


def _rows(address: str, items: list[Item], column: str | None) -> Iterator[Loaded]:
    """Rows of one Parquet file, in ascending order, without holding more than a few of them."""
    place = storage.locate(address)
    try:
        with sources.open_parquet(place) as table:
            if items[-1].row >= table.metadata.num_rows:
                raise SourceGone(
                    f"{place} has fewer rows than when the run began. Bring them back, then go on with --resume."
                )
            name = sources.column_of_bytes(table, column, place)
            for group, first, wanted in _of_groups(table, items):
                yield from _from_group(table, name, group, first, wanted)
    except OSError as error:
        raise SourceGone(
            f"{place} cannot be read any more: {error}. Bring it back, then go on with --resume."
        ) from None


def _of_groups(table: object, items: list[Item]) -> Iterator[tuple[int, int, list[Item]]]:
    """For each row group: its number, its first row, and the items in it."""
    metadata = table.metadata  # type: ignore[attr-defined]
    first = 0
    for group in range(metadata.num_row_groups):
        last = first + metadata.row_group(group).num_rows
        if wanted := [item for item in items if first <= item.row < last]:
            yield group, first, wanted
        first = last


def _from_group(table: object, name: str, group: int, first: int, wanted: list[Item]) -> Iterator[Loaded]:
    at, rest = first, iter(wanted)
    item = next(rest, None)
    for batch in table.iter_batches(batch_size=GROUP_PICTURES, row_groups=[group], columns=[name]):  # type: ignore[attr-defined]
        values = sources.values(batch)
        while item is not None and item.row < at + len(values):
            yield _checked(item, values[item.row - at].as_py())
            item = next(rest, None)
        at += len(values)
        if item is None:
            return


def _checked(item: Item, data: bytes | None) -> Loaded:
    if data is not None and len(data) > settings.MAX_FILE_BYTES:
        limit = f"{settings.MAX_FILE_BYTES / 1_000_000:g} MB"
        return Loaded(item, None, (FileTooLarge.code, f"This file is larger than {limit}. Please reduce the picture."))
    return Loaded(item, data)
