"""What teachers say of each photo: read from the files of a large detector, or asked of several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from facemotion import FaceDetector, images
from training.common.errors import DataError
from training.common.files import write_json
from training.detector import teacher_boxes
from training.detector.data.label_cleaning import TeacherDetections
from training.detector.data.yolo_format import Photo

TEACHER_THRESHOLD = 0.3  # from which a teacher's box shows a face
LOWEST = 0.25  # what a teacher takes for a face with less, may be none: a part without faces may hold it
KEPT_EVERY = 200  # photos, what the teachers have found so far


def read_teacher_boxes(chosen: Sequence[Photo], folders: Sequence[Path]) -> dict[str, list[TeacherDetections]]:
    """Read the detections of a teacher, by photo name, that `training.detector.teacher_boxes` wrote.

    Raises:
        DataError: a photo's boxes are in none of them, or cannot be read.
    """
    files = {
        photo.name: [f for f in (root / f"{photo.name}.txt" for root in folders) if f.is_file()] for photo in chosen
    }
    if missing := [name for name, found in files.items() if not found]:
        where = " or ".join(map(str, folders))
        raise DataError(
            f"{len(missing)} photos, {missing[0]} the first, have no boxes in {where}: run "
            "training.detector.teacher_boxes"
        )
    read_one = teacher_boxes.read
    return {
        photo.name: [TeacherDetections(*read_one(files[photo.name][0], photo.width, photo.height), TEACHER_THRESHOLD)]
        for photo in chosen
    }


def look(chosen: Sequence[Photo], teachers: Sequence[str], cache: Path) -> dict[str, list[TeacherDetections]]:
    """Run the teachers, named as for `FaceDetector.from_pretrained`, on photos; detections by photo name.

    Raises:
        DataError: two of them have the same name, by which `cache` keeps what they found.
    """
    if len({Path(name).name for name in teachers}) < len(teachers):
        raise DataError(f"of --teachers {' '.join(teachers)} two have the same last name: rename one")
    known: dict[str, Any] = json.loads(cache.read_text()) if cache.is_file() else {}
    seen: dict[str, list[TeacherDetections]] = {photo.name: [] for photo in chosen}
    for name in teachers:
        told = known.setdefault(Path(name).name, {"threshold": 0.0, "found": {}})
        found = told["found"]
        if missing := [photo for photo in chosen if photo.name not in found]:  # else the teacher need not be here
            detector = FaceDetector.from_pretrained(name)
            told["threshold"] = detector.default_threshold
            lowest = min(LOWEST, detector.default_threshold)
            for number, photo in enumerate(tqdm(missing, desc=detector.description, leave=False, mininterval=1)):
                if number % KEPT_EVERY == 0:
                    write_json(cache, known)
                boxes, scores = detector.detect(images.load(photo.path), threshold=lowest)
                found[photo.name] = [boxes.round(2).tolist(), scores.round(4).tolist()]
            write_json(cache, known)
        for photo in chosen:
            boxes, scores = (np.array(part, np.float32) for part in found[photo.name])
            seen[photo.name].append(TeacherDetections(boxes.reshape(-1, 4), scores, told["threshold"]))
    return seen
