"""Videos as phones and browsers make them: mirrored, turned over midway, with a high dynamic range, or very short."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from facemotion import settings
from facemotion.errors import VideoTooLong
from facemotion.video import annotate_video, reader
from tests.support.media.synthetic_videos import Recipe, orient, write, write_frames, write_in_two_sizes
from tests.unit.video.test_video import PLAIN, Finder, Nobody, frames, seconds

Pixels = np.ndarray
NAMES = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255)}


def corners(names: str, size: tuple[int, int]) -> Pixels:
    """Four quarters of (width, height), named row by row."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for index, name in enumerate(names):
        rows, columns = (slice(None, half) if first else slice(half, None) for first, half in (
            (index < 2, size[1] // 2), (index % 2 == 0, size[0] // 2),
        ))  # fmt: skip
        picture[rows, columns] = NAMES[name]
    return picture


def named(picture: Pixels) -> str:
    """The names of the four quarters' colours, row by row."""
    height, width = picture.shape[:2]
    middles = [picture[y * height // 4, x * width // 4].astype(int) for y in (1, 3) for x in (1, 3)]
    return "".join(min(NAMES, key=lambda name: int(abs(middle - NAMES[name]).sum())) for middle in middles)


# a, b, c, d of the display matrix, and what `ffmpeg -i` makes of a picture whose quarters are R G / B W.
ORIENTATIONS = {
    (1, 0, 0, 1): "RGBW",
    (-1, 0, 0, 1): "GRWB",
    (1, 0, 0, -1): "BWRG",
    (-1, 0, 0, -1): "WBGR",
    (0, 1, 1, 0): "RBGW",
    (0, 1, -1, 0): "BRWG",
    (0, -1, 1, 0): "GWRB",
    (0, -1, -1, 0): "WGBR",
}


@pytest.mark.parametrize("matrix", ORIENTATIONS, ids=str)
def test_all_eight_orientations_are_turned_upright(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    picture = corners("RGBW", (320, 160))
    source = write_frames(tmp_path / "a.mp4", [(picture, 0.0), (picture, 0.04)], Recipe(sound=None))
    result = annotate_video(Nobody(), orient(source, *matrix), tmp_path / "out.mp4")
    shown = frames(tmp_path / "out.mp4")[0][1]
    assert named(shown) == ORIENTATIONS[matrix]
    assert result.size == result.source_size == ((320, 160) if matrix[0] else (160, 320)) == shown.shape[1::-1]


def test_frames_whose_size_changes_keep_their_proportions(tmp_path: Path) -> None:
    wide, tall = corners("RRRR", (320, 160)), corners("GGGG", (160, 320))
    result = annotate_video(Nobody(), write_in_two_sizes(tmp_path / "a.webm", wide, tall), tmp_path / "out.mp4")
    first, last = frames(tmp_path / "out.mp4")[0][1], frames(tmp_path / "out.mp4")[-1][1]
    assert (result.frames, result.size) == (10, (320, 160)) and first.min(axis=(0, 1))[0] > 200
    green = last[:, :, 1] > 128
    assert green[:, 125:195].all() and not green[:, :115].any() and not green[:, 205:].any()  # 80 of 160 pixels high


def hlg(light: Pixels) -> Pixels:
    """Linear light, 1 being the reference white, as HLG's signal (BT.2100, table 5; white at 75 %)."""
    light = light * 0.265
    bright = 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-9)) + 0.55991073
    return np.where(light <= 1 / 12, np.sqrt(3 * light), bright)


def pq(light: Pixels) -> Pixels:
    """The same as PQ's (BT.2100, table 4; white at 203 nits)."""
    power = (light * 203 / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


# Linear light in the primaries of BT.2020, and what a screen of BT.709 is to show: white, mid grey, red of BT.709.
PATCHES = [((1, 1, 1), (255, 255, 255)), ((0.18, 0.18, 0.18), (118, 118, 118)), ((0.6274, 0.0691, 0.0164), (255, 0, 0))]


@pytest.mark.parametrize(("signal", "transfer"), [(hlg, 18), (pq, 16)], ids=["HLG", "PQ"])
@pytest.mark.parametrize("tagged", [True, False], ids=["tagged", "matrix left out"])
def test_high_dynamic_range_becomes_ordinary_colours(
    tmp_path: Path, signal: Callable[[Pixels], Pixels], transfer: int, tagged: bool
) -> None:
    light = np.concatenate([np.tile(np.float64(patch), (64, 64, 1)) for patch, _ in PATCHES], axis=1)
    levels = np.rint(signal(light) * 65535).astype(np.uint16)
    source = write_ten_bits(tmp_path / "a.mp4", levels, transfer, 9 if tagged else 2)
    annotate_video(Nobody(), source, tmp_path / "out.mp4")
    shown = frames(tmp_path / "out.mp4")[0][1]
    for index, (_, expected) in enumerate(PATCHES):
        assert shown[32, 64 * index + 32] == pytest.approx(expected, abs=10)


def write_ten_bits(path: Path, levels: Pixels, transfer: int, matrix: int) -> Path:
    """Writes one picture, RGB uint16, in BT.2020 with that transfer characteristic; `matrix` is what the file says."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.height, stream.width = levels.shape[:2]
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, matrix
        context.color_range = 1
        frame = av.VideoFrame.from_ndarray(levels, "rgb48le")
        frame = frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


@pytest.mark.parametrize(("fps", "count", "expected"), [(10, 10, 1.0), (25, 1, 0.04), (25, 38, 1.52), (1, 3, 3.0)])
def test_the_last_frame_lasts_too(tmp_path: Path, fps: int, count: int, expected: float) -> None:
    recipe = Recipe(seconds=count / fps, fps=fps, sound=None)
    result = annotate_video(Finder(), write(tmp_path / "a.mp4", PLAIN, recipe), tmp_path / "out.mp4")
    assert result.frames == count
    assert result.duration_s == pytest.approx(expected, abs=0.002)
    assert result.people[0].seconds["happy"] == pytest.approx(expected, abs=0.002)
    assert seconds(tmp_path / "out.mp4", "video")[1] == pytest.approx(expected, abs=0.002)


def test_the_refusal_of_a_long_video_names_what_raises_the_limit(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", PLAIN, Recipe(times=[0.0, settings.MAX_VIDEO_SECONDS + 5.0], sound=None))
    with pytest.raises(VideoTooLong, match="FACEMOTION_MAX_VIDEO_SECONDS"), reader.Reader(source):
        pass
