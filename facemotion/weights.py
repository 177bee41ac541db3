"""Model files by name, verified; the only module that talks to the Hub."""

from __future__ import annotations

import errno
import hashlib
import re
import time
from functools import lru_cache
from importlib import resources
from pathlib import Path
from threading import Thread
from typing import Any

from facemotion import settings
from facemotion.errors import (
    AccessDenied,
    ChecksumMismatch,
    HubUnavailable,
    RevisionNotFound,
    StorageError,
    UnknownModel,
    WeightsError,
)

CHECKSUMS = "SHA256SUMS"
_ATTEMPTS = 2  # a damaged file is downloaded once more
_DURATION_FACTOR = 15  # times HUB_TIMEOUT_S: the limit of a slow download
_POLL_S = 0.05
_BUSY_S = 3  # seconds to wait for a busy Hub without Retry-After
_CHUNK_BYTES = 64 * 1024
_STORAGE_ERRNOS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
)


def embedded(name: str) -> Path:
    """Folder of embedded weights, with verified checksums.

    Raises:
        UnknownModel: there are none of that name.
        ChecksumMismatch: a file is missing, or is not the one that was published.
    """
    assets = _assets()
    files = {path: checksum for path, checksum in _checksums().items() if path.startswith(f"{name}/")}
    if not files:
        raise UnknownModel(f"No weights named {name!r} are installed with this package.")
    for path, checksum in files.items():
        if not (assets / path).is_file() or sha256(assets / path) != checksum:
            raise ChecksumMismatch(f"The installed file {path} is damaged or missing. Install facemotion again.")
    return assets / name


def embedded_with(filename: str) -> tuple[str, ...]:
    """Names of the embedded models whose folder holds that file."""
    parts = [path.split("/", 1) for path in _checksums()]
    return tuple(folder for folder, file in parts if file == filename)


def _assets() -> Path:
    return Path(str(resources.files("facemotion") / "assets"))


def _checksums() -> dict[str, str]:
    """Mapping of paths in the assets to SHA-256 in hexadecimal."""
    lines = (_assets() / CHECKSUMS).read_text("utf-8").splitlines()
    return {path: checksum for checksum, path in (line.split(maxsplit=1) for line in lines if line.strip())}


def resolve(reference: settings.Reference, filename: str) -> Path:
    """Path of a model file on the Hub, from the cache or downloaded, verified.

    It is held against `reference.sha256`, else against the Hub's own object id. A pinned revision that is in the
    cache is answered without a request. A file that differs is deleted and fetched once more.

    Raises:
        HubUnavailable: no answer, or none for `settings.HUB_TIMEOUT_S`.
        AccessDenied: the repository is private, gated or absent.
        RevisionNotFound: the repository has no such revision or file.
        ChecksumMismatch: the bytes are not those that were asked for.
        StorageError: the cache folder is full or cannot be written.
        UnknownModel: the reference is no possible name of a repository.
    """
    for _ in range(_ATTEMPTS):
        path = _download(reference, filename)
        if _is_intact(path, reference.sha256):
            return path
        _delete(path)
    expected = f"the SHA-256 {reference.sha256}" if reference.sha256 else "the checksum that the Hub names"
    raise ChecksumMismatch(
        f"{filename} of {reference.repo} does not have {expected}, also when fetched again. It was deleted. Check the "
        "reference, or try again later."
    )


def pinned(reference: settings.Reference, path: Path) -> settings.Reference:
    """The full reference, with revision and checksum, of a file that `resolve` returned."""
    parts = path.parts
    revision = parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-1] else reference.revision
    return settings.Reference(reference.repo, revision, sha256(path))


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, cached by path, size and modification time."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _is_intact(path: Path, expected: str | None) -> bool:
    """Compare with a SHA-256, else with the object id of the Hub.

    A large file's id is its SHA-256, a small one's the hash that git gives it. The cache links the file's name to one
    that is the id; where it holds no links (Windows without the right to make them) only a given checksum is compared.
    """
    if expected is not None:
        return sha256(path) == expected
    object_id = path.readlink().name if path.is_symlink() else ""
    if re.fullmatch("[0-9a-f]{64}", object_id):
        return sha256(path) == object_id
    if re.fullmatch("[0-9a-f]{40}", object_id):
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == object_id
    return True


def _delete(path: Path) -> None:
    """Delete a file and all links to it: the cache may keep content in a second place shared by repositories."""
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink(missing_ok=True)
        path = target
    path.unlink(missing_ok=True)


class _Download(Thread):
    """A download in a thread, which may hang; `progress_at` is when bytes last arrived."""

    def __init__(self, reference: settings.Reference, filename: str) -> None:
        super().__init__(name=f"download {filename}", daemon=True)
        self._reference, self._filename = reference, filename
        self.started_at = self.progress_at = time.monotonic()
        self.path: Path | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.path = self._fetch()
        except Exception as error:
            self.error = error

    def _fetch(self) -> Path:
        import huggingface_hub  # noqa: PLC0415
        from huggingface_hub.utils.tqdm import tqdm  # noqa: PLC0415

        download = self

        class Progress(tqdm):
            def update(self, n: float | None = 1) -> Any:
                download.progress_at = time.monotonic()
                return super().update(n)

        repo, revision = self._reference.repo, self._reference.revision
        if not isinstance(huggingface_hub.try_to_load_from_cache(repo, self._filename, revision=revision), str):
            _probe(repo, self._filename, revision)
        # Chunks of 10 MB would hide progress, and be lost when the connection breaks.
        constants = huggingface_hub.constants
        constants.DOWNLOAD_CHUNK_SIZE = min(constants.DOWNLOAD_CHUNK_SIZE, _CHUNK_BYTES)
        path = huggingface_hub.hf_hub_download(repo, self._filename, revision=revision, tqdm_class=Progress)
        return Path(path)

    @property
    def timed_out(self) -> bool:
        now, limit = time.monotonic(), settings.HUB_TIMEOUT_S
        return now - self.progress_at > limit or now - self.started_at > _DURATION_FACTOR * limit


def _download(reference: settings.Reference, filename: str) -> Path:
    """Download or take from the cache, within the time limit: the library retries for longer."""
    from huggingface_hub import hf_hub_download  # noqa: F401, PLC0415  (the import takes a second, outside the time limit)

    download = _Download(reference, filename)
    download.start()
    while download.is_alive():
        download.join(_POLL_S)
        if download.is_alive() and download.timed_out:
            raise HubUnavailable(
                f"The Hub did not deliver {filename} of {reference.repo} within {settings.HUB_TIMEOUT_S} seconds. Try "
                "again later, or name a local file."
            )
    if download.error is not None:
        raise _translate_error(download.error, reference, filename) from download.error
    assert download.path is not None  # path or error is set when the thread ends
    return download.path


def _probe(repo: str, filename: str, revision: str | None) -> None:
    """Request the headers of a file once, twice if the Hub is busy, and pass on the errors.

    The library itself tries a Hub that is down for 23 seconds, and this may be a page that is about to start.
    """
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url  # noqa: PLC0415

    url = hf_hub_url(repo, filename, revision=revision)
    try:
        get_hf_file_metadata(url, timeout=settings.HUB_TIMEOUT_S)
    except errors.HfHubHTTPError as error:
        wait = error.response.headers.get("Retry-After", str(_BUSY_S))
        if error.response.status_code != 429 or not wait.isdecimal() or int(wait) > settings.HUB_TIMEOUT_S / 2:
            raise
        time.sleep(int(wait))
        get_hf_file_metadata(url, timeout=settings.HUB_TIMEOUT_S)


def _translate_error(error: Exception, reference: settings.Reference, filename: str) -> Exception:
    """The error of this package for an error of the Hub's library; its text is not passed on."""
    from huggingface_hub import constants, errors  # noqa: PLC0415

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # "not in the cache either": its cause says why
    revision = reference.revision or "main"
    if isinstance(error, errors.HFValidationError):
        return UnknownModel(f"{reference.repo!r} is no possible name of a repository. Write owner/name.")
    if isinstance(error, errors.RevisionNotFoundError):
        return RevisionNotFound(f"{reference.repo} has no revision {revision!r}. Check the pin.")
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return RevisionNotFound(f"{reference.repo} has no file {filename} at revision {revision!r}. Check the pin.")
    if isinstance(error, errors.HfHubHTTPError):
        return _translate_status(error, reference.repo, filename)
    if isinstance(error, OSError) and error.errno in _STORAGE_ERRNOS:
        return StorageError(
            f"{filename} cannot be stored in the cache folder {constants.HF_HUB_CACHE}: it is full or cannot be "
            "written. Make room, or set HF_HOME to another folder."
        )
    return _unreachable(reference.repo, filename, type(error).__name__)


def _translate_status(error: Any, repo: str, filename: str) -> WeightsError:
    status = error.response.status_code
    if status in (401, 403, 404):  # the Hub answers 401 or 404 for private repositories
        return AccessDenied(
            f"The Hub does not give access to {repo}: it does not exist, or is private or gated. Check the name; if it "
            "is right, accept its terms on the Hub and set HF_TOKEN to a token that may read it."
        )
    return _unreachable(repo, filename, f"status {status}")


def _unreachable(repo: str, filename: str, reason: str) -> HubUnavailable:
    return HubUnavailable(
        f"The Hub cannot be reached for {filename} of {repo} ({reason}). Try again later, or name a local file."
    )
