"""Hostile files chosen in a real browser: each is answered with its sentence, and the next photo is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facemotion import images, settings
from facemotion.errors import InputError
from tests.support.media import crafted
from tests.support.media.bad_inputs import FILES
from tests.support.servers import chromium
from tests.support.servers.chromium import PATIENCE_MS, sync_api

expect = sync_api.expect
pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
ROWS = (2, 3, 5, 7, 8, 10, 12)
REFUSED = list({case.row: case for case in FILES if case.row in ROWS and case.error is not None}.values())


@pytest.fixture(scope="module")
def page(app_url: str) -> Iterator[sync_api.Page]:
    with chromium.launched() as browser, browser.new_context() as context:
        page = context.new_page()
        page.goto(app_url, timeout=PATIENCE_MS)
        expect(page.get_by_role("heading", name="facemotion")).to_be_visible(timeout=PATIENCE_MS)
        yield page


def add(page: sync_api.Page, path: Path) -> None:
    """Chooses a file, in the place of the one that may be there."""
    remove = page.get_by_label("Clear").or_(page.get_by_label("Remove Image")).first
    if remove.is_visible():
        remove.click()
    page.locator("input[type=file]").first.set_input_files(path)


def written(folder: Path, name: str, data: bytes) -> Path:
    """Under a name that the page's own filter by suffix lets pass."""
    path = folder / f"{Path(name).stem}.png"
    path.write_bytes(data)
    return path


def sentence(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        images.load(data)
    return caught.value.message


def test_each_file_is_told_its_sentence_and_a_photo_is_read_after_all(
    page: sync_api.Page, examples: Path, tmp_path: Path
) -> None:
    assert len(REFUSED) == len(ROWS)
    for case in REFUSED:
        add(page, written(tmp_path, case.name, case.make()))
        toast = page.locator(".toast-body").filter(has_text=sentence(case.make()))
        expect(toast).to_be_visible(timeout=PATIENCE_MS)
        page.locator(".toast-close").first.click()
    add(page, examples / "astronaut.png")
    expect(page.get_by_text("1 face found")).to_be_visible(timeout=PATIENCE_MS)


def test_a_file_above_the_limit_is_said_to_be(page: sync_api.Page, tmp_path: Path) -> None:
    add(page, written(tmp_path, "long", crafted.png() + bytes(settings.MAX_FILE_BYTES)))
    expect(page.get_by_text("larger than").or_(page.get_by_text("exceeds")).first).to_be_visible(timeout=PATIENCE_MS)
