"""A real Chromium for the tests, wherever it comes from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")
PATIENCE_MS = 60_000  # a busy machine draws the first page slowly


@contextmanager
def launched(*arguments: str) -> Iterator[sync_api.Browser]:
    """A browser with these command-line arguments; the test is skipped where there is none."""
    with sync_api.sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), None) or playwright.chromium.executable_path
        if not Path(found).exists():
            pytest.skip("there is no Chromium: install Debian's chromium, or run `playwright install chromium`")
        browser = playwright.chromium.launch(executable_path=found, args=[*QUIET, *arguments])
        yield browser
        browser.close()
