"""What a frame costs the server, and what searching only every third frame of a calm picture would save and spoil."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facemotion import Pipeline, images
from facemotion.detectors.boxes import ious
from facemotion.output import draw
from facemotion.tracking.live import LiveSession
from facemotion.tracking.tracker import FaceTracker
from facemotion.webui.components import camera as page_camera
from facemotion.webui.html import webcam as webcam_html
from tests.support.media import camera

FPS, FRAMES, EVERY = 15, 150, 3
STAGES = ("decode", "detect", "classify", "draw", "encode", "readout")


def measure() -> dict[str, Any]:
    """Milliseconds of each stage, and the overlap of boxes with those of a search in every frame."""
    pipeline = Pipeline.from_pretrained(detector="live")
    face = camera.cut_out("astronaut.png")
    films = {"calm": [_calm(face, n) for n in range(FRAMES)], "moving": [_moving(face, n) for n in range(FRAMES)]}
    return {
        "every": EVERY,
        "stages_ms": _stages(pipeline, films["moving"]),
        "overlap": {name: _overlap(pipeline, film) for name, film in films.items()},
    }


def _calm(face: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """Somebody who sits: sways by 2 % of the loop's way and back in 4 seconds."""
    return camera.frame(face, 0.25 + 0.01 * float(np.sin(2 * np.pi * number / (4 * FPS))))


def _moving(face: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    return camera.frame(face, number / (camera.SECONDS * FPS) % 1)


def _stages(pipeline: Pipeline, film: list[NDArray[np.uint8]]) -> dict[str, float]:
    session = LiveSession(pipeline)
    times: dict[str, list[float]] = {name: [] for name in STAGES}
    for number, frame in enumerate(film):
        jpeg = cv2.imencode(".jpg", frame)[1].tobytes()
        marks = [time.perf_counter()]
        picture = images.load_picture(jpeg)
        marks.append(time.perf_counter())
        analysis = session.step(picture.pixels, number / FPS)
        marks.append(time.perf_counter())
        drawn = draw.annotate(picture.pixels, analysis)
        marks.append(time.perf_counter())
        page_camera.encode_frame(drawn)
        marks.append(time.perf_counter())
        webcam_html.readout(picture.pixels, analysis, 1, session.moments(), number / FPS)
        marks.append(time.perf_counter())
        spent = np.diff(marks) * 1e3
        timings = analysis.timings_ms
        row = (spent[0], timings["detect"], timings["classify"], spent[2], spent[3], spent[4])
        for name, value in zip(STAGES, row, strict=True):
            times[name].append(float(value))
    return {name: round(median(values[10:]), 2) for name, values in times.items()}


def _overlap(pipeline: Pipeline, film: list[NDArray[np.uint8]]) -> dict[str, float]:
    """Of boxes moved on by their speed between searches, with those found in each frame: the median and the worst."""
    found = [pipeline.analyze(frame[..., ::-1].copy(), detail="fast") for frame in film]
    tracker = FaceTracker()
    guesses: list[float] = []
    for number, analysis in enumerate(found):
        if number % EVERY == 0:
            tracker.update(analysis, number / FPS)
            continue
        cx, cy, width, height = tracker._tracks[0].predict(number / FPS)
        box = np.array([[cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]])
        guesses.append(float(ious(box, np.array([[*analysis.faces[0].box]]))[0, 0]))
    guesses = guesses[10:]
    return {"median": round(median(guesses), 3), "worst": round(min(guesses), 3)}
