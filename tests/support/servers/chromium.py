"""A real Chromium for the tests, wherever it comes from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")
PATIENCE_MS = 120_000  # a busy machine draws the first page slowly
sync_api.expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def launched(*arguments: str, beside: sync_api.Browser | None = None) -> Iterator[sync_api.Browser]:
    """A browser with these command-line arguments; the test is skipped where there is none. While another one runs in
    this thread, it has to be named by `beside`: Playwright is started only once."""
    if beside is not None:
        browser = beside.browser_type.launch(executable_path=_found(beside.browser_type), args=[*QUIET, *arguments])
        yield _patient(browser)
        browser.close()
        return
    with sync_api.sync_playwright() as playwright:
        path = _found(playwright.chromium)
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, *arguments])
        yield _patient(browser)
        browser.close()


def _patient(browser: sync_api.Browser) -> sync_api.Browser:
    """The browser, whose pages wait for `PATIENCE_MS`; Playwright gives up after 30 seconds."""
    for name in ("new_context", "new_page"):
        setattr(browser, name, _with_patience(getattr(browser, name)))
    return browser


def _with_patience(create: Callable[..., Any]) -> Callable[..., Any]:
    def patient(**options: Any) -> Any:
        created = create(**options)
        created.set_default_timeout(PATIENCE_MS)
        return created

    return patient


def _found(kind: sync_api.BrowserType) -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None) or kind.executable_path
    if not Path(found).exists():
        pytest.skip("there is no Chromium: install Debian's chromium, or run `playwright install chromium`")
    return found


def nodes(page: sync_api.Page) -> int:
    """How many nodes of its document a page keeps in memory, those that are no longer shown included."""
    session = page.context.new_cdp_session(page)
    try:
        session.send("Performance.enable")
        session.send("HeapProfiler.collectGarbage")
        metrics = session.send("Performance.getMetrics")["metrics"]
        return int(next(metric["value"] for metric in metrics if metric["name"] == "Nodes"))
    finally:
        session.detach()
