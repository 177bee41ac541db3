"""A model's name in, a verified local file out: the only module here that talks to the Hub."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path

from facemotion.errors import ChecksumMismatch, UnknownModel

CHECKSUMS = "SHA256SUMS"


def embedded(name: str) -> Path:
    """The folder of the weights that are installed with the package under that name, their checksums compared.

    Raises:
        UnknownModel: there are none of that name.
        ChecksumMismatch: a file is missing, or is not the one that was published.
    """
    assets = Path(str(resources.files("facemotion") / "assets"))
    listed = [line.split(maxsplit=1) for line in (assets / CHECKSUMS).read_text().splitlines()]
    files = {path: checksum for checksum, path in listed if path.startswith(f"{name}/")}
    if not files:
        raise UnknownModel(f"No weights named {name!r} are installed with this package.")
    for path, checksum in files.items():
        if not (assets / path).is_file() or sha256(assets / path) != checksum:
            raise ChecksumMismatch(f"The installed file {path} is damaged or missing. Install facemotion again.")
    return assets / name


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal; computed once for a path, size and time of change."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
