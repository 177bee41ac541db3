"""A real Chromium and the Video tab: a file becomes an annotated video that plays; Stop ends the work; photos go on."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.media.synthetic_videos import ONE, Recipe, write
from tests.support.servers import chromium
from tests.support.servers.chromium import PATIENCE_MS, sync_api

pytestmark = pytest.mark.slow

SLOW_MS = 3 * PATIENCE_MS  # two seconds of video on a busy machine


@pytest.fixture(scope="module")
def page() -> Iterator[sync_api.Page]:
    with chromium.launched() as browser:
        yield browser.new_page(viewport={"width": 1280, "height": 900})


def open_video(page: sync_api.Page, url: str) -> sync_api.Locator:
    page.goto(url, timeout=PATIENCE_MS)
    page.get_by_role("tab", name="Video").click()
    status = page.locator("#fm-video-status")
    sync_api.expect(status).to_contain_text("Add a video", timeout=PATIENCE_MS)
    return status


def choose(page: sync_api.Page, file: Path) -> None:
    page.locator("#fm-video-file input[type=file]").set_input_files(file)
    sync_api.expect(page.locator("#fm-video-file")).to_contain_text(file.stem, timeout=PATIENCE_MS)


def give(page: sync_api.Page, file: Path) -> None:
    choose(page, file)
    page.get_by_role("button", name="Find the faces").last.click()


@pytest.mark.timeout(400)
def test_a_video_is_annotated_and_plays(page: sync_api.Page, app_url: str, root: Path, tmp_path: Path) -> None:
    status = open_video(page, app_url)
    give(page, write(tmp_path / "clip.mp4", ONE, Recipe(seconds=2)))
    sync_api.expect(status).to_contain_text("1 face followed", timeout=SLOW_MS)
    sync_api.expect(status).to_contain_text("The sound is untouched")
    people = page.locator("#fm-video-people")
    sync_api.expect(people.locator(".fm-band span").first).to_have_text("happy")
    assert re.search(r"1\s+2\.0 s\s+happy", people.inner_text())
    video = page.locator("#fm-video video")
    video.evaluate("one => one.play()")
    page.wait_for_function("document.querySelector('#fm-video video').currentTime > 0.1", timeout=PATIENCE_MS)
    shape = video.evaluate("one => [one.videoWidth, one.videoHeight, Math.round(one.duration)]")
    assert shape == [640, 360, 2]
    with page.expect_download(timeout=PATIENCE_MS) as download:
        page.locator("#fm-video-csv").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()))
    assert {row["expression"] for row in rows} == {"happy"}
    pictures(page, root)


def pictures(page: sync_api.Page, root: Path) -> None:
    (root / "test-output").mkdir(exist_ok=True)
    page.screenshot(path=root / "test-output" / "video.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.screenshot(path=root / "test-output" / "video-390.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("document.body.classList.add('dark')")
    page.screenshot(path=root / "test-output" / "video-dark.png", full_page=True)
    assert wide <= 390


@pytest.mark.timeout(400)
def test_stop_ends_the_work_and_another_video_can_follow(page: sync_api.Page, app_url: str, tmp_path: Path) -> None:
    other = page.context.browser.new_page()
    waiting, status = open_video(other, app_url), open_video(page, app_url)
    choose(other, write(tmp_path / "second.mp4", ONE, Recipe(seconds=0.5)))
    give(page, write(tmp_path / "long.mp4", ONE, Recipe(seconds=50)))
    sync_api.expect(status).to_contain_text("% read", timeout=PATIENCE_MS)
    for _ in range(2):
        other.get_by_role("button", name="Find the faces").last.click()
        sync_api.expect(waiting).to_contain_text("Waiting for its turn", timeout=PATIENCE_MS)
        other.get_by_role("button", name="Stop", exact=True).click()
        sync_api.expect(waiting).to_contain_text("Stopped", timeout=PATIENCE_MS)
    other.get_by_role("button", name="Find the faces").last.click()
    page.get_by_role("button", name="Stop", exact=True).click()
    sync_api.expect(status).to_contain_text("Stopped", timeout=PATIENCE_MS)
    sync_api.expect(waiting).to_contain_text("1 face followed", timeout=SLOW_MS)
    other.close()
    page.reload()
    status = open_video(page, app_url)
    give(page, write(tmp_path / "next.mp4", ONE, Recipe(seconds=0.5)))
    sync_api.expect(status).to_contain_text("1 face followed", timeout=SLOW_MS)


@pytest.mark.timeout(400)
def test_what_is_no_video_is_refused_on_the_page(
    page: sync_api.Page, app_url: str, examples: Path, tmp_path: Path
) -> None:
    status = open_video(page, app_url)
    picture = tmp_path / "photo.mp4"
    picture.write_bytes((examples / "fr_obama.jpg").read_bytes())
    give(page, picture)
    sync_api.expect(page.get_by_text("choose the Image tab")).to_be_visible(timeout=PATIENCE_MS)
    sync_api.expect(status).to_contain_text("Add a video", timeout=PATIENCE_MS)
    sync_api.expect(page.get_by_role("button", name="Find the faces").last).to_be_visible()
