"""A real Chromium with a camera played from a file: start, live labels with a lasting id, stop, and start again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.media import camera
from tests.support.servers import chromium
from tests.support.servers.chromium import PATIENCE_MS, sync_api

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sync_api.Page]:
    film = camera.write(tmp_path_factory.mktemp("camera") / "face.mjpeg")
    with chromium.launched(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ) as browser:
        yield browser.new_page(viewport={"width": 1280, "height": 900})


def open_webcam(page: sync_api.Page, url: str) -> sync_api.Locator:
    page.goto(url, timeout=PATIENCE_MS)
    tab = page.get_by_role("tab", name="Webcam")
    tab.click()
    page.wait_for_timeout(500)
    tab.click()  # a page that is still building may have lost the first
    readout = page.locator("#fm-readout")
    sync_api.expect(readout).to_contain_text("The camera is off", timeout=PATIENCE_MS)
    return readout


def watch(page: sync_api.Page, readout: sync_api.Locator) -> list[tuple[str, str]]:
    """(id, expression) as shown ten times, half a second apart."""
    seen = []
    for _ in range(10):
        sync_api.expect(readout).to_contain_text(re.compile(r"Face \d+ shows"), timeout=PATIENCE_MS)
        match = re.search(r"Face (\d+) shows: (\w+)", readout.inner_text())
        if match:
            seen.append((match[1], match[2]))
        page.wait_for_timeout(500)
    return seen


@pytest.mark.timeout(300)
def test_live_labels_with_a_lasting_id(page: sync_api.Page, app_url: str, root: Path) -> None:
    readout = open_webcam(page, app_url)
    page.get_by_role("button", name="Start camera").click()
    for _ in range(4):  # a gap of more than RESET_GAP_S, which a busy machine may make, rightly starts new ids
        seen = watch(page, readout)
        if len(set(seen)) == 1:
            break
    (root / "test-output").mkdir(exist_ok=True)
    page.screenshot(path=root / "test-output" / "webcam.png", full_page=True)
    assert {expression for _, expression in seen} == {"happy"}
    assert len({identity for identity, _ in seen}) == 1
    assert re.search(r"\d+\.\d frames a second", readout.inner_text())
    assert page.locator("#fm-camera .fm-drawn").get_attribute("src", timeout=1000).startswith("data:image/jpeg")


@pytest.mark.timeout(300)
def test_stop_switches_the_camera_off_and_start_on_again(page: sync_api.Page, app_url: str) -> None:
    readout = open_webcam(page, app_url)
    start, stop = (page.get_by_role("button", name=f"{name} camera") for name in ("Start", "Stop"))
    for _ in range(2):
        start.click()
        sync_api.expect(readout).to_contain_text(re.compile(r"Face \d+ shows"), timeout=PATIENCE_MS)
        stop.click()
        sync_api.expect(readout).to_contain_text("The camera is off", timeout=PATIENCE_MS)
        assert page.evaluate("document.querySelector('#fm-camera video').srcObject") is None
        sync_api.expect(start).to_be_visible()


@pytest.mark.timeout(300)
def test_two_viewers_each_see_their_own(page: sync_api.Page, app_url: str) -> None:
    with page.context.browser.new_context() as other_context:
        viewers = [page, other_context.new_page()]
        readouts = [open_webcam(viewer, app_url) for viewer in viewers]
        for viewer in viewers:
            viewer.get_by_role("button", name="Start camera").click()
        for readout in readouts:
            sync_api.expect(readout).to_contain_text("Face 1 shows: happy", timeout=PATIENCE_MS)
        viewers[1].close()
        before = readouts[0].inner_text()
        viewers[0].wait_for_timeout(2000)
        assert readouts[0].inner_text() != before  # the one who stays goes on
