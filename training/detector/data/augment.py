"""Augmentation for the face detector: blanking, close-ups, pasting, degradation. Pure functions.

Pictures are uint8 [H, W, 3]; boxes float32 [N, 4], x0 y0 x1 y1 in their pixels. Everything random comes from the
generator that is handed in.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facemotion.detectors.boxes import Boxes, areas, intersections

Picture = NDArray[np.uint8]

CLOSE_UP_SHARES = (0.3, 0.9)  # of a close-up's area that its face covers
CLOSE_UP_PX = 80  # a face with shorter sides is too coarse to fill a picture
CUT_SHARE = 0.5  # a face of which a close-up shows less is blanked there
DONOR_PX = (16, 96)  # longer side of a face that is pasted into other pictures
PASTED_PX = (8, 40)  # longer side of the pasted face; it is never enlarged by more than rounding
PASTED_MARGIN = 0.25  # of its sides, that it brings along
BLENDED = 0.08  # of the pasted piece's sides, where it passes into what is behind
FREE_PX = (96, 320)  # sides of a part without faces
PATTERN_PX = 320
# How often a picture is made worse while it is learned from, and how much.
GREY, DARK, MOVED, COARSE = 0.1, 0.1, 0.1, 0.05
GAMMAS = (1.5, 3.0)
NOISE = 8.0  # grey levels, of a dark picture
LENGTHS = (3, 11)  # pixels of motion
COARSENESS = (25, 60)  # of JPEG's quality


def blank(picture: Picture, boxes: Boxes, kept: Boxes) -> Picture:
    """A copy in which `boxes` are blurred beyond recognition, except where they overlap `kept`.

    So are faces ignored: a network has no notion of "may be found, need not be". Left in the picture without a label,
    a tiny face would teach that faces are background.
    """
    result: Picture = picture.copy()
    height, width = picture.shape[:2]
    for x0, y0, x1, y1 in whole(boxes, width, height):
        around = max(x1 - x0, y1 - y0)
        left, top = max(0, x0 - around), max(0, y0 - around)
        patch = picture[top : y1 + around, left : x1 + around]
        blurred = cv2.blur(patch, (2 * around + 1, 2 * around + 1))
        result[y0:y1, x0:x1] = blurred[y0 - top : y1 - top, x0 - left : x1 - left]
    for x0, y0, x1, y1 in whole(kept, width, height):
        result[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
    return result


def whole(boxes: Boxes, width: int, height: int) -> list[list[int]]:
    """The boxes in whole pixels that cover them, inside the picture; without those that have no pixel there."""
    grown = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    clipped = np.clip(grown, 0, [width, height] * 2).astype(int).tolist()
    return [[x0, y0, x1, y1] for x0, y0, x1, y1 in clipped if x1 > x0 and y1 > y0]


def close_up(
    picture: Picture, boxes: Boxes, random: np.random.Generator
) -> tuple[Picture, Boxes, NDArray[np.bool_]] | None:
    """A part of the picture that its largest face fills, the faces in it, and which of `boxes` these are, bool [N];
    None if that face is too small.

    The face covers `CLOSE_UP_SHARES` of the part, as far as the picture reaches, and may lie off its middle.
    """
    if not len(boxes):
        return None
    face = boxes[areas(boxes).argmax()]
    size = face[2:] - face[:2]
    if size.min() < CLOSE_UP_PX:
        return None
    height, width = picture.shape[:2]
    margin = size * (np.sqrt(1 / random.uniform(*CLOSE_UP_SHARES)) - 1)
    before = margin * random.uniform(0.2, 0.8, 2)
    corners = np.concatenate([face[:2] - before, face[2:] - before + margin])[None].astype(np.float32)
    (x0, y0, x1, y1), *_ = whole(corners, width, height)
    inside = np.clip(boxes - [x0, y0, x0, y0], 0, [x1 - x0, y1 - y0] * 2).astype(np.float32)
    share = areas(inside) / np.maximum(areas(boxes), 1e-9)
    whole_enough = share >= CUT_SHARE
    part, kept = picture[y0:y1, x0:x1], inside[whole_enough]
    return blank(part, inside[(share > 0) & ~whole_enough], kept), kept, whole_enough


def free_part(picture: Picture, faces: Boxes, random: np.random.Generator, attempts: int = 20) -> Picture | None:
    """A part of the picture that touches none of `faces`, or None if none was found at random."""
    height, width = picture.shape[:2]
    for _ in range(attempts):
        side = random.integers(*FREE_PX, endpoint=True)
        if side > min(height, width):
            continue
        x, y = random.integers(0, width - side, endpoint=True), random.integers(0, height - side, endpoint=True)
        if not len(faces) or not intersections(np.array([[x, y, x + side, y + side]], np.float32), faces).any():
            return np.array(picture[y : y + side, x : x + side])
    return None


def cut_small(picture: Picture, boxes: Boxes) -> list[Picture]:
    """The faces whose longer side is in `DONOR_PX`, with a little around them, to be pasted elsewhere."""
    height, width = picture.shape[:2]
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    chosen = boxes[(longer >= DONOR_PX[0]) & (longer <= DONOR_PX[1])]
    around = (chosen[:, 2:] - chosen[:, :2]) * PASTED_MARGIN
    grown = np.concatenate([chosen[:, :2] - around, chosen[:, 2:] + around], axis=1)
    inside = (grown[:, :2] >= 0).all(axis=1) & (grown[:, 2:] <= [width, height]).all(axis=1)
    return [picture[y0:y1, x0:x1].copy() for x0, y0, x1, y1 in whole(grown[inside], width, height)]


def paste(picture: Picture, boxes: Boxes, donors: list[Picture], random: np.random.Generator) -> tuple[Picture, Boxes]:
    """A copy with each donor of `cut_small` reduced to `PASTED_PX`, at a random place that no face is near, its border
    blended; and the boxes of the pasted faces [K, 4]. A donor for which no place is found is left out."""
    result, added = picture.copy(), boxes[:0]
    height, width = picture.shape[:2]
    for donor in donors:
        most = min(PASTED_PX[1], max(donor.shape[:2]) / (1 + 2 * PASTED_MARGIN))
        side = random.uniform(PASTED_PX[0], max(PASTED_PX[0] + 1, most)) * (1 + 2 * PASTED_MARGIN)
        scale = side / max(donor.shape[:2])
        rows, columns = (max(4, round(length * scale)) for length in donor.shape[:2])
        if rows >= height or columns >= width:
            continue
        x, y = int(random.integers(0, width - columns)), int(random.integers(0, height - rows))
        place = np.array([[x, y, x + columns, y + rows]], np.float32)
        if intersections(place, np.concatenate([boxes, added])).any():
            continue
        small = cv2.resize(donor, (columns, rows), interpolation=cv2.INTER_AREA)
        small = small[:, ::-1] if random.random() < 0.5 else small
        mask = np.zeros((rows, columns, 1), np.float32)
        top, left = max(1, round(rows * BLENDED)), max(1, round(columns * BLENDED))
        mask[top : rows - top, left : columns - left] = 1
        mask = cv2.blur(mask, (2 * left + 1, 2 * top + 1))[..., None]
        behind = result[y : y + rows, x : x + columns]
        result[y : y + rows, x : x + columns] = (mask * small + (1 - mask) * behind).round().astype(np.uint8)
        margin = np.array([columns, rows]) * PASTED_MARGIN / (1 + 2 * PASTED_MARGIN)
        face = np.concatenate([place[0, :2] + margin, place[0, 2:] - margin])[None]
        added = np.concatenate([added, face.astype(np.float32)])
    return result, added


def pattern(random: np.random.Generator) -> Picture:
    """An image of stripes, squares, rings or discs with noise, a frequent cause of false alarms."""
    rows, columns = np.mgrid[:PATTERN_PX, :PATTERN_PX].astype(np.float32)
    angle, period = random.uniform(0, np.pi), random.uniform(8, 60)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    waves, crossing = np.sin(2 * np.pi * along / period), np.sin(2 * np.pi * across / period)
    center = random.uniform(0, PATTERN_PX, 2)
    rings = np.sin(2 * np.pi * np.hypot(columns - center[0], rows - center[1]) / period)
    chosen = (waves, np.sign(waves * crossing), rings, np.where(waves + crossing > 1, 1.0, -1.0))[random.integers(4)]
    dark, bright = random.uniform(0, 255, (2, 3))
    mixed = dark + (chosen[..., None] + 1) / 2 * (bright - dark)
    noisy = mixed + random.normal(0, random.uniform(1, 12), mixed.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def worsen(picture: Picture, random: np.random.Generator) -> Picture:
    """Degrade an image at random: grey, dark and noisy, motion blur, or strong JPEG compression."""
    if random.random() < GREY:
        picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)
    if random.random() < DARK:
        picture = darkened(picture, random.uniform(*GAMMAS), random)
    if random.random() < MOVED:
        picture = moved(picture, int(random.integers(*LENGTHS, endpoint=True)), random.uniform(0, np.pi))
    if random.random() < COARSE:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(*COARSENESS))]
        picture = np.asarray(cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    return picture


def darkened(picture: Picture, gamma: float, random: np.random.Generator) -> Picture:
    """With a gamma above 1, and the noise of a sensor short of light."""
    table = (255 * (np.arange(256) / 255) ** gamma).astype(np.float32)
    noisy = table[picture] + random.normal(0, NOISE, picture.shape).astype(np.float32)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def moved(picture: Picture, length: int, angle: float) -> Picture:
    """As if the camera had moved `length` pixels in a line at `angle` (radians) while the picture was taken."""
    kernel = np.zeros((length, length), np.uint8)
    middle = (length - 1) / 2
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(round(float(middle + sign * part)) for part in reach) for sign in (-1, 1)]
    weights = cv2.line(kernel, ends[0], ends[1], (1.0,)).astype(np.float32)
    return np.asarray(cv2.filter2D(picture, -1, weights / weights.sum(), borderType=cv2.BORDER_REPLICATE), np.uint8)
