"""Private temporary folder for uploads and results, deleted when the server ends.

Gradio uses a folder that all its apps on the machine share, and keeps in memory what to delete: a server that is killed
leaves its visitors' photos behind. Nothing here imports Gradio, which reads GRADIO_TEMP_DIR when it is imported.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from facemotion import settings

ABANDONED_S = 3600  # a server touches its folder every settings.CLEAN_EVERY_S
LEAST_BYTES = 65_536  # counted for a smaller file: there could be millions of empty files
PREFIX = "facemotion-uploads-"


def use_own_folder() -> Path:
    """Create a folder that only this user may open, and point GRADIO_TEMP_DIR at it.

    It is deleted when Python ends.

    It lies inside the folder that GRADIO_TEMP_DIR named before, or else in the system's folder for temporary files.
    Folders that servers killed earlier left there are deleted; nothing else in it is touched.
    """
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()).resolve()
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # mode 700, and a name that cannot be guessed
    atexit.register(remove, folder)
    for abandoned in left_behind(folder):
        remove(abandoned)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


def left_behind(folder: Path) -> list[Path]:
    """Folders of servers of the same user that ended without deleting them, an hour ago or more."""
    own = folder.lstat()
    others = [(other, other.lstat()) for other in folder.parent.glob(f"{PREFIX}*") if not other.is_symlink()]
    return [
        other for other, found in others if found.st_uid == own.st_uid and own.st_mtime - found.st_mtime > ABANDONED_S
    ]


def remove(folder: Path) -> None:
    """Delete a folder; another server may be deleting it at the same time."""
    shutil.rmtree(folder, ignore_errors=True)


def keep_clean(folder: Path) -> None:
    """Start a thread that deletes files older than settings.FILES_LIVE_S.

    It includes files that Gradio does not know of, such as images sent by MCP. Files that are already there, the
    example photos of the page, stay.
    """
    kept = frozenset(files(folder))

    def run() -> None:
        while folder.is_dir():
            os.utime(folder)
            delete_old(folder, kept)
            time.sleep(settings.CLEAN_EVERY_S)

    threading.Thread(target=run, name="uploads", daemon=True).start()


def delete_old(folder: Path, kept: frozenset[Path] = frozenset()) -> None:
    """Delete files, at any depth, last written or served more than settings.FILES_LIVE_S ago.

    Folders that have been empty for as long are deleted too.
    """
    for file in files(folder):
        if file not in kept and age_s(file) > settings.FILES_LIVE_S:
            file.unlink(missing_ok=True)
    for parent, _, _ in os.walk(folder, topdown=False):
        if Path(parent) != folder and age_s(Path(parent)) > settings.FILES_LIVE_S:
            with suppress(OSError):  # it is not empty
                Path(parent).rmdir()


def files(folder: Path) -> Iterator[Path]:
    """Every file in a folder, at any depth."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def age_s(file: Path) -> float:
    """Seconds since the file was written or served; 0 when it has just been deleted."""
    try:
        found = file.lstat()
        return time.time() - max(found.st_mtime, found.st_ctime)  # a copy may keep the mtime of its source
    except FileNotFoundError:
        return 0.0


def used_bytes() -> int:
    """Size of Gradio's folder in bytes. A small file counts as `LEAST_BYTES`."""
    folder = Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir(), "gradio"))
    return sum(max(LEAST_BYTES, _size(file)) for file in files(folder))


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return 0
