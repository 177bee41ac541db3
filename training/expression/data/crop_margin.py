"""Measures the crop margin of FER2013: the surroundings of a face, in units of a detector's box.

    python -m training.expression.data.crop_margin --data fer2013 --pictures 1500

Serving must cut faces as the training pictures were cut. Each picture is enlarged, set on a wide border of its own
edge pixels and searched for a face; the table gives the picture's side and centre relative to the box found. A median
side of 1.0 of the box's longer side means `crops.MARGIN` = 0.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from facemotion.detectors import FaceDetector
from training.common.cli_errors import exit_on_error
from training.expression.data.dataset import load_split

SIDE, BORDER = 160, 80  # pixels: a face of a size that every detector here is good at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/validation")
    parser.add_argument("--detector", default="default", help="a detector's name (%(default)s)")
    parser.add_argument("--pictures", type=int, default=1500, help="how many to look at (%(default)s)")
    arguments = parser.parse_args()
    with exit_on_error():
        pictures = load_split(arguments.data, "validation").pictures
        detector = FaceDetector.from_pretrained(arguments.detector)
    rows = random.Random(0).sample(range(len(pictures)), min(arguments.pictures, len(pictures)))
    found = [f for f in (frame(detector, pictures[row]) for row in tqdm(rows, leave=False)) if f is not None]
    print(f"{detector.description}: a face in {len(found)} of {len(rows)} pictures")
    print(f"{'':>34}  10 %   median  90 %")
    for name, column in zip(
        ("side / longer side of the box", "centre to the right, in sides", "centre below, in sides"),
        np.array(found).T,
        strict=True,
    ):
        low, middle, high = np.percentile(column, [10, 50, 90])
        print(f"{name:>34}  {low:5.2f}  {middle:6.2f}  {high:5.2f}")


def frame(detector: FaceDetector, picture: np.ndarray) -> tuple[float, float, float] | None:
    """The picture's side and centre in units of the box's longer side, or None without a face.

    Args:
        picture: grey uint8 [48, 48].
    """
    enlarged = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    bordered = cv2.copyMakeBorder(enlarged, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    boxes, _ = detector.detect(np.repeat(bordered[..., None], 3, axis=2))
    if not len(boxes):
        return None
    x0, y0, x1, y1 = boxes[0]
    longer, middle = max(x1 - x0, y1 - y0), BORDER + SIDE / 2
    return SIDE / longer, (middle - (x0 + x1) / 2) / longer, (middle - (y0 + y1) / 2) / longer


if __name__ == "__main__":
    main()
