"""Training data of the detector: photos with cleaned labels, written in the layout of Ultralytics.

    data.yaml  images/{train,val}  labels/{train,val}   as ultralytics reads them: class, center, size, in shares
    changes.json    what was changed, by set; changes.jpg   some of it, to inspect
    teachers.json   what the teachers found, so that it is looked for once
    confidence.json   by picture, how certain each of its boxes is, where one is not

Training pictures are the photos that are not held out, those of crowds several times if so planned, close-ups cut out
of them, parts of them without faces, patterns, and pictures from elsewhere that show no face. Validation pictures are
those held out, with their labels as they came. A photo stands there as a link to its file, unless it had to be changed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from facemotion import images
from facemotion.detectors.boxes import Boxes
from training.common.files import replace, write_json, write_text
from training.detector.data import augment, negatives, wider_face
from training.detector.data import yolo_format as photos
from training.detector.data.label_cleaning import CleanedLabels, TeacherDetections, distill_labels, fuse
from training.detector.data.teachers import look, read_teacher_boxes
from training.detector.data.yolo_format import IGNORED_PX, NO_FACES, Photo

LOOSE_SETS = ("mgde2",)  # whose boxes were drawn generously
CONFIDENCE = "confidence.json"
SHOWN = 24  # changed photos on the sheet
QUALITY = 95  # of pictures that are written anew
CROWD = 8  # faces of a photo that is a crowd
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class Source:
    """Photos, which of them are held out (bool [N]), and by photo name the boxes that are to be ignored."""

    photos: list[Photo]
    held_out: np.ndarray
    ignored: dict[str, Boxes] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The training images besides the photos, and the sets whose labels are loose.

    `crowd_repeats` is how often a photo of `CROWD` faces or more is listed: such photos hold most of the small faces.
    `negatives` is a folder of images without faces; transparent ones are laid over parts of photos.
    """

    close_ups: float = 0.15  # of the photos
    free_parts: float = 0.08
    patterns: float = 0.02
    crowd_repeats: int = 1
    negatives: Path | None = None
    copies: int = 2  # of each negative, over different parts
    loose_sets: tuple[str, ...] = LOOSE_SETS
    teacher_boxes: tuple[Path, ...] = ()  # folders that `training.detector.teacher_boxes` wrote
    seed: int = 0


def read(*data: Path) -> Source:
    """The photos of folders in YOLO's form, a tenth of them held out, or of the WIDER FACE tree with its own split.

    Raises:
        DataError: it is neither, or a file in it cannot be read.
    """
    trees = [root for root in data if wider_face.is_tree(root)]
    folders = [root for root in data if root not in trees]
    loaded, held = photos.load_all(folders) if folders else ([], np.zeros(0, bool))
    ignored: dict[str, Boxes] = {}
    for root in trees:
        of_tree, to_ignore = wider_face.load(root)
        loaded += of_tree
        held = np.concatenate([held, [photo.set == "wider_val" for photo in of_tree]]).astype(bool)
        ignored |= to_ignore
    return Source(loaded, held, ignored)


def prepare(source: Source, out: Path, teachers: Sequence[str] = (), plan: Plan = Plan()) -> dict[str, Any]:
    """Writes the folder anew and returns its counts.

    Raises:
        WeightsError: a teacher cannot be had.
        DataError: the folder of negatives holds no pictures, or one that cannot be read.
    """
    elsewhere = negatives.files(plan.negatives) if plan.negatives else []
    out.mkdir(parents=True, exist_ok=True)
    for part in ("images", "labels"):
        shutil.rmtree(out / part, ignore_errors=True)
    training = [p for p, held in zip(source.photos, source.held_out, strict=True) if not held and p.set != NO_FACES]
    if plan.teacher_boxes:
        seen = read_teacher_boxes(training, plan.teacher_boxes)
        fused = {p.name: distill_labels(p.boxes, seen[p.name][0], p.labelled_by) for p in training}
    else:
        seen = look(training, teachers, out / "teachers.json")
        fused = {p.name: fuse(p.boxes, seen[p.name], p.set in plan.loose_sets) for p in training}
    writer = Writer(out, source.ignored)
    for photo in tqdm(training, desc="writing", leave=False, mininterval=1):
        done = fused[photo.name]
        writer.photo(photo, done.boxes, "train", plan.crowd_repeats, done.confidence)
    extra(training, fused, seen, elsewhere, writer, plan)
    for photo, held in zip(source.photos, source.held_out, strict=True):
        if held:
            writer.photo(photo, photo.boxes, "val")
    counts: dict[str, Any] = dict(writer.counts)
    counts |= {"teachers": [Path(name).name for name in teachers], "changes": changes(training, fused)}
    write_json(out / "changes.json", counts)
    write_json(out / CONFIDENCE, writer.confidence)
    changes_sheet(training, fused, out / "changes.jpg")
    described = {"path": str(out.resolve()), "train": "images/train", "val": "images/val", "names": {0: "face"}}
    write_text(out / "data.yaml", yaml.safe_dump(described))
    return counts


def extra(  # noqa: PLR0917
    training: Sequence[Photo],
    fused: dict[str, CleanedLabels],
    seen: dict[str, list[TeacherDetections]],
    elsewhere: Sequence[Path],
    writer: Writer,
    plan: Plan,
) -> None:
    """Close-ups, parts without faces and patterns: as many as planned, or as there can be; and the pictures from
    `elsewhere`, cut-outs before parts without faces."""
    random = np.random.default_rng(plan.seed)

    def close_up(photo: Photo) -> tuple[augment.Picture, Boxes, NDArray[np.float32]] | None:
        done = fused[photo.name]
        large = _large(done.boxes)
        made = augment.close_up(writer.pixels(photo, done.boxes), done.boxes[large], random)
        return None if made is None else (*made[:2], done.confidence[large][made[2]])

    def free_part(photo: Photo) -> tuple[augment.Picture, Boxes] | None:
        found = [teacher.boxes for teacher in seen[photo.name]]
        anything = np.concatenate([fused[photo.name].boxes, photo.boxes, writer.to_ignore(photo), *found])
        part = augment.free_part(images.load(photo.path), anything, random)
        return None if part is None else (part, photo.boxes[:0])

    order = [training[row] for row in random.permutation(len(training))]
    for kind, share, make in (("close_ups", plan.close_ups, close_up), ("free_parts", plan.free_parts, free_part)):
        made = ((photo, result) for photo in order if (result := make(photo)))
        for photo, result in islice(made, round(share * len(training))):
            writer.picture(kind, f"{kind}__{photo.name}", *result)
    for number in range(round(plan.patterns * len(training))):
        writer.picture("patterns", f"patterns__{number}", augment.pattern(random), np.zeros((0, 4), np.float32))
    parts = [part for part, _ in islice(filter(None, map(free_part, order)), plan.copies * len(elsewhere))]
    behind = cycle(parts or [augment.pattern(random)])
    for number, file in enumerate(elsewhere):
        for copy in range(plan.copies if negatives.is_cut_out(file) else 1):
            pixels = negatives.over(file, next(behind))
            writer.picture("negatives", f"negatives__{number}__{copy}", pixels, np.zeros((0, 4), np.float32))


class Writer:
    """Writes pictures with their labels, and counts them."""

    def __init__(self, out: Path, ignored: dict[str, Boxes]) -> None:
        self.out, self.ignored = out, ignored
        self.counts: Counter[str] = Counter()
        self.confidence: dict[str, list[float]] = {}  # by the stem of a picture to learn from
        for part in ("images", "labels"):
            for split in ("train", "val"):
                (out / part / split).mkdir(parents=True, exist_ok=True)

    def photo(
        self, photo: Photo, boxes: Boxes, split: str, times: int = 1, confidence: NDArray[np.float32] | None = None
    ) -> None:
        """A photo as it is, and one that is a crowd so many times; in one to learn from, faces that are to be ignored
        are blanked. Boxes of less than full `confidence` [N] are noted."""
        kept, blanked = self._sorted(photo, boxes)
        if confidence is not None:
            for stem in (photo.name, *(f"{photo.name}__{number}" for number in range(1, times))):
                self._note(stem, confidence[_large(boxes)])
        self.counts[f"{split}_photos"] += 1
        self.counts[f"{split}_faces"] += len(kept)
        self.counts[f"{split}_ignored"] += len(blanked)
        if split == "train" and len(blanked):
            pixels = augment.blank(images.load(photo.path), blanked, kept)
            written = self.out / "images" / split / f"{photo.name}.jpg"
            self._save(pixels, written)
        else:
            written = self.out / "images" / split / f"{photo.name}{photo.path.suffix.lower()}"
            link(photo.path, written)
        self._label(kept, photo.width, photo.height, split, photo.name)
        for number in range(1, times if len(kept) >= CROWD else 1):
            self.counts["repeated"] += 1
            link(written, written.with_stem(f"{photo.name}__{number}"))
            self._label(kept, photo.width, photo.height, split, f"{photo.name}__{number}")

    def pixels(self, photo: Photo, boxes: Boxes) -> augment.Picture:
        """The picture of a photo to learn from, as `photo` writes it."""
        kept, blanked = self._sorted(photo, boxes)
        return augment.blank(images.load(photo.path), blanked, kept)

    def picture(
        self,
        kind: str,
        name: str,
        pixels: augment.Picture,
        boxes: Boxes,
        confidence: NDArray[np.float32] | None = None,
    ) -> None:
        """A picture to learn from that was made; its boxes are of full `confidence` [N] unless it says otherwise."""
        height, width = pixels.shape[:2]
        if confidence is not None:
            self._note(name, confidence)
        self.counts[kind] += 1
        self._save(pixels, self.out / "images" / "train" / f"{name}.jpg")
        self._label(boxes, width, height, "train", name)

    def _note(self, stem: str, confidence: NDArray[np.float32]) -> None:
        if (confidence < 1).any():
            self.confidence[stem] = confidence.round(3).tolist()

    def _sorted(self, photo: Photo, boxes: Boxes) -> tuple[Boxes, Boxes]:
        """Those to learn, and those to ignore: the small ones, and what the source says."""
        large = _large(boxes)
        return boxes[large], np.concatenate([boxes[~large], self.to_ignore(photo)])

    def to_ignore(self, photo: Photo) -> Boxes:
        """The boxes that the source says to ignore."""
        return self.ignored.get(photo.name, photo.boxes[:0])

    def _save(self, pixels: augment.Picture, file: Path) -> None:
        coded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
        replace(file, lambda opened: opened.write(coded.tobytes()))

    def _label(self, boxes: Boxes, width: int, height: int, split: str, name: str) -> None:
        shares = np.concatenate([boxes[:, :2] + boxes[:, 2:], 2 * (boxes[:, 2:] - boxes[:, :2])], axis=1) / 2
        lines = [f"0 {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for x, y, w, h in shares / ([width, height] * 2)]
        (self.out / "labels" / split / f"{name}.txt").write_text("".join(lines))


def _large(boxes: Boxes) -> NDArray[np.bool_]:
    """Which boxes are large enough to be learned: bool [N]."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) >= IGNORED_PX)


def link(file: Path, to: Path) -> None:
    """A symbolic link; a copy where the system allows none, and of a JPEG without its end, which ultralytics would
    write anew in its place."""
    is_cut = file.suffix.lower() in (".jpg", ".jpeg") and file.read_bytes()[-2:] != _JPEG_END
    if not is_cut:
        try:
            to.symlink_to(file.resolve())
            return
        except OSError:  # Windows, without the right to make links
            pass
    shutil.copyfile(file, to)


def changes(training: Sequence[Photo], fused: dict[str, CleanedLabels]) -> dict[str, dict[str, int]]:
    """By set: photos, labels, how many of these were tightened, and faces added."""
    table: dict[str, dict[str, int]] = {}
    for photo in training:
        row = table.setdefault(photo.set, dict.fromkeys(("photos", "labels", "tightened", "added"), 0))
        done = fused[photo.name]
        row["photos"] += 1
        row["labels"] += len(photo.boxes)
        row["tightened"] += int(done.tightened.sum())
        row["added"] += done.added
    return table


def changes_sheet(training: Sequence[Photo], fused: dict[str, CleanedLabels], file: Path) -> None:
    """Photos with changed labels, half of them tightened and half with added faces where there are as many: as they
    came in orange, as they are in green, added in blue. No file if nothing was changed."""
    tightened = [photo for photo in training if fused[photo.name].tightened.any()][: SHOWN // 2]
    added = [p for p in training if fused[p.name].added and p not in tightened]
    chosen = tightened + added[: SHOWN - len(tightened)]
    if chosen:
        rows = [np.hstack(list(map(_tile, chosen[at : at + 6], [fused] * 6))) for at in range(0, len(chosen), 6)]
        widest = max(row.shape[1] for row in rows)
        joined = np.vstack([np.pad(r, ((0, 0), (0, widest - r.shape[1]), (0, 0)), constant_values=255) for r in rows])
        coded = cv2.imencode(".jpg", cv2.cvtColor(joined, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
        replace(file, lambda opened: opened.write(coded.tobytes()))


def _tile(photo: Photo, fused: dict[str, CleanedLabels], side: int = 240) -> augment.Picture:
    """A photo on white, `side` pixels square, with its boxes."""
    scale = side / max(photo.width, photo.height)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    small = cv2.resize(images.load(photo.path), size, interpolation=cv2.INTER_AREA)
    done = fused[photo.name]
    kept = len(photo.boxes)
    layers = (
        (photo.boxes[done.tightened], (240, 120, 0)),
        (done.boxes[:kept][done.tightened], (0, 190, 60)),
        (done.boxes[kept:], (40, 90, 255)),
    )
    for boxes, colour in layers:
        for x0, y0, x1, y1 in (boxes * scale).round().astype(int).tolist():
            cv2.rectangle(small, (x0, y0), (x1, y1), colour, 1)
    below, right = side - size[1], side - size[0]
    return np.asarray(cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(255,) * 3), np.uint8)
