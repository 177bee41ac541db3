"""A real Chromium on the real page: every tab, at desktop and phone width, in light and dark, by mouse and keyboard.

Screenshots are left in test-output/ to be looked at.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from facemotion import settings
from tests.support.servers import chromium
from tests.support.servers.chromium import PATIENCE_MS, sync_api

expect = sync_api.expect
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with chromium.launched() as browser:
        yield browser


@pytest.fixture
def page(browser: sync_api.Browser, app_url: str) -> Iterator[sync_api.Page]:
    """The page at desktop width; the test fails if it asked anybody but its own server for anything."""
    with browser.new_context(viewport=DESKTOP, accept_downloads=True) as context:
        page = opened(context, app_url)
        outside: list[str] = []
        page.on("request", lambda request: outside.append(request.url))
        yield page
        assert [url for url in outside if not url.startswith((app_url, "data:", "blob:"))] == []


def opened(context: sync_api.BrowserContext, url: str) -> sync_api.Page:
    page = context.new_page()
    page.goto(url, timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="facemotion")).to_be_visible(timeout=PATIENCE_MS)
    return page


def add(page: sync_api.Page, photo: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(photo)


def gallery_input(page: sync_api.Page) -> sync_api.Locator:
    tab = page.locator("[role=tabpanel]").filter(has=page.locator("#fm-gallery-run"))
    return tab.locator("input[type=file]")


def keep(page: sync_api.Page, root: Path, name: str) -> None:
    folder = root / "test-output"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)


def test_a_photo_in_its_faces_out(page: sync_api.Page, examples: Path, root: Path) -> None:
    add(page, examples / "group.jpg")
    expect(page.get_by_text("3 faces found")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name=re.compile("Face 1 shows"))).to_be_visible()
    rows = page.get_by_role("row")
    expect(rows).to_have_count(4)
    keep(page, root, "image-desktop")

    page.locator(".fm-crops button").nth(1).click()
    expect(page.get_by_role("heading", name="Face 2 shows: happy")).to_be_visible(timeout=PATIENCE_MS)


def test_what_a_label_rests_on_is_shown_for_the_chosen_face(page: sync_api.Page, examples: Path) -> None:
    add(page, examples / "group.jpg")
    expect(page.get_by_text("3 faces found")).to_be_visible(timeout=PATIENCE_MS)
    page.locator(".fm-crops button").nth(1).click()
    expect(page.get_by_role("heading", name="Face 2 shows: happy")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="What does this label rest on?").click()
    answer = page.locator(".fm-heat")
    expect(answer).to_contain_text("“happy”", timeout=PATIENCE_MS)
    expect(answer.locator("img")).to_have_attribute("src", re.compile("^data:image/"))
    expect(page.get_by_text("Something went wrong")).to_have_count(0)


def test_labels_are_hidden_without_a_new_analysis(page: sync_api.Page, examples: Path) -> None:
    add(page, examples / "group.jpg")
    expect(page.get_by_text("3 faces found")).to_be_visible(timeout=PATIENCE_MS)
    summary = page.get_by_text("3 faces found").inner_text()
    picture = page.get_by_alt_text(re.compile("numbered box"))
    before = picture.get_attribute("src")
    page.get_by_label("Show labels in the picture").uncheck()
    expect(picture).not_to_have_attribute("src", before or "", timeout=PATIENCE_MS)
    assert page.get_by_text("3 faces found").inner_text() == summary


def test_downloads(page: sync_api.Page, examples: Path) -> None:
    add(page, examples / "group.jpg")
    expect(page.get_by_text("3 faces found")).to_be_visible(timeout=PATIENCE_MS)
    contents = {}
    for name in ("picture", "CSV", "JSON"):
        with page.expect_download(timeout=PATIENCE_MS) as download:
            page.get_by_role("button", name=f"Download {name}").click()
        contents[name] = download.value.path().read_bytes()
    assert contents["picture"][:3] == b"\xff\xd8\xff"
    assert len(contents["CSV"].splitlines()) == 4
    assert len(json.loads(contents["JSON"])["faces"]) == 3


def test_no_faces_and_no_picture_are_answered_in_words(
    page: sync_api.Page, tmp_path: Path, examples: Path, root: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (320, 240), "seagreen").save(tmp_path / "meadow.png")
    add(page, tmp_path / "meadow.png")
    expect(page.get_by_text("No faces found")).to_be_visible(timeout=PATIENCE_MS)
    keep(page, root, "image-no-faces")


def test_a_bad_file_is_refused_with_a_sentence_and_the_page_goes_on(
    page: sync_api.Page, tmp_path: Path, examples: Path
) -> None:
    add(page, examples / "group.jpg")
    expect(page.get_by_text("3 faces found")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Remove Image").click()
    (tmp_path / "notes.png").write_text("not a picture")
    add(page, tmp_path / "notes.png")
    expect(page.get_by_text("This seems to be a text file")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("3 faces found")).to_be_hidden(timeout=PATIENCE_MS)  # another photo's
    page.reload()
    expect(page.get_by_role("heading", name="facemotion")).to_be_visible(timeout=PATIENCE_MS)
    add(page, examples / "astronaut.png")
    expect(page.get_by_text("1 face found")).to_be_visible(timeout=PATIENCE_MS)


def test_the_gallery_reads_the_examples_and_opens_one(page: sync_api.Page, root: Path) -> None:
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_role("button", name="Use the example photos").click()
    expect(page.locator("#fm-gallery-status")).to_contain_text("faces in 6 photos", timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="Faces per expression")).to_be_visible()
    first = page.locator("#fm-gallery button").filter(has_text="astronaut").first
    label, photo = page.locator("#fm-gallery label").bounding_box(), first.bounding_box()
    assert label and photo and label["y"] + label["height"] <= photo["y"]  # the label hides no face
    first.click()
    expect(page.get_by_role("heading", name="astronaut.png")).to_be_visible(timeout=PATIENCE_MS)
    keep(page, root, "gallery-desktop")


def test_the_gallery_names_a_bad_file_and_packs_the_rest(page: sync_api.Page, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("not a picture")
    page.get_by_role("tab", name="Gallery").click()
    photos = [examples / "astronaut.png", tmp_path / "notes.jpg", examples / "rotated.jpg"]
    gallery_input(page).set_input_files(photos)
    expect(page.get_by_role("row", name="rotated.jpg")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Find the faces").click()
    status = page.locator("#fm-gallery-status")
    expect(status).to_contain_text("2 faces in 2 photos", timeout=PATIENCE_MS)
    expect(status).to_contain_text("notes.jpg: This seems to be a text file")
    with page.expect_download(timeout=PATIENCE_MS) as download:
        page.get_by_role("button", name="Download pictures (zip)").click()
    with ZipFile(download.value.path()) as packed:
        assert len(packed.namelist()) == 2
        assert packed.testzip() is None


def test_a_gallery_can_be_cancelled_and_keeps_what_was_read(
    page: sync_api.Page, examples: Path, tmp_path: Path
) -> None:
    photos = [shutil.copy(examples / "small.jpg", tmp_path / f"{number}.jpg") for number in range(50)]
    page.get_by_role("tab", name="Gallery").click()
    gallery_input(page).set_input_files(photos)
    expect(page.get_by_role("row", name="49.jpg")).to_be_attached(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Find the faces").click()
    status = page.locator("#fm-gallery-status")
    expect(status).to_contain_text(re.compile(r"[1-9]\d* of 50 photos read"), timeout=PATIENCE_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(status).to_contain_text(re.compile(r"Cancelled after \d+ of 50"), timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Find the faces")).to_be_visible(timeout=PATIENCE_MS)


def test_about_says_which_weights_how_good_and_what_not_to_use_them_for(page: sync_api.Page, root: Path) -> None:
    page.get_by_role("tab", name="About").click()
    about = page.get_by_role("article")
    for text in (f"{settings.CLASSIFIER} (embedded", "Accuracy", "Article 5(1)(f)", "Article 50(3)", "Nothing is kept"):
        expect(about).to_contain_text(text)
    expect(about.locator("table tbody tr")).to_have_count(7)
    keep(page, root, "about-desktop")


def test_the_threshold_is_set_by_keyboard(page: sync_api.Page, examples: Path) -> None:
    add(page, examples / "group.jpg")
    expect(page.get_by_text("3 faces found")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Detection").click()
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("End")
    expect(page.get_by_text("3 faces found")).to_be_hidden(timeout=PATIENCE_MS)


def test_the_tabs_work_by_keyboard(page: sync_api.Page) -> None:
    page.get_by_role("tab", name="Image").focus()
    page.keyboard.press("Tab")
    for _ in range(4):
        if page.evaluate("document.activeElement.getAttribute('role')") == "tab":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    selected = page.get_by_role("tab", selected=True)
    expect(selected).not_to_have_text("Image")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: sync_api.Browser, app_url: str, examples: Path, root: Path, scheme: str
) -> None:
    with browser.new_context(viewport=PHONE, color_scheme=scheme, has_touch=True) as context:
        page = opened(context, app_url)
        for tab in ("Webcam", "Gallery", "About", "Image"):
            page.get_by_role("tab", name=tab).click()
            page.wait_for_timeout(300)
            if tab == "Image":
                add(page, examples / "astronaut.png")
                expect(page.get_by_text("1 face found")).to_be_visible(timeout=PATIENCE_MS)
            keep(page, root, f"{tab.lower()}-phone-{scheme}")
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
