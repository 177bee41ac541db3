"""The frames between two analysed ones: every face moves on a straight line from where it was to where it will be."""

from __future__ import annotations

from dataclasses import replace

from facemotion.faces import Analysis, Box, Face


def between(before: Analysis, after: Analysis, share: float) -> Analysis:
    """The analysis of a frame `share` (0..1) of the way from one to the other, both of one tracker.

    A face in both moves from box to box. One that has gone is shown for the first half of the way, where it was; one
    that has come, for the second half, where it is. Probabilities and labels are those of the nearer moment seen.
    """
    arriving = {face.id: face for face in after.faces}
    staying = {face.id for face in before.faces} & arriving.keys()
    moving = [_moved(face, arriving[face.id], share) for face in before.faces if face.id in staying]
    lone = [face for face in (before if share < 0.5 else after).faces if face.id not in staying]
    return replace(before if share < 0.5 else after, faces=(*moving, *lone))


def _moved(before: Face, after: Face, share: float) -> Face:
    box = Box(*(a + share * (b - a) for a, b in zip(before.box, after.box, strict=True)))
    return replace(before if share < 0.5 else after, box=box)
