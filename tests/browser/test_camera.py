"""The camera in a real Chromium: mirrored once, paused unseen, following whom one chooses, saying what is missing."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facemotion.output.draw import COLOURS
from tests.support.media import camera
from tests.support.servers import chromium
from tests.support.servers.chromium import PATIENCE_MS, sync_api

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

FAKE_CAMERA = "--use-fake-device-for-media-stream"
ALLOWED = "--use-fake-ui-for-media-stream"
WATCHED = """
Object.defineProperty(document, "visibilityState", {get: () => window.unseen ? "hidden" : "visible"});
window.wishes = [];
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = wish => { window.wishes.push(wish); return open(wish); };
"""
COUNT_ANSWERS = """
window.answers = 0;
new MutationObserver(changes => { window.answers += changes.length; })
  .observe(document.querySelector("#fm-camera"), {attributeFilter: ["src"], subtree: true});
"""
IS_OFF = "document.querySelector('#fm-camera video').srcObject === null"


def two_faces(number: int) -> NDArray[np.uint8]:
    """A woman at the left who nods, a man at the right, and beyond him a red stripe at the right edge; BGR."""
    picture = np.full((camera.HEIGHT, camera.WIDTH, 3), 170, np.uint8)
    picture[:, -60:] = (0, 0, 255)
    for photo, left in (("astronaut.png", 20), ("fr_obama.jpg", 330)):
        head = camera.cut_out(photo)
        top = 60 + 2 * number
        picture[top : top + head.shape[0], left : left + head.shape[1]] = head
    return picture


def film(path: Path, frames: list[NDArray[np.uint8]]) -> Path:
    """Writes a film for the fake camera, which plays it in a loop. Returns `path`."""
    path.write_bytes(b"".join(cv2.imencode(".jpg", one)[1].tobytes() for one in frames))
    return path


@contextmanager
def opened(url: str, *arguments: str, beside: sync_api.Page | None = None) -> Iterator[sync_api.Page]:
    """The Webcam tab in a browser with those arguments."""
    with chromium.launched(*arguments, beside=beside and beside.context.browser) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        page.add_init_script(WATCHED)
        page.goto(url, timeout=PATIENCE_MS)
        page.get_by_role("tab", name="Webcam").click()
        sync_api.expect(page.locator("#fm-readout")).to_contain_text("The camera is off", timeout=PATIENCE_MS)
        yield page


@pytest.fixture(scope="module")
def page(app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sync_api.Page]:
    """A camera before two faces."""
    path = film(tmp_path_factory.mktemp("camera") / "two.mjpeg", [two_faces(abs(n - 10)) for n in range(20)])
    with opened(app_url, FAKE_CAMERA, ALLOWED, f"--use-file-for-fake-video-capture={path}") as page:
        yield page


@pytest.fixture
def running(page: sync_api.Page) -> Iterator[sync_api.Page]:
    """The camera runs, and is off afterwards, whatever became of the test."""
    page.get_by_role("button", name="Start camera").click()
    says(page, r"2 faces in view")
    yield page
    stop, start = (page.get_by_role("button", name=f"{name} camera") for name in ("Stop", "Start"))
    if stop.is_visible():
        stop.click()
        says(page, "The camera is off")
    sync_api.expect(start).to_be_visible(timeout=PATIENCE_MS)


def says(page: sync_api.Page, pattern: str) -> None:
    sync_api.expect(page.locator("#fm-readout")).to_contain_text(re.compile(pattern), timeout=PATIENCE_MS)


def shown(page: sync_api.Page) -> NDArray[np.uint8]:
    """The picture in the page, RGB."""
    source = page.locator("#fm-camera .fm-drawn").get_attribute("src")
    assert source is not None
    encoded = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def like(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Where a picture has about that colour."""
    return np.asarray(np.abs(picture.astype(int) - colour).max(axis=2) < 40)


def test_people_see_themselves_as_in_a_mirror(running: sync_api.Page) -> None:
    """Not the labels: those are drawn afterwards."""
    picture = shown(running)
    assert picture.shape == (camera.HEIGHT, camera.WIDTH, 3)
    red = like(picture, (255, 0, 0)).mean(axis=0)
    assert red[:40].min() > 0.9 and red[-60:].max() < 0.1
    boxes = like(picture, COLOURS["happy"]).sum(axis=0)
    woman = slice(camera.WIDTH - 320, camera.WIDTH)  # at the left before the camera
    assert boxes[woman].sum() > 300
    video = running.locator("#fm-camera video")  # shown until the first answer comes
    sync_api.expect(video).to_have_class(re.compile(r"\bflip\b"))


def test_the_browser_is_asked_for_small_frames(running: sync_api.Page) -> None:
    """By our script, and by gradio's, which opens the camera the first time."""
    wishes = running.evaluate("window.wishes")
    assert wishes
    for wish in wishes:
        size = [str(wish["video"][name]).strip("{'ideal:}") for name in ("width", "height")]
        assert [int(number) for number in size] == [640, 480]


def test_the_next_frame_waits_for_the_answer(running: sync_api.Page) -> None:
    """gradio alone sends one at every tick: of a hundred frames a second nearly all would be sent for nothing."""
    sent: list[str] = []
    running.on("request", lambda request: sent.append(request.url) if "/stream/" in request.url else None)
    running.evaluate(COUNT_ANSWERS)
    running.wait_for_function("window.answers >= 10", timeout=PATIENCE_MS)
    assert len(sent) <= running.evaluate("window.answers") + 4


def test_pictures_leave_nothing_behind(running: sync_api.Page) -> None:
    """`gr.Image` keeps about 16 nodes of the document for each picture, and the page becomes slower."""
    running.evaluate(COUNT_ANSWERS)
    before = chromium.nodes(running)
    running.wait_for_function("window.answers >= 40", timeout=PATIENCE_MS)
    assert chromium.nodes(running) < before + 320


@pytest.mark.parametrize("how", ["the browser's tab", "the page's tab"])
def test_a_page_that_nobody_sees_pauses(running: sync_api.Page, how: str) -> None:
    def see(seen: bool) -> None:
        if how == "the page's tab":
            running.get_by_role("tab", name="Webcam" if seen else "About").click()
        else:
            running.evaluate(
                "unseen => { window.unseen = unseen; document.dispatchEvent(new Event('visibilitychange')); }", not seen
            )

    sent: list[str] = []
    running.on("request", lambda request: sent.append(request.url))
    see(False)
    running.wait_for_function(IS_OFF, timeout=PATIENCE_MS)
    running.wait_for_timeout(700)  # what was under way has come
    sent.clear()
    running.wait_for_timeout(1000)
    assert sent == []
    last = running.locator("#fm-camera .fm-drawn").get_attribute("src")
    see(True)
    running.wait_for_function(
        "last => document.querySelector('#fm-camera .fm-drawn').src !== last", arg=last, timeout=PATIENCE_MS
    )
    assert not running.evaluate(IS_OFF)
    says(running, "2 faces in view")


def test_one_follows_whom_one_chooses_and_gets_a_summary(running: sync_api.Page) -> None:
    page = running
    second = follow_the_second(page)
    curve = page.get_by_role("img", name=f"Expressions of face {second} in the last 20 seconds")
    sync_api.expect(curve).to_be_visible(timeout=PATIENCE_MS)
    strip = curve.locator("polygon").first
    before = re.compile(re.escape(strip.get_attribute("points") or ""))
    sync_api.expect(strip).not_to_have_attribute("points", before, timeout=PATIENCE_MS)  # it moves
    page.get_by_role("button", name="Stop camera").click()
    says(page, r"It ran for [\d.]+ seconds: \d+ faces seen")
    assert page.locator("#fm-followed").is_hidden()
    for name in ("summary", "last minute"):
        with page.expect_download(timeout=PATIENCE_MS) as download:
            page.get_by_role("button", name=f"Download the {name}").click()
        rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
        assert second in {row["id"] for row in rows}


def follow_the_second(page: sync_api.Page) -> str:
    """Chooses the second face; after a gap above RESET_GAP_S, which a busy machine may make, there are others."""
    for _ in range(8):
        says(page, "2 faces in view")
        faces = page.locator("#fm-followed label")
        sync_api.expect(faces.nth(1)).to_be_visible(timeout=PATIENCE_MS)
        faces.last.click()
        second = re.sub(r"\D", "", page.locator("#fm-followed label").last.inner_text())
        try:
            text = f"Face {second} shows"
            sync_api.expect(page.locator("#fm-readout")).to_contain_text(text, timeout=5000)
            return second
        except AssertionError:
            continue
    pytest.fail("the second face was never followed")


def test_a_camera_that_is_unplugged_is_told(running: sync_api.Page) -> None:
    running.evaluate(
        "document.querySelector('#fm-camera video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"
    )
    says(running, "switched off or unplugged")
    sync_api.expect(running.get_by_role("button", name="Start camera")).to_be_visible()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((ALLOWED,), "No camera was found"), ((FAKE_CAMERA,), "did not give the camera free")],
    ids=["no camera", "no permission"],
)
def test_what_is_missing_is_said(page: sync_api.Page, app_url: str, arguments: tuple[str, ...], words: str) -> None:
    with opened(app_url, *arguments, beside=page) as poor:
        poor.get_by_role("button", name="Start camera").click()
        says(poor, words)
        sync_api.expect(poor.get_by_role("button", name="Start camera")).to_be_visible()


def test_darkness_is_said(page: sync_api.Page, app_url: str, tmp_path: Path) -> None:
    path = film(tmp_path / "dark.mjpeg", [np.full((camera.HEIGHT, camera.WIDTH, 3), 12, np.uint8)] * 5)
    with opened(app_url, FAKE_CAMERA, ALLOWED, f"--use-file-for-fake-video-capture={path}", beside=page) as dark:
        dark.get_by_role("button", name="Start camera").click()
        says(dark, "too dark to find a face")
