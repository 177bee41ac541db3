"""What is to be analysed: folders, globs, lists and Parquet columns become a stream of items in a fixed order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import takewhile
from typing import Any

import pyarrow
from pyarrow import parquet

from facemotion.batch import storage
from facemotion.batch.storage import Place
from facemotion.errors import BadOption, MissingInput
from facemotion.suffixes import PICTURE_SUFFIXES, VIDEO_SUFFIXES

PICTURE, VIDEO, BYTES = "picture", "video", "bytes"

_LISTS = (".txt", ".lst")
_PARQUET = ".parquet"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # how PowerShell's `>` begins a file
_WILD = re.compile(r"[*?\[]")
_COLUMNS = ("path", "bytes", "image", "image.bytes", "url", "file")  # which of several of a Parquet file is meant
_ROWS = 1000  # of a list, read at a time


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to analyse.

    `kind` is "picture", "video" or "bytes", `address` what to open, for "bytes" the Parquet file whose row number `row`
    is meant. `root` counts in `Listing.roots`.
    """

    kind: str
    address: str
    row: int = -1
    root: int = 0


class Listing:
    """The items of several sources.

    `roots` holds for each source the folder or bucket that all its files lie in, or "": where a file is missing, the
    whole source may have vanished, and that is told by its root. It is complete when reading the items has ended.
    """

    def __init__(self, sources: Sequence[str], column: str | None = None) -> None:
        self._sources, self._column = sources, column
        self.roots: list[str] = []

    def __iter__(self) -> Iterator[Item]:
        """The items in the order of the sources, those of a folder by name.

        Raises:
            MissingInput: a source is not there.
            BadOption: a source cannot be read as what its name says.
        """
        for number, source in enumerate(self._sources):
            self.roots.append("")
            for address, row in self._of_source(source):
                name = address.removesuffix(storage.options_of(address))
                suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - of an address too
                kind = BYTES if row >= 0 else VIDEO if suffix in VIDEO_SUFFIXES else PICTURE
                yield Item(kind, address, row, number)

    def _of_source(self, source: str) -> Iterator[tuple[str, int]]:
        query, place = storage.options_of(source), storage.locate(source)
        kind = storage.kind(place)
        if kind == "folder":
            self.roots[-1] = _address(place, query)
            yield from ((_address(file, query), -1) for file in storage.walk(place) if _is_wanted(file))
        elif kind == "file":
            yield from self._of_file(place, query)
        elif _WILD.search(place.path):
            yield from self._of_glob(place, query)
        else:
            raise MissingInput(f"There is no {source}. Name a folder, a glob, a list of paths or a Parquet file.")

    def _of_glob(self, pattern: Place, query: str) -> Iterator[tuple[str, int]]:
        start = pattern.path[: _WILD.search(pattern.path).start()].rpartition("/")[0]  # type: ignore[union-attr]
        base = Place(pattern.filesystem, start or "/", pattern.prefix)
        if storage.kind(base) != "folder":
            raise MissingInput(f"There is no folder {base}, in which {pattern} is to be searched for.")
        self.roots[-1] = _address(base, query)
        rest = pattern.path[len(start) :].strip("/")
        named = tuple(suffix for suffix in (*_LISTS, _PARQUET) if rest.lower().endswith(suffix))
        depth = None if "**" in rest else rest.count("/")
        wanted = re.compile(_as_expression(rest))
        for file in storage.walk(base, depth):
            if _is_unsearched(file):
                yield _address(file, query), -1
            elif file.name.startswith(".") or (_is_list(file) and not file.name.lower().endswith(named)):
                continue
            elif wanted.fullmatch(file.path[len(start) :].strip("/")):
                yield from self._of_file(file, query)

    def _of_file(self, file: Place, query: str) -> Iterator[tuple[str, int]]:
        name = file.name.lower()
        if name.endswith(_LISTS):
            yield from self._rooted(_lines(file), file, query)
        elif name.endswith(_PARQUET):
            yield from self._of_parquet(file, query)
        else:
            yield _address(file, query), -1

    def _of_parquet(self, file: Place, query: str) -> Iterator[tuple[str, int]]:
        with open_parquet(file) as table:
            name = _column(table.schema_arrow, self._column, file)
            if _is_binary(dict(_columns(table.schema_arrow))[name]):
                self.roots[-1] = _address(file, query)
                yield from ((_address(file, query), row) for row in range(table.metadata.num_rows))
                return
            yield from self._rooted(_texts(table, name), file, query)

    def _rooted(self, listed: Iterator[str], file: Place, query: str) -> Iterator[tuple[str, int]]:
        """The addresses of a list; paths in it are relative to the list's folder. The common folder of those that were
        read is its root."""
        common: list[str] | None = None
        options = ""
        try:
            for text in listed:
                address = text if "://" in text else _address(_beside(file, text), query) if text else ""
                if address:
                    storage.check(address)
                    options = storage.options_of(address)
                    folders = address.removesuffix(options).split("/")[:-1]
                    common = folders if common is None else _shared(common, folders)
                yield address, -1
        finally:  # also where only the first ones are wanted
            root = "/".join(common or []) + options
            has_bucket = "://" not in root or bool(root.removesuffix(options).partition("://")[2])
            if root and has_bucket and storage.kind(storage.locate(root)) == "folder":
                self.roots[-1] = root


def _shared(folders: list[str], others: list[str]) -> list[str]:
    """The folders that two paths begin with alike."""
    pairs = zip(folders, others, strict=False)
    return [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]


def is_alive(root: str) -> bool:
    """Whether the folder, bucket or file that a source's files come from is still there, and holds anything."""
    if not root:
        return True
    try:
        place = storage.locate(root)
        found = storage.kind(place)
        if found == "folder" and place.local:  # a disk that is no longer mounted leaves an empty folder
            with os.scandir(place.path) as listed:
                return next(listed, None) is not None
        return found != "none"
    except (OSError, BadOption):
        return False


def open_parquet(file: Place) -> Any:
    """A `pyarrow.parquet.ParquetFile` that reads as little ahead as it can.

    Raises:
        BadOption: it is no Parquet file.
    """
    try:
        return parquet.ParquetFile(file.filesystem.open_input_file(file.path), buffer_size=1 << 20, pre_buffer=False)
    except pyarrow.ArrowInvalid:
        raise BadOption(f"{file} is no Parquet file, or is damaged.") from None


def column_of_bytes(table: Any, wanted: str | None, file: Place) -> str:
    """The name of the column that pictures are read from."""
    return _column(table.schema_arrow, wanted, file)


def _is_wanted(file: Place) -> bool:
    suffix = os.path.splitext(file.name)[1].lower()  # noqa: PTH122
    wanted = suffix in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES) and not file.name.startswith(".")
    return wanted or _is_unsearched(file)


def _is_unsearched(file: Place) -> bool:
    """Whether it is a folder that could not be searched; see `storage.walk`."""
    return file.path.endswith("/")


def _is_list(file: Place) -> bool:
    """Whether it holds paths or pictures, and is none itself."""
    return file.name.lower().endswith((*_LISTS, _PARQUET))


def _address(place: Place, query: str) -> str:
    return f"{place}{query}"


def _beside(file: Place, text: str) -> Place:
    if file.local:
        return storage.locate(os.path.join(os.path.dirname(file.path), text))  # noqa: PTH118, PTH120
    return file.parent.child(text)


def _lines(file: Place) -> Iterator[str]:
    encoding = "utf-16" if storage.read(file, 2) in _UTF16 else "utf-8-sig"  # without a byte order mark
    with TextIOWrapper(file.filesystem.open_input_stream(file.path), encoding, errors="surrogateescape") as text:
        yield from filter(None, (line.strip("\r\n") for line in text))


def _texts(table: Any, name: str) -> Iterator[str]:
    for batch in table.iter_batches(batch_size=_ROWS, columns=[name]):
        yield from (text or "" for text in values(batch).to_pylist())


def values(batch: Any) -> Any:
    """The only column of a batch of rows, or what is in it where it is nested."""
    column = batch.column(0)
    while pyarrow.types.is_struct(column.type):
        (column,) = column.flatten()
    return column


def _columns(fields: Iterable[Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """(name, type) of each column of a schema, nested ones as `image.bytes`, which Hugging Face's data sets have."""
    for field in fields:
        if pyarrow.types.is_struct(field.type):
            yield from _columns(field.type.fields, f"{above}{field.name}.")
        else:
            yield above + field.name, field.type


def _column(schema: Any, wanted: str | None, file: Place) -> str:
    usable = [name for name, kind in _columns(schema) if _is_text(kind) or _is_binary(kind)]
    if wanted is not None:
        if wanted not in usable:
            raise BadOption(f"{file} has no column {wanted!r} of texts or bytes; it has {', '.join(usable) or 'none'}.")
        return wanted
    known = [name for name in _COLUMNS if name in usable]
    if not known and len(usable) != 1:
        raise BadOption(f"{file} has the columns {', '.join(usable) or 'none'} of texts or bytes. Name one: --column.")
    return known[0] if known else usable[0]


def _is_text(kind: Any) -> bool:
    types = pyarrow.types
    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_binary(kind: Any) -> bool:
    types = pyarrow.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _as_expression(pattern: str) -> str:
    """A glob as a regular expression: `*` and `?` stay within a folder, `**/` stands for any folders."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern)
    return "".join(
        parts.get(piece) or (f"[{piece[1:-1].replace('!', '^', 1)}]" if index % 2 else re.escape(piece))
        for index, piece in enumerate(pieces)
    )
