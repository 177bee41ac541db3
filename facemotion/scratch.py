"""Temporary folders for files that other libraries would keep in the home folder."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def use_for(*variables: str) -> None:
    """Point environment variables at folders that are deleted when Python ends.

    Call it before the library that reads a variable is imported. A variable that is set already keeps its value: a
    user's own setting stands.

    Args:
        variables: names such as MPLCONFIGDIR, each of a folder that a library writes to.
    """
    missing = [name for name in variables if name not in os.environ]
    if not missing:
        return
    parent = tempfile.mkdtemp(prefix="facemotion-")
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    for name in missing:
        folder = Path(parent, name.lower())
        folder.mkdir()
        os.environ[name] = str(folder)
