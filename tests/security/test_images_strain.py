"""The only decoder under strain: threads, memory that runs out, and what the heaviest files take at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from facemotion import images, settings
from facemotion.errors import FileTooLarge, TooManyPixels
from tests.support.media import crafted
from tests.support.media.bad_inputs import FILES, GENEROUS_S
from tests.support.media.crafted import encoded

pytestmark = pytest.mark.slow

PEAK_MB = 500
ROOT = Path(__file__).resolve().parents[2]


def test_memory_that_runs_out_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(TooManyPixels, match="memory"):
        images.load(crafted.jpeg())


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


QUICK = {"preset": "ultrafast"}
AT_THE_LIMIT: dict[str, Callable[[], bytes]] = {
    "limit.png": lambda: encoded(Image.new("RGBA", (8300, 6000), (9, 8, 7, 90)), "PNG", compress_level=1),
    "limit.jpg": lambda: encoded(Image.new("CMYK", (8300, 6000)), "JPEG", progressive=True, quality=30),
    "limit.webp": lambda: encoded(Image.new("RGBA", (6000, 4160), (9, 8, 7, 90)), "WEBP", method=0),
    "limit.avif": lambda: encoded(Image.new("RGBA", (6000, 4160), (9, 8, 7, 90)), "AVIF", speed=10),
    "limit.heic": lambda: encoded(Image.new("RGBA", (6000, 4160), (9, 8, 7, 90)), "HEIF", quality=1, enc_params=QUICK),
    "opaque.heic": lambda: encoded(Image.new("RGB", (8300, 6000)), "HEIF", quality=1, chroma=444, enc_params=QUICK),
    "limit.bmp": lambda: encoded(Image.new("L", (4400, 4400), 9), "BMP"),
    "limit.gif": lambda: encoded(Image.new("P", (8300, 6000)), "GIF"),
    "16-bit.png": lambda: encoded(Image.new("I;16", (8300, 6000), 30000), "PNG", compress_level=1),
}
HEAVY = {case.name: case for case in FILES if case.row in (10, 11, 13, 20) or case.name == "profiles.png"}
LONG_URL = "long.url"  # above what is taken before it is decoded


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, float, float]]:
    """What each took: its outcome, seconds of processor time, MB."""
    folder = tmp_path_factory.mktemp("heavy")
    for name, make in {**AT_THE_LIMIT, **{name: case.make for name, case in HEAVY.items()}}.items():
        (folder / name).write_bytes(make())
    (folder / LONG_URL).write_text("data:image/png;base64," + "A" * (settings.MAX_FILE_BYTES * 2))
    (folder / "sparse.jpg").touch()
    os.truncate(folder / "sparse.jpg", 50 * 2**30)
    command = [sys.executable, "-m", "tests.support.probes.measure", str(folder)]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=250).stdout
    return {name: tuple(values) for name, values in json.loads(output).items()}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("name", [*AT_THE_LIMIT, *HEAVY, LONG_URL, "sparse.jpg"])
def test_memory_and_time_stay_bounded(name: str, taken: dict[str, tuple[Any, float, float]]) -> None:
    outcome, seconds, peak_mb = taken[name]
    error = FileTooLarge if name in (LONG_URL, "sparse.jpg") else HEAVY[name].error if name in HEAVY else None
    assert outcome == error.code if error else isinstance(outcome, list), outcome
    assert peak_mb < PEAK_MB
    assert seconds < GENEROUS_S


def test_a_bomb_that_is_decoded_would_be_noticed(tmp_path: Path) -> None:
    """The measuring measures: the same bomb without the limit on pixels needs more than is allowed."""
    (tmp_path / "bomb.png").write_bytes(HEAVY["bomb-400.png"].make())
    command = [sys.executable, "-m", "tests.support.probes.measure", str(tmp_path)]
    unlimited = os.environ | {"FACEMOTION_MAX_PIXELS": "1000000000", "FACEMOTION_MAX_SIDE": "30000"}
    output = subprocess.run(command, cwd=ROOT, env=unlimited, check=True, capture_output=True, timeout=250).stdout
    [(outcome, _, peak_mb)] = json.loads(output).values()
    assert outcome == TooManyPixels.code or peak_mb > PEAK_MB  # memory ran out, or too much of it was there
    assert peak_mb > 300
