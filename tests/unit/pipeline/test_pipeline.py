"""The whole chain, on real photos with the real models."""

import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemotion import EMOTIONS, Pipeline, deadline, images, runtime
from facemotion.errors import BadOption, InputError, ModelFailure
from facemotion.expression import crops as cropping
from facemotion.expression import quality


@pytest.mark.parametrize("name", ["astronaut.png", "fr_obama.jpg"])
def test_a_smile_is_happy(pipeline, examples, name):
    (face,) = pipeline.analyze(examples / name).faces
    assert face.expression == "happy"
    assert not face.uncertain


@pytest.mark.slow
def test_every_source_says_the_same(pipeline, examples):
    path = examples / "astronaut.png"
    with Image.open(path) as opened:
        sources = [path, str(path), path.read_bytes(), opened, images.load(path), images.load_picture(path)]
        faces = {pipeline.analyze(source).faces for source in sources}
    assert len(faces) == 1


def exif_forms(image: np.ndarray) -> list[bytes]:
    """The picture stored in the eight orientations of EXIF, each of which shows it upright."""
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> PIL.Image.Transpose that stores it
    forms = []
    for orientation, transpose in undo.items():
        stored = Image.fromarray(image)
        stored = stored if transpose is None else stored.transpose(Image.Transpose(transpose))
        exif = Image.Exif()
        exif[0x0112] = orientation
        buffer = io.BytesIO()
        stored.save(buffer, "PNG", exif=exif)
        forms.append(buffer.getvalue())
    return forms


@pytest.mark.slow
def test_the_eight_exif_orientations_agree(pipeline, examples):
    image = images.load(examples / "grace_hopper.jpg")
    (upright,) = pipeline.analyze(image).faces
    for form in exif_forms(image):
        (face,) = pipeline.analyze(form).faces
        assert np.abs(np.subtract(tuple(face.box), tuple(upright.box))).max() <= 1
        assert face.expression == upright.expression


def test_a_mirrored_picture_gives_mirrored_boxes(pipeline, examples):
    image = images.load(examples / "group.jpg")
    faces, mirrored = pipeline.analyze(image).faces, pipeline.analyze(image[:, ::-1]).faces
    assert len(faces) == len(mirrored) == 3
    for face, other in zip(faces, mirrored, strict=True):
        expected = (image.shape[1] - face.box.x1, face.box.y0, image.shape[1] - face.box.x0, face.box.y1)
        assert np.abs(np.subtract(tuple(other.box), expected)).max() < 0.15 * face.box.width


def test_ids_count_from_the_largest_face(pipeline, examples):
    faces = pipeline.analyze(examples / "group.jpg").faces
    assert [face.id for face in faces] == [1, 2, 3]
    assert sorted(faces, key=lambda face: -face.box.area) == list(faces)


def test_no_faces_is_an_ordinary_answer(pipeline):
    analysis = pipeline.analyze(np.full((300, 400, 3), 200, np.uint8))
    assert analysis.faces == ()
    assert analysis.error is None


def test_the_json_has_the_documented_form(pipeline, examples):
    answer = json.loads(json.dumps(pipeline.analyze(examples / "rotated.jpg").to_dict()))
    assert set(answer) == {"image", "faces", "models", "timings_ms", "error"}
    with Image.open(examples / "rotated.jpg") as stored:
        height, width = stored.size  # stored lying on its side
    assert (answer["image"]["width"], answer["image"]["height"]) == (width, height)
    assert sorted(answer["image"]["source_size"]) == sorted([width, height])
    (face,) = answer["faces"]
    assert set(face) == {
        "id",
        "box",
        "detection_confidence",
        "expression",
        "confidence",
        "probabilities",
        "uncertain",
        "quality",
    }
    assert tuple(face["probabilities"]) == EMOTIONS
    assert set(answer["timings_ms"]) == {"decode", "detect", "classify", "total"}
    assert set(answer["models"]) == {"detector", "classifier"}


@pytest.mark.slow
def test_a_batch_says_what_single_calls_say_and_survives_a_bad_file(pipeline, examples, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("not a picture")
    sources = [examples / "astronaut.png", bad, *([examples / "group.jpg"] * 17), examples / "fr_obama.jpg"]
    seen = []
    analyses = pipeline.analyze_batch(sources, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n + 1, len(sources)) for n in range(len(sources))]
    assert analyses[1].error[0] == "not_an_image"
    assert analyses[1].faces == ()
    for index in (0, 2, 18, 19):
        single = pipeline.analyze(sources[index])
        assert [face.expression for face in analyses[index].faces] == [face.expression for face in single.faces]
        for face, other in zip(analyses[index].faces, single.faces, strict=True):
            assert np.allclose(face.probabilities, other.probabilities, atol=1e-4)


def test_a_batch_searches_several_pictures_at_a_time_within_the_callers_deadline(pipeline, monkeypatch):
    detect, both = pipeline.detector.detect, threading.Barrier(2, timeout=60)

    def wait_for_another(*args, **kwargs):
        both.wait()
        return detect(*args, **kwargs)

    monkeypatch.setattr(runtime, "cores", lambda: 2)
    monkeypatch.setattr(pipeline.detector, "detect", wait_for_another)
    pictures = [np.full((60, 80, 3), level, np.uint8) for level in (90, 200)]
    assert [one.error for one in pipeline.analyze_batch(pictures)] == [None, None]
    with deadline.within(0):
        assert [one.error[0] for one in pipeline.analyze_batch(pictures)] == ["too_slow", "too_slow"]


@pytest.mark.parametrize(
    "options", [{"threshold": float("nan")}, {"threshold": 2}, {"threshold": -1}, {"detail": "best"}]
)
def test_refuses_options_outside_their_range(pipeline, examples, options):
    with pytest.raises(BadOption):
        pipeline.analyze(examples / "astronaut.png", **options)
    with pytest.raises(BadOption):
        pipeline.analyze_batch([examples / "astronaut.png"], **options)


def test_a_failing_detector_is_a_failure_of_one_request(pipeline, examples, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(pipeline.detector, "detect", fail)
    with pytest.raises(ModelFailure, match="face detector"):
        pipeline.analyze(examples / "astronaut.png")
    monkeypatch.undo()
    assert len(pipeline.analyze(examples / "astronaut.png").faces) == 1


@pytest.mark.slow
@pytest.mark.parametrize("error", [ModelFailure("No memory."), MemoryError(), TypeError("odd")])
def test_a_batch_survives_a_picture_whose_faces_cannot_be_read(pipeline, examples, monkeypatch, error):
    names = ["astronaut.png", "group.jpg", "fr_obama.jpg"]
    expected = [pipeline.analyze(examples / name) for name in names]
    spoilt = {crop.tobytes() for crop in pipeline._detect(examples / "group.jpg", "auto", None).crops}
    classify = pipeline.classifier.classify

    def fail(crops):
        if spoilt & {crop.tobytes() for crop in crops}:
            raise error
        return classify(crops)

    monkeypatch.setattr(pipeline.classifier, "classify", fail)
    first, failed, last = pipeline.analyze_batch([examples / name for name in names])
    assert (first.faces, last.faces) == (expected[0].faces, expected[2].faces)
    assert first.error is None and last.error is None
    assert failed.faces == () and failed.error[0] == "model_failed"
    assert (failed.width, failed.height) == (expected[1].width, expected[1].height)
    with pytest.raises(ModelFailure):
        pipeline.analyze(examples / "group.jpg")


@pytest.mark.parametrize("error", [MemoryError(), ValueError("odd")])
@pytest.mark.parametrize(("module", "name"), [(cropping, "square"), (quality, "assess")])
def test_a_face_that_cannot_be_cut_out_is_a_failure_of_one_request(  # noqa: PLR0917
    pipeline, examples, monkeypatch, module, name, error
):
    def fail(*_):
        raise error

    monkeypatch.setattr(module, name, fail)
    with pytest.raises(ModelFailure, match="cutting out"):
        pipeline.analyze(examples / "astronaut.png")
    (analysis,) = pipeline.analyze_batch([examples / "astronaut.png"])
    assert analysis.error[0] == "model_failed"


@pytest.mark.parametrize(
    "sources",
    ["photo.jpg", b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), Path("photo.jpg"), None,
     np.zeros((20, 20, 3), np.uint8), {"photo.jpg": 1}],
)  # fmt: skip
def test_a_batch_that_is_no_list_is_refused(pipeline, sources):
    with pytest.raises(BadOption, match="must be a list of pictures"):
        pipeline.analyze_batch(sources)


def test_a_stack_of_pictures_is_a_batch(pipeline):
    assert [a.error for a in pipeline.analyze_batch(np.full((2, 64, 64, 3), 90, np.uint8))] == [None, None]
    assert pipeline.analyze_batch([]) == pipeline.analyze_batch(()) == []


def test_nothing_and_nonsense_are_refused(pipeline):
    for source in (None, b"", b"text", np.zeros((5, 5))):
        with pytest.raises(InputError):
            pipeline.analyze(source)


def test_the_pipeline_names_its_models():
    pipeline = Pipeline.from_pretrained("yunet", "simplecnn")
    assert pipeline.models["detector"].startswith("yunet (embedded, ")
    assert pipeline.models["classifier"].startswith("simplecnn (embedded, ")
    assert pipeline.notices == ()
