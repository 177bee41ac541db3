"""A camera played from a file: a real face that moves over a frame of 640 x 480, as Chromium's fake capture reads it.

    python -m tests.support.media.camera camera.mjpeg

Chromium plays it with --use-fake-device-for-media-stream, --use-fake-ui-for-media-stream and
--use-file-for-fake-video-capture=camera.mjpeg.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS, SECONDS = 640, 480, 20, 12  # the face moves by about its own width in a second
EXAMPLES = Path(__file__).resolve().parents[3] / "facemotion" / "assets" / "examples"
HEADS = {"astronaut.png": (0.22, 0.0, 0.65, 0.59), "fr_obama.jpg": (0.2, 0.0, 0.8, 0.55)}  # x0 y0 x1 y1, shares


def write(path: Path, photo: str = "astronaut.png") -> Path:
    """Writes a film that closes on itself, since it is played in a loop. Returns `path`.

    The file is JPEG after JPEG in 4:2:0, which is what OpenCV encodes; 4:4:4 shows as solid green in Chromium.
    """
    face = cut_out(photo)
    with path.open("wb") as film:
        for index in range(FPS * SECONDS):
            film.write(cv2.imencode(".jpg", frame(face, index / (FPS * SECONDS)))[1].tobytes())
    return path


def cut_out(photo: str) -> NDArray[np.uint8]:
    """The head and shoulders of one example photo, BGR [H, W, 3], 300 pixels high."""
    picture = cv2.imread(str(EXAMPLES / photo))
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = (round(share * size) for share, size in zip(HEADS[photo], (width, height) * 2, strict=True))
    piece = picture[y0:y1, x0:x1]
    return np.asarray(cv2.resize(piece, (round(300 * piece.shape[1] / piece.shape[0]), 300)), np.uint8)


def frame(face: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """The frame at `share` (0..1) of the loop, BGR [480, 640, 3]: the face goes round an ellipse before a grey wall."""
    angle = 2 * math.pi * share
    wall = np.linspace(150, 190, WIDTH, dtype=np.uint8)
    picture = np.repeat(np.tile(wall, (HEIGHT, 1))[..., None], 3, axis=2)
    height, width = face.shape[:2]
    x = round((WIDTH - width) * (0.5 + 0.45 * math.sin(angle)))
    y = round((HEIGHT - height) * (0.5 + 0.45 * math.cos(angle)))
    picture[y : y + height, x : x + width] = face
    return picture


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
