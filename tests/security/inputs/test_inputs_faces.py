"""Faces that are hard to find, or many, and options outside their range, through the real models in Python."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facemotion import settings
from facemotion.errors import BadOption, MissingInput
from facemotion.pipeline import Pipeline
from tests.support.media.bad_inputs import OPTIONS
from tests.support.media.composed import FACES, Composition


@pytest.mark.parametrize("picture", FACES, ids=str)
def test_faces_that_are_hard_or_many(picture: Composition, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    network = pipeline.classifier.network

    def count(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        batches.append(len(batch))
        return network(batch)

    monkeypatch.setattr(pipeline.classifier, "network", count)
    found = pipeline.analyze(picture.png())
    assert len(found.faces) in picture.faces
    assert sum(batches) == len(found.faces) and max(batches, default=0) <= settings.CLASSIFY_BATCH
    for face in found.faces:
        assert 0 <= face.box.x0 < face.box.x1 <= found.width
        assert 0 <= face.box.y0 < face.box.y1 <= found.height


def test_a_face_over_the_edge_is_said_to_be_cut_off(pipeline: Pipeline) -> None:
    [picture] = [picture for picture in FACES if picture.name == "over-the-edge.png"]
    [face] = pipeline.analyze(picture.png()).faces
    assert face.box.x0 == 0 and "cut_off" in face.quality


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: repr(options)[:40])
def test_options_outside_their_range(options: dict[str, object], pipeline: Pipeline) -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(BadOption):
        pipeline.analyze(picture, **options)  # type: ignore[arg-type]
    with pytest.raises(BadOption):
        pipeline.analyze_batch([picture], **options)  # type: ignore[arg-type]


def test_nothing_is_no_picture(pipeline: Pipeline) -> None:
    with pytest.raises(MissingInput, match="add a photo"):
        pipeline.analyze(None)  # type: ignore[arg-type]
    [one] = pipeline.analyze_batch([None])  # type: ignore[list-item]
    assert one.error is not None and one.error[0] == "missing"
