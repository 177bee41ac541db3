"""The example photos that the page offers."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def example_photos() -> list[str]:
    """The paths of the example photos, by name."""
    folder = Path(str(files("facemotion") / "assets" / "examples"))
    return [str(path) for path in sorted(folder.iterdir()) if path.suffix in {".jpg", ".png"}]
