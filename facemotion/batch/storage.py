"""Files of this machine, of object stores and of HDFS under one interface; writing is whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from pyarrow import ArrowInvalid, fs

from facemotion.errors import BadOption, DestinationError

_Answer = TypeVar("_Answer")

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://(?P<rest>.*)", re.DOTALL)
_QUERY = re.compile(r"\?(\w+=[^?&]*(&\w+=[^?&]*)*)$")  # a ? without = is a glob's
_ATOMIC_PUT = frozenset(["s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"])  # no half an object is ever seen
_WAITS_S = (0.5, 2.0, 5.0)  # between the tries of a store that does not answer
_PART = ".part"
OWN_FOLDER = "_facemotion"
"""What a run keeps beside its results."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder: `path` in `filesystem`; `prefix` is what stands before it in an address, "" on this machine."""

    filesystem: Any
    path: str
    prefix: str = ""

    @property
    def local(self) -> bool:
        """Whether it is of this machine's own file system."""
        return not self.prefix

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def parent(self) -> Place:
        """The folder it lies in."""
        return Place(self.filesystem, self.path.rstrip("/").rpartition("/")[0], self.prefix)

    def child(self, name: str) -> Place:
        """What is called `name` in this folder."""
        return Place(self.filesystem, f"{self.path.rstrip('/')}/{name}", self.prefix)

    def __str__(self) -> str:
        return self.prefix + self.path


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a folder; `bytes` is the size of a file."""

    place: Place
    is_folder: bool
    bytes: int


def locate(address: str) -> Place:
    """The place that a path, or an address such as `s3://bucket/folder`, names. Nothing is opened yet.

    Options of a store follow a question mark, as `s3://bucket/folder?endpoint_override=localhost:9000&scheme=http`.

    Raises:
        BadOption: the address holds a password, or no package for its kind is installed.
        ConnectionError: the store does not answer; S3 is asked for the region of a bucket.
    """
    check(address)
    match = _SCHEME.fullmatch(address)
    if match is None:
        return Place(_this_machine(), os.path.abspath(address))  # noqa: PTH100 - resolve() would follow links
    scheme, rest = match["scheme"].lower(), match["rest"]
    if scheme == "file":
        return Place(_this_machine(), os.path.abspath(unquote(urlsplit(address).path)))  # noqa: PTH100
    query = options_of(address)
    host, slash, path = rest.removesuffix(query).partition("/")
    filesystem, base = _store(scheme, host, query)
    prefix = f"{scheme}://" if base else f"{scheme}://{host}"
    return Place(filesystem, f"{base}/{path}" if base else f"{slash}{path}", prefix)


def check(address: str) -> None:
    """Refuses an address with a password, which would be written down in the list of what is to be done.

    Raises:
        BadOption: it holds one.
    """
    match = _SCHEME.fullmatch(address)
    if match is not None and ":" in match["rest"].partition("/")[0].rpartition("@")[0]:
        raise BadOption(
            f"The address {match['scheme']}://... holds a password. Leave it out: stores take theirs from the "
            "environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from their own configuration."
        )


def is_here(address: str) -> bool:
    """Whether an address is of this machine's own file system; nobody is asked."""
    match = _SCHEME.fullmatch(address)
    return match is None or match["scheme"].lower() == "file"


def bucket_of(address: str) -> str:
    """The bucket or server of an address, with its options; "" on this machine."""
    match = None if is_here(address) else _SCHEME.fullmatch(address)
    return f"{match['scheme']}://{match['rest'].partition('/')[0]}{options_of(address)}" if match else ""


def options_of(address: str) -> str:
    """The store's options in an address, question mark included; "" where there are none."""
    found = _QUERY.search(address) if _SCHEME.fullmatch(address) else None
    return found[0] if found else ""


@lru_cache(maxsize=1)
def _this_machine() -> Any:
    return fs.LocalFileSystem()


@lru_cache(maxsize=64)
def _store(scheme: str, host: str, query: str) -> tuple[Any, str]:
    """The file system, and the bucket that begins its paths, or "" where paths begin with a slash."""
    address = f"{scheme}://{host}/{query}"
    try:
        filesystem, base = fs.FileSystem.from_uri(address)
        return filesystem, base.strip("/")
    except (ArrowInvalid, NotImplementedError):
        pass
    except OSError as error:
        raise ConnectionError(f"{scheme}://{host} cannot be reached: {_first_line(error)}.") from None
    import fsspec  # noqa: PLC0415

    try:
        other, base = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise BadOption(f"{scheme}:// addresses cannot be opened: {_first_line(error)}.") from None
    return fs.PyFileSystem(fs.FSSpecHandler(other)), "" if base == "/" else str(base).strip("/")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def patiently(call: Callable[[], _Answer]) -> _Answer:
    """`call`, again after a while when a store did not answer; a missing or forbidden file is an answer."""
    for wait_s in _WAITS_S:
        try:
            return call()
        except (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError):
            raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            time.sleep(wait_s)
    return call()


def kind(place: Place) -> str:
    """ "file", "folder" or "none"."""
    if place.local:
        path = Path(place.path)
        return "folder" if path.is_dir() else "file" if path.exists() else "none"
    info = patiently(lambda: place.filesystem.get_file_info(place.path.rstrip("/")))
    return {fs.FileType.File: "file", fs.FileType.Directory: "folder"}.get(info.type, "none")


def size(place: Place) -> int | None:
    """The bytes of a file; None where there is none."""
    info = patiently(lambda: place.filesystem.get_file_info(place.path))
    return int(info.size) if info.type == fs.FileType.File else None


def entries(folder: Place) -> list[Entry]:
    """What lies in a folder, by name; links to folders are left out, because they may lead round in a circle."""
    if not folder.local:
        selector = fs.FileSelector(folder.path.rstrip("/"), recursive=False, allow_not_found=True)
        infos = patiently(lambda: folder.filesystem.get_file_info(selector))
        found = [
            Entry(
                Place(folder.filesystem, info.path, folder.prefix), info.type == fs.FileType.Directory, info.size or 0
            )
            for info in infos
        ]
        return sorted(found, key=lambda entry: entry.place.path)
    found = []
    with os.scandir(folder.path) as listed:
        found = [
            Entry(folder.child(one.name), one.is_dir(follow_symlinks=False), _size(one))
            for one in listed
            if not _leads_to_a_folder(one)
        ]
    return sorted(found, key=lambda entry: entry.place.path)


def _leads_to_a_folder(one: os.DirEntry[str]) -> bool:
    """Whether it is a link to a folder; one that leads to itself leads nowhere."""
    try:
        return one.is_symlink() and one.is_dir()
    except OSError:
        return False


def _size(one: os.DirEntry[str]) -> int:
    try:
        return one.stat(follow_symlinks=False).st_size
    except OSError:  # it was deleted meanwhile
        return 0


def walk(folder: Place, depth: int | None = None) -> Iterator[Place]:
    """The files in a folder and in the folders within it, down to `depth` of them, in a fixed order.

    Folders whose names begin with a dot, and those that a run keeps for itself, are passed over. A folder within that
    cannot be searched comes as a place whose path ends with a slash. One folder's names are in memory at a time, and
    those of the folders that are still to be searched.

    Raises:
        OSError: the folder itself cannot be searched.
    """
    waiting = [(folder, 0)]
    while waiting:
        at, level = waiting.pop()
        try:
            found = entries(at)
        except OSError as error:
            if level == 0 or not (at.local or isinstance(error, PermissionError)):
                raise
            yield at.child("")
            continue
        yield from (entry.place for entry in found if not entry.is_folder)
        if depth is None or level < depth:
            deeper = [entry.place for entry in found if entry.is_folder and not _is_passed_over(entry.place.name)]
            waiting += [(place, level + 1) for place in reversed(deeper)]


def _is_passed_over(folder: str) -> bool:
    return folder.startswith(".") or folder == OWN_FOLDER


def read(place: Place, limit: int | None = None) -> bytes:
    """The bytes of a file, or the first `limit` of them.

    Raises:
        OSError: of its kinds.
    """
    if place.local:
        with Path(place.path).open("rb") as file:
            return file.read() if limit is None else file.read(limit)

    def fetch() -> bytes:
        with place.filesystem.open_input_stream(place.path) as stream:
            return bytes(stream.read() if limit is None else stream.read(limit))

    return patiently(fetch)


def write(place: Place, data: bytes) -> None:
    """Puts a whole file in place at once: nobody ever sees a part of it under that name.

    Raises:
        DestinationError: it cannot be written.
    """
    try:
        if place.local:
            _write_here(Path(place.path), data)
        elif place.prefix.partition(":")[0] in _ATOMIC_PUT:
            patiently(lambda: _put(place, data))
        else:
            beside = place.parent.child(f".{place.name}.{uuid.uuid4().hex}{_PART}")
            patiently(lambda: place.filesystem.create_dir(place.parent.path, recursive=True))
            patiently(lambda: _put(beside, data))
            patiently(lambda: place.filesystem.move(beside.path, place.path))
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or _first_line(error)
        raise DestinationError(
            f"Results cannot be written to {place.parent}: {reason}. Make room or mend that, then go on with --resume."
        ) from error


def _put(place: Place, data: bytes) -> None:
    """Without `with`, which would complete an upload that has failed."""
    stream = place.filesystem.open_output_stream(place.path)
    stream.write(data)
    stream.close()


def _write_here(target: Path, data: bytes) -> None:
    try:
        _write_whole(target, data)
    except FileNotFoundError:  # another start of the same run took the temporary file for one that was left behind
        _write_whole(target, data)


def _write_whole(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}{_PART}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def remove(place: Place) -> None:
    """Deletes a file, if it is there."""
    with suppress(FileNotFoundError):
        place.filesystem.delete_file(place.path)


def remove_parts(folder: Place) -> None:
    """Deletes what writers that were killed have left in a folder."""
    if kind(folder) == "folder":
        for entry in entries(folder):
            if entry.place.name.startswith(".") and entry.place.name.endswith(_PART):
                remove(entry.place)
