"""Files that get their names only when they are complete, and are gone when the work breaks off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from facemotion.errors import StorageError


@contextlib.contextmanager
def under_other_names(*targets: Path) -> Iterator[list[Path]]:
    """Gives a path beside each target to write to. At the end they are renamed; after an exception they are deleted.

    Raises:
        StorageError: a file cannot be given its name.
    """
    parts = [target.with_name(f".{target.name}.part") for target in targets]
    try:
        yield parts
        for part, target in zip(parts, targets, strict=True):
            part.replace(target)
    except OSError as error:
        raise StorageError(
            f"{targets[0].name!r} could not be written: {error.strerror or error}. Is the disk full, or the folder "
            "missing or read-only?"
        ) from error
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
