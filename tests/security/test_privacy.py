"""No picture, name or place of a visitor in the server's output or the browser's storage; nobody else is asked."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.probes.network_record import RECORDER
from tests.support.servers import chromium
from tests.support.servers.chromium import PATIENCE_MS, sync_api
from tests.support.servers.visitor import Server, Visitor, call, server

SECRET = "Zanzibar"  # pragma: allowlist secret
PLACE = {1: "S", 2: (6.0, 9.0, 50.0), 3: "E", 4: (39.0, 11.0, 52.0)}
GPS, DESCRIPTION, ARTIST = 0x8825, 0x010E, 0x013B

LOOPBACK = re.compile(r"'(127\.0\.0\.1|localhost|0\.0\.0\.0|::1?|)'|\bNone\b")

pytestmark = [pytest.mark.timeout(400), pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def photo(examples: Path) -> bytes:
    """A photo that says whose it is, and where it was taken."""
    with Image.open(examples / "astronaut.png") as image:
        exif = Image.Exif()
        exif[DESCRIPTION], exif[ARTIST] = f"{SECRET} beach", SECRET
        exif[GPS] = PLACE
        stream = io.BytesIO()
        image.convert("RGB").save(stream, "JPEG", exif=exif, comment=SECRET.encode())
    assert stream.getvalue().count(SECRET.encode()) == 3
    return stream.getvalue()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server on gradio's own defaults for analytics, and the record of its connections."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "sitecustomize.py").write_text(RECORDER)
    record = folder / "connections.txt"
    defaults = {"GRADIO_ANALYTICS_ENABLED": "True", "HF_HUB_OFFLINE": "0"}
    with server(folder, PYTHONPATH=str(folder), CANARY=str(record), **defaults) as running:
        yield running, record


@pytest.fixture(scope="module")
def visited(watched: tuple[Server, Path], photo: bytes) -> dict[str, Any]:
    """Everything that programs can do with the photo, done: what came back."""
    visitor = Visitor(watched[0].url)
    answers: dict[str, Any] = {}
    sent = visitor.upload(f"{SECRET}.jpg", photo)
    broken = visitor.upload(f"{SECRET} broken.jpg", photo[:5000])
    for name, argument in (("analyze", sent), ("annotate", sent), ("analyze_batch", [sent, broken])):
        answers[name] = call(visitor.http, name, [argument])
    answers["broken"] = call(visitor.http, "analyze", [broken])
    answers["elsewhere"] = call(visitor.http, "analyze", [{"path": f"/home/{SECRET}/photo.jpg"}])
    answers["url"] = call(visitor.http, "analyze", [{"path": f"https://{SECRET}.example/photo.jpg"}])
    answers["option"] = call(visitor.http, "analyze", [sent, None, SECRET])
    for path in (f"/{SECRET}", f"/gradio_api/file=/{SECRET}.jpg", f"/gradio_api/queue/data?session_hash={SECRET}"):
        visitor.http.get(path)
    visitor.http.post(f"/gradio_api/call/{SECRET}", json={"data": [SECRET]})
    visitor.http.post("/gradio_api/queue/join", json={"data": [SECRET], "fn_index": 999, "session_hash": SECRET})
    visitor.http.post("/gradio_api/call/v2/analyze", json={SECRET: 1})
    drawn = answers["annotate"][1][0]["path"]
    answers["picture"] = visitor.http.get(f"/gradio_api/file={drawn}").content
    visitor.close()
    return answers


@pytest.fixture(scope="module")
def seen(watched: tuple[Server, Path], photo: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The page's tabs used with the photo in a real browser: what it asked for, and what it kept."""
    file = tmp_path_factory.mktemp("photo") / f"{SECRET}.jpg"
    file.write_bytes(photo)
    url, asked, refused = watched[0].url, [], []
    with chromium.launched("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as browser:
        page = browser.new_page()
        page.context.on("request", lambda request: asked.append(request.url))
        page.context.on("requestfailed", lambda request: refused.append(request.url))
        page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
        page.goto(url, timeout=PATIENCE_MS)
        page.locator("input[type=file]").first.set_input_files(file)
        sync_api.expect(page.get_by_text("1 face found")).to_be_visible(timeout=PATIENCE_MS)
        with page.expect_download(timeout=PATIENCE_MS):
            page.get_by_role("button", name="Download JSON").click()
        use_the_other_tabs(page, file)
        kept = {
            "storage": page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"),
            "databases": page.evaluate("indexedDB.databases().then(all => all.map(one => one.name))"),
            "caches": page.evaluate("caches.keys()"),
            "workers": page.evaluate("navigator.serviceWorker.getRegistrations().then(all => all.length)"),
            "cookies": page.context.cookies(),
        }
    return {"asked": asked, "refused": refused, "kept": kept, "url": url}


def use_the_other_tabs(page: sync_api.Page, file: Path) -> None:
    page.get_by_role("tab", name="Webcam").click()
    page.get_by_role("button", name="Start camera").click()
    sync_api.expect(page.locator("#fm-readout")).to_contain_text("frames a second", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop camera").click()
    page.get_by_role("tab", name="Video").click()
    page.get_by_role("tab", name="Gallery").click()
    tab = page.locator("[role=tabpanel]").filter(has=page.locator("#fm-gallery-run"))
    tab.locator("input[type=file]").set_input_files(file)
    sync_api.expect(page.get_by_role("row", name=file.name)).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#fm-gallery-run").click()
    sync_api.expect(page.locator("#fm-gallery-status")).to_contain_text("1 face in 1 photo", timeout=PATIENCE_MS)
    page.get_by_role("tab", name="About").click()
    page.get_by_role("button", name=re.compile("Use via API")).click()
    listed = page.get_by_text("annotate").locator("visible=true").first  # endpoint or tool, whichever tab is open
    sync_api.expect(listed).to_be_visible(timeout=PATIENCE_MS)


def test_no_output_carries_what_the_photo_says(visited: dict[str, Any]) -> None:
    assert visited["analyze"][0] == "complete"
    for name in ("analyze", "analyze_batch", "broken", "elsewhere", "url"):
        assert SECRET not in json.dumps(visited[name]), name
    assert SECRET.encode() not in visited["picture"]
    with Image.open(io.BytesIO(visited["picture"])) as drawn:
        assert not drawn.getexif()


def test_no_log_says_who_was_here(visited: dict[str, Any], seen: dict[str, Any], watched: tuple[Server, Path]) -> None:
    log = watched[0].log.read_text(errors="replace")
    assert "Running on local URL" in log
    for secret in (SECRET, "base64", "39.0", "uploads", "session_hash"):
        assert secret not in log, log[-2000:]


def test_the_browser_keeps_nothing(seen: dict[str, Any]) -> None:
    kept = seen["kept"]
    assert SECRET not in json.dumps(kept)
    assert "data:image" not in kept["storage"]
    assert len(kept["storage"]) < 300, kept["storage"]
    assert (kept["databases"], kept["caches"], kept["workers"], kept["cookies"]) == ([], [], 0, [])


def test_the_page_asks_its_own_server_alone(seen: dict[str, Any]) -> None:
    assert [url for url in seen["asked"] if not url.startswith((seen["url"], "data:", "blob:"))] == []
    assert len(seen["asked"]) > 20
    assert [one for one in seen["refused"] if "Content Security" in one] == []


def test_the_server_asks_nobody(visited: dict[str, Any], seen: dict[str, Any], watched: tuple[Server, Path]) -> None:
    """Not when it starts, not when it is used; gradio asks itself, on loopback, whether it is there."""
    asked = watched[1].read_text().splitlines()
    assert asked  # it is recorded
    assert [line for line in asked if not LOOPBACK.search(line)] == []
