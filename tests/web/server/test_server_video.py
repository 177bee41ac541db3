"""/analyze_video on a real server: what comes back, that photos go on meanwhile, and what a picture may weigh still."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from facemotion import settings
from facemotion.webui.gradio_patches.atomic_files import upload_limit
from tests.support.media.synthetic_videos import ONE, Recipe, write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(app_url: str) -> Client:
    return Client(app_url, verbose=False)


@pytest.mark.timeout(300)
def test_a_video_comes_back_and_photos_go_on_meanwhile(client: Client, examples: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "clip.mp4", ONE, Recipe(seconds=3))
    job = client.submit(handle_file(source), api_name="/analyze_video")
    client.predict(handle_file(examples / "astronaut.png"), api_name="/analyze")
    assert not job.done()  # a photo does not wait for the many frames before it
    video, table, facts = job.result(timeout=240)
    with av.open(video["video"] if isinstance(video, dict) else video) as container:
        assert container.streams.video[0].codec_context.name == "h264" and container.streams.audio
    rows = list(csv.DictReader(Path(table).read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) == facts["video"]["analysed_frames"]
    assert facts["people"][0]["runs"][0]["expression"] == "happy"


def test_a_picture_is_told_where_it_belongs(client: Client, examples: Path, tmp_path: Path) -> None:
    disguised = tmp_path / "clip.mp4"
    disguised.write_bytes((examples / "astronaut.png").read_bytes())
    with pytest.raises(AppError, match="PNG picture; choose the Image tab"):
        client.predict(handle_file(disguised), api_name="/analyze_video")


def test_videos_may_be_larger_than_pictures(app_url: str) -> None:
    content = bytes(settings.MAX_FILE_BYTES + 1)
    for name, status in (("clip.MP4", 200), ("photo.jpg", 413), ("mp4", 413)):
        answer = httpx.post(f"{app_url}/gradio_api/upload", files={"files": (name, content)}, timeout=60)
        assert answer.status_code == status, name
    assert upload_limit("a.webm") == settings.MAX_VIDEO_BYTES
