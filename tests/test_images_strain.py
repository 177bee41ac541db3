"""The only decoder under strain: files mutated at random, threads, and what a process of its own needs at most."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from facemotion import images
from facemotion.errors import InputError, TooManyPixels
from tests import crafted
from tests.bad_inputs import GENEROUS_S, assert_helpful, assert_picture
from tests.crafted import encoded, scene

PEAK_MB = 500
ROOT = Path(__file__).resolve().parent.parent


def test_memory_that_runs_out_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(TooManyPixels, match="memory"):
        images.load(crafted.jpeg())


SEEDS = {
    "jpeg": crafted.with_exif(6),
    "progressive": encoded(scene(), "JPEG", progressive=True),
    "png": crafted.png(),
    "palette": encoded(scene().quantize(8), "PNG", transparency=b"\0\x80"),
    "gif": crafted.animated("GIF"),
    "webp": crafted.animated("WEBP"),
    "bmp": encoded(scene(), "BMP"),
    "avif": encoded(scene(), "AVIF"),
}
EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.booleans()), max_size=6)


@pytest.mark.filterwarnings("default")  # Pillow warns of what it finds odd; what counts is what comes out
@settings(max_examples=250, deadline=None, derandomize=True)
@given(name=st.sampled_from(sorted(SEEDS)), edits=EDITS, near_the_head=st.booleans(), length=st.floats(0, 1))
def test_mutated_files_end_in_a_picture_or_an_input_error(
    name: str, edits: list[tuple[int, bytes, bool]], near_the_head: bool, length: float
) -> None:
    data = bytearray(SEEDS[name])
    for place, new, insert in edits:
        start = place % (200 if near_the_head else len(data))
        data[start : start if insert else start + len(new)] = new
    try:
        assert_picture(images.load(bytes(data[: round(len(data) * (1 - length**4))])))
    except InputError as error:
        assert_helpful(error)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.binary(max_size=300))
def test_any_bytes_end_in_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError):
        images.load(data)


def test_many_threads_at_once() -> None:
    expected = images.load(crafted.jpeg())
    results: list[bool] = []

    def work() -> None:
        results.extend(np.array_equal(images.load(crafted.jpeg()), expected) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 160


def test_no_setting_of_pillow_is_changed() -> None:
    code = (
        "from PIL import Image, ImageFile; before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES\n"
        "import facemotion.images\n"
        "assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


HEAVY = {
    "bomb-60.png": lambda: crafted.png_bomb(7746, 7746),
    "bomb-400.png": lambda: crafted.png_bomb(20000, 20000),
    "bomb.webp": crafted.webp_bomb,
    "at-the-limit.png": lambda: encoded(Image.new("RGBA", (8300, 6000), (9, 8, 7, 90)), "PNG", compress_level=1),
    "at-the-limit.jpg": lambda: encoded(Image.new("CMYK", (8300, 6000)), "JPEG", progressive=True, quality=30),
    "at-the-limit.webp": lambda: encoded(Image.new("RGBA", (6000, 4160), (9, 8, 7, 90)), "WEBP", method=0),
    "at-the-limit.avif": lambda: encoded(Image.new("RGBA", (6000, 4160), (9, 8, 7, 90)), "AVIF", speed=10),
    "comments.gif": crafted.gif_of_comments,
    "frames.webp": crafted.webp_of_many_frames,
    "growing.gif": crafted.gif_of_growing_frames,
}
MEASURE = """
import json, pathlib, re, sys, time
from facemotion import images
start = time.process_time()
try:
    code = list(images.load(sys.argv[1]).shape)
except images.InputError as error:
    code = error.code
peak = int(re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps([code, time.process_time() - start, peak]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("name", HEAVY)
def test_memory_and_time_stay_bounded(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(HEAVY[name]())
    command = [sys.executable, "-c", MEASURE, str(path)]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120).stdout
    code, seconds, peak_mb = json.loads(output)
    assert isinstance(code, list) == (name.startswith("at-the-limit") or name in ("frames.webp", "growing.gif"))
    assert peak_mb < PEAK_MB
    assert seconds < GENEROUS_S
