"""Boxes and scores of a teacher: a large detector that labels every photo of a data set, for fusion and distillation.

    python -m training.detector.teacher_boxes --teacher yolov11m.pt --data faces --out faces/teacher --imgsz 960 320
    python -m training.detector.teacher_boxes --teacher yolov11m.pt --data faces --out faces/teacher --resume

The folder gets one text file for each photo, a line "x0 y0 x1 y1 score" for each box, corners in shares of the photo:
`teacher/` beside `images/` and `labels/` is where `training.detector.data.dataset` looks for them. A file is written at
once under its final name, so a stopped run continues with --resume.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facemotion import FaceDetector, images
from facemotion.detectors import ultralytics_compat
from facemotion.detectors.boxes import Boxes, suppress
from training.common.cli_errors import exit_on_error
from training.common.constants import SUFFIXES
from training.common.errors import DataError
from training.common.files import write_text

FOLDER = "teacher"  # beside images/ and labels/
LOWEST = 0.05  # fusion needs more, soft labels do not
ENLARGE = 3.0  # a photo of 224 pixels says nothing new at 960
SAME_FACE = 0.5  # overlap of one face's boxes at two sizes
TOLD_EVERY = 25  # photos

Scores = NDArray[np.float32]


def main(given: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(given)
    torch.set_num_threads(arguments.threads)
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    with exit_on_error():
        label(arguments.data, arguments.out, arguments.teacher, arguments.imgsz, arguments.resume, arguments.bf16)


def label(  # noqa: PLR0917
    data: Path, out: Path, teacher: str, sides: Sequence[int], resume: bool = False, bf16: bool = False
) -> int:
    """Writes what the teacher finds in every photo under `data`, and returns how many photos were looked at.

    Raises:
        DataError: there are no photos, or `out` holds boxes and `resume` is false.
        WeightsError: the teacher cannot be had.
    """
    files = sorted(file for file in (data / "images").glob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{data} holds no pictures: expected {data}/images/*")
    if not resume and out.is_dir() and any(out.glob("*.txt")):
        raise DataError(f"{out} already holds boxes: continue with --resume, or choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    missing = [file for file in files if not (out / f"{file.stem}.txt").is_file()]
    detector = FaceDetector.from_pretrained(teacher)
    started = time.monotonic()
    for number, file in enumerate(missing, start=1):
        image = images.load(file)
        with arithmetic(bf16):
            boxes, scores = look(detector, image, sides)
        write(out / f"{file.stem}.txt", boxes, scores, image.shape[1], image.shape[0])
        if number % TOLD_EVERY == 0 or number == len(missing):
            seconds = (time.monotonic() - started) / number
            print(f"{number} of {len(missing)} photos, {seconds:.2f} s each", flush=True)
    return len(missing)


@contextlib.contextmanager
def arithmetic(bf16: bool) -> Iterator[None]:
    """bfloat16 in the convolutions: twice as fast on processors that have it.

    The head's decoding stays in float32: a corner at 400 pixels would be rounded to two pixels.
    """
    if not bf16:
        yield
        return
    ultralytics_compat.import_ultralytics()
    from ultralytics.nn.modules.head import Detect  # noqa: PLC0415

    def in_float32(head: Any, outputs: dict[str, Any]) -> torch.Tensor:
        wide = {k: [tensor.float() for tensor in v] if isinstance(v, list) else v.float() for k, v in outputs.items()}
        with torch.autocast("cpu", enabled=False):
            return torch.as_tensor(decode(head, wide))

    decode = Detect._inference  # seen in ultralytics 8.4.190
    Detect._inference = in_float32
    try:
        with torch.autocast("cpu", torch.bfloat16):
            yield
    finally:
        Detect._inference = decode


def look(detector: FaceDetector, image: NDArray[np.uint8], sides: Sequence[int]) -> tuple[Boxes, Scores]:
    """The faces at any of these sizes, each once, best first. A small size finds the face that fills the photo."""
    found = [detector.detect_once(image, side, LOWEST, ENLARGE) for side in sides]
    boxes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = suppress(boxes, scores, SAME_FACE)
    return boxes[kept], scores[kept]


def write(file: Path, boxes: Boxes, scores: Scores, width: int, height: int) -> None:
    """The boxes (pixels of the photo) in shares of it."""
    shares = boxes / np.array([width, height] * 2, np.float32)
    rows = zip(shares, scores, strict=True)
    write_text(file, "".join(f"{a:.5f} {b:.5f} {c:.5f} {d:.5f} {score:.3f}\n" for (a, b, c, d), score in rows))


def read(file: Path, width: int, height: int) -> tuple[Boxes, Scores]:
    """Boxes [N, 4] in pixels of a photo of that size, and scores [N].

    Raises:
        DataError: it is no file of boxes.
    """
    try:
        rows = np.array([line.split() for line in file.read_text().splitlines() if line.strip()], np.float32)
        rows = rows.reshape(-1, 5)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is no list of a teacher's boxes (x0 y0 x1 y1 score, in shares): {error}") from error
    return (rows[:, :4] * np.array([width, height] * 2, np.float32)).astype(np.float32), rows[:, 4]


def parse_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.detector.teacher_boxes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--teacher", required=True, help="a detector as FaceDetector.from_pretrained takes it")
    add("--data", type=Path, required=True, help="a folder with images/")
    add("--out", type=Path, required=True, help="the folder for the boxes")
    add("--imgsz", type=int, nargs="+", default=[960, 320], help="long sides of the passes in pixels (%(default)s)")
    add("--resume", action="store_true", help="continue a run that was stopped")
    add("--threads", type=int, default=1, help="(%(default)s)")
    add("--bf16", action="store_true", help="compute in bfloat16")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
