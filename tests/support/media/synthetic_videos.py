"""Videos whose people are known: the example faces on a moving background, written with PyAV in any container.

python -m tests.support.media.synthetic_videos FILE.mp4
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.media.camera import cut_out

Pixels = NDArray[np.uint8]
Path2D = Callable[[float], tuple[float, float, float] | None]
"""Seconds -> centre x, centre y and height of a head in pixels, or None while it is not there."""

_CLOCK = Fraction(1, 90_000)


@dataclass(frozen=True)
class Actor:
    """One example photo's head, and the way it goes."""

    photo: str
    way: Path2D


@dataclass(frozen=True)
class Scene:
    """Actors before a textured wall that drifts; `shake` moves all by so many pixels, as a hand-held camera does."""

    actors: list[Actor]
    size: tuple[int, int] = (640, 360)
    shake: float = 0.0

    def frame(self, time_s: float) -> Pixels:
        """RGB [H, W, 3] at a time; later actors stand in front."""
        jolt = self.shake * np.array([math.sin(11 * time_s) + math.sin(29 * time_s), math.cos(17 * time_s)])
        picture = _wall(self.size, 12 * time_s + jolt[0])
        for actor in self.actors:
            place = actor.way(time_s)
            if place is not None:
                _paste(picture, _head(actor.photo), place[0] + jolt[0], place[1] + jolt[1], place[2])
        return picture


@cache
def _head(photo: str) -> Pixels:
    return np.ascontiguousarray(cut_out(photo)[..., ::-1])


@cache
def _pattern(size: tuple[int, int]) -> Pixels:
    rough = np.random.default_rng(0).integers(110, 190, (12, 40, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (2 * size[0], size[1]), interpolation=cv2.INTER_CUBIC), np.uint8)


def _wall(size: tuple[int, int], offset: float) -> Pixels:
    return np.roll(_pattern(size), round(offset), axis=1)[:, : size[0]].copy()


def _paste(picture: Pixels, head: Pixels, x: float, y: float, height: float) -> None:
    shape = round(height * head.shape[1] / head.shape[0]), round(height)
    small = cv2.resize(head, shape, interpolation=cv2.INTER_AREA)
    left, top = round(x - shape[0] / 2), round(y - shape[1] / 2)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + shape[0], picture.shape[1]), min(top + shape[1], picture.shape[0])
    if x0 < x1 and y0 < y1:
        picture[y0:y1, x0:x1] = small[y0 - top : y1 - top, x0 - left : x1 - left]


ONE = Scene([Actor("astronaut.png", lambda t: (220 + 80 * t, 180 + 20 * math.sin(3 * t), 240))])
"""A woman who smiles goes from left to right."""


@dataclass(frozen=True)
class Recipe:
    """How a scene becomes a file."""

    seconds: float = 1.5
    fps: float = 25
    times: list[float] | None = None  # of the frames, instead of the even ones of `fps`
    codec: str = "libx264"
    sound: str | None = "aac"
    sound_rate: int = 44_100
    options: dict[str, str] = field(default_factory=dict)  # of the container
    pixel_aspect: Fraction | None = None


def write(path: Path, scene: Scene = ONE, recipe: Recipe = Recipe()) -> Path:
    """Writes a scene to `path`, in the container that its suffix names. Returns `path`."""
    times = recipe.times or [index / recipe.fps for index in range(round(recipe.seconds * recipe.fps))]
    return write_frames(path, ((scene.frame(t), t) for t in times), recipe)


def write_frames(path: Path, frames: Iterable[tuple[Pixels, float]], recipe: Recipe = Recipe()) -> Path:
    """Writes RGB frames with their times; a tone is heard all the while. Returns `path`."""
    with av.open(str(path), "w", options=recipe.options) as container:
        pictures = container.add_stream(recipe.codec, rate=Fraction(recipe.fps).limit_denominator(1001))
        tone = (
            None if recipe.sound is None else container.add_stream(recipe.sound, rate=recipe.sound_rate, layout="mono")
        )
        played = 0
        for index, (pixels, time_s) in enumerate(frames):
            if index == 0:
                _shape(pictures, pixels, recipe)
            for packet in pictures.encode(_frame(pixels, time_s, pictures.pix_fmt)):
                container.mux(packet)
            if tone:
                due = round((time_s + 1 / recipe.fps) * recipe.sound_rate)
                for packet in _play(tone, played, due):
                    container.mux(packet)
                played = max(played, due)
        for stream in filter(None, (pictures, tone)):
            for packet in stream.encode(None):
                container.mux(packet)
    return path


def _shape(stream: Any, pixels: Pixels, recipe: Recipe) -> None:
    stream.height, stream.width = pixels.shape[:2]
    stream.pix_fmt = "yuvj420p" if recipe.codec == "mjpeg" else "yuv420p"
    if pixels.shape[0] % 2 or pixels.shape[1] % 2:
        stream.pix_fmt = "yuv444p"
    if recipe.codec not in ("mpeg4", "mjpeg"):
        stream.codec_context.time_base = _CLOCK
    if recipe.pixel_aspect is not None:
        stream.codec_context.sample_aspect_ratio = recipe.pixel_aspect
    if recipe.codec == "libx264":
        stream.options = {"preset": "ultrafast"}
    if recipe.codec.startswith("libvpx"):
        stream.options = {"deadline": "realtime", "cpu-used": "8"}


def _frame(pixels: Pixels, time_s: float, pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pix_fmt)
    frame.pts, frame.time_base = round(time_s / _CLOCK), _CLOCK
    return frame


def _play(stream: Any, start: int, end: int) -> Iterator[Any]:
    if end <= start:
        return
    wave = 0.2 * np.sin(2 * math.pi * 440 * np.arange(start, end) / stream.rate)
    kind = stream.codec_context.format.name
    samples = (wave * 32767).astype(np.int16) if kind.startswith("s16") else wave.astype(np.float32)
    frame = av.AudioFrame.from_ndarray(samples[None], kind, "mono")
    frame.sample_rate, frame.pts = stream.rate, start
    yield from stream.encode(frame)


def turn(path: Path, degrees: int) -> Path:
    """Writes into an MP4 that its pictures are to be shown turned clockwise by 90, 180 or 270."""
    return orient(path, *{90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees])


def orient(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Writes into an MP4's track headers that column x and row y are shown at column ax + cy and row bx + dy.

    The matrix is at byte 40 of a version 0 `tkhd` box (ISO/IEC 14496-12, section 8.3.2), in 16.16 fixed point.
    """
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 40
    path.write_bytes(data[:at] + b"".join(one.to_bytes(4, "big", signed=True) for one in matrix) + data[at + 36 :])
    return path


def write_in_two_sizes(path: Path, first: Pixels, second: Pixels, each: int = 5) -> Path:
    """Writes a WebM of `each` frames of one size, then as many of another, 10 a second, as a browser does that records
    a phone being turned over."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        _shape(stream, first, Recipe(codec="libvpx"))
        later = av.CodecContext.create("libvpx", "w")
        later.height, later.width, later.pix_fmt = *second.shape[:2], "yuv420p"
        later.time_base, later.framerate = _CLOCK, Fraction(10)
        for encoder, pixels, start in ((stream.codec_context, first, 0), (later, second, each)):
            frames = (_frame(pixels, (start + index) / 10, "yuv420p") for index in range(each))
            for frame in (*frames, None):
                for packet in encoder.encode(frame):
                    packet.stream = stream
                    container.mux(packet)
    return path


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), ONE, Recipe(seconds=4)))
