"""Atomic file writes: a file gets its name when it is complete."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

_NAME_LENGTH = 40  # characters of the target's name kept, for error messages; a name may have 255 bytes


@contextlib.contextmanager
def atomic_write(*targets: Path) -> Iterator[list[Path]]:
    """Yield a temporary path beside each target, and rename them at the end.

    After an exception in the block the temporary files are deleted and the targets are as before. The names are random,
    so that threads may write the same target; the last one wins.

    Raises:
        OSError: a file cannot be given its name; those before it have theirs already.
    """
    temporary = [t.with_name(f".{t.name[:_NAME_LENGTH]}.{secrets.token_hex(4)}.part") for t in targets]
    try:
        yield temporary
        for path, target in zip(temporary, targets, strict=True):
            path.replace(target)
    finally:
        for path in temporary:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
