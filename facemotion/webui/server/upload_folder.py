"""The folder of a server's uploads and results: its own, and gone when it ends, or soon after.

gradio puts them into one folder that all gradio apps of the machine share, and remembers in memory what to delete: a
server that is killed leaves its visitors' photos behind. Nothing here imports gradio, which reads GRADIO_TEMP_DIR while
it is being imported.
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
LEAST_BYTES = 65_536  # that a file counts for: of empty ones there could be millions
PREFIX = "facemotion-uploads-"


def use_own_folder() -> Path:
    """Makes a folder that only this user may open, points GRADIO_TEMP_DIR at it, and has it deleted when Python ends.

    It lies inside the folder that GRADIO_TEMP_DIR named before, or else in the system's folder for temporary files.
    Folders that servers killed earlier left there are deleted; nothing else in it is touched.
    """
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()).resolve()
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # mode 700, and a name that nobody can take first
    atexit.register(remove, folder)
    for abandoned in left_behind(folder):
        remove(abandoned)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


def left_behind(folder: Path) -> list[Path]:
    """The folders beside this one that servers of the same user made and have not touched for an hour."""
    own = folder.lstat()
    others = [(other, other.lstat()) for other in folder.parent.glob(f"{PREFIX}*") if not other.is_symlink()]
    return [
        other for other, found in others if found.st_uid == own.st_uid and own.st_mtime - found.st_mtime > ABANDONED_S
    ]


def remove(folder: Path) -> None:
    """Deletes a folder; what another server is deleting at the same moment is no error."""
    shutil.rmtree(folder, ignore_errors=True)


def keep_clean(folder: Path) -> None:
    """Deletes from now on, in a thread, what has lain in the folder for settings.FILES_LIVE_S, whether or not gradio
    knows of it (it does not of pictures that came by MCP). What is there already, the page's example photos, stays."""
    kept = frozenset(files(folder))

    def run() -> None:
        while folder.is_dir():
            os.utime(folder)
            delete_old(folder, kept)
            time.sleep(settings.CLEAN_EVERY_S)

    threading.Thread(target=run, name="uploads", daemon=True).start()


def delete_old(folder: Path, kept: frozenset[Path] = frozenset()) -> None:
    """Deletes the files in a folder, at any depth, that were last written or handed out more than settings.FILES_LIVE_S
    ago, and the folders in it that have been empty for as long."""
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
    """Seconds since the file was written or handed out again; 0 when gradio has just deleted it."""
    try:
        found = file.lstat()
        return time.time() - max(found.st_mtime, found.st_ctime)  # a copy may have the mtime of what was copied
    except FileNotFoundError:
        return 0.0


def used_bytes() -> int:
    """What lies in the folder that gradio writes to, at any depth; a small file takes its place there too, and time to
    look at."""
    folder = Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir(), "gradio"))
    return sum(max(LEAST_BYTES, _size(file)) for file in files(folder))


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return 0
