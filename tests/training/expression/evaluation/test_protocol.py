"""The judgement of a model beyond its own validation split: real faces, distortions, the crowd, and their report."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemotion import EMOTIONS, images
from facemotion.detectors import FaceDetector
from facemotion.expression import crops
from tests.support.training.tree import EXAMPLES, FACE, write_tree
from training.common.errors import DataError
from training.expression.data import corruptions
from training.expression.data.dataset import Split, load_split
from training.expression.data.ferplus import VOTES
from training.expression.data.mixture import load_photos
from training.expression.data.soft_labels import majority_label
from training.expression.evaluation import in_the_wild, metrics, robustness, scorers, test_protocol
from training.expression.evaluation.scorers import Model

pytestmark = pytest.mark.slow

ANGRY, HAPPY = EMOTIONS.index("angry"), EMOTIONS.index("happy")
SURE = 8.0  # a logit this far ahead is nearly a probability of 1


def constant(label: int) -> Model:
    """Always gives the same answer."""
    return Model(
        f"always {EMOTIONS[label]}", lambda pictures: np.tile(SURE * np.eye(7)[label], (len(pictures), 1)), 1.0
    )


@pytest.fixture(scope="module")
def wild_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face in colour for each expression, with room around it, and for "angry" a second picture without a face."""
    root = tmp_path_factory.mktemp("wild")
    face = crops.square(images.load(EXAMPLES / "grace_hopper.jpg"), FACE, margin=0.4)
    for emotion in EMOTIONS:
        (root / emotion).mkdir()
        Image.fromarray(face).save(root / emotion / "a.png")
    Image.new("RGB", (96, 96), (90, 120, 160)).save(root / "angry" / "b.png")
    return root


@pytest.fixture(scope="module")
def wild_faces(wild_folder: Path) -> in_the_wild.InTheWildFaces:
    return in_the_wild.load(wild_folder, FaceDetector.from_pretrained("yunet"))[48]


def test_every_real_face_that_cannot_be_read_is_named(wild_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(wild_folder, tmp_path / "wild")
    for name in ("happy/a.jpg", "happy/._b.jpg", "sad/c.jpg"):
        (folder / name).write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        in_the_wild.load(folder, FaceDetector.from_pretrained("yunet"))
    assert [Path(line.split(":")[0]).name for line in str(caught.value).splitlines()] == ["a.jpg", "c.jpg"]


def test_real_faces_are_seen_whole_and_as_the_detector_cuts_them(
    wild_faces: in_the_wild.InTheWildFaces, wild_folder: Path
) -> None:
    assert wild_faces.labels.tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    assert wild_faces.found.tolist() == [True, False, *[True] * 6]
    picture = images.load(wild_folder / "happy" / "a.png")
    whole = crops.to_input([picture], 48, mean=0, std=1, channels=1)[0, 0]
    assert np.array_equal(wild_faces.whole[4], np.rint(whole * 255))
    assert not np.array_equal(wild_faces.whole[4], wild_faces.framed[4])
    assert not wild_faces.framed[1].any()
    larger = in_the_wild.load(wild_folder, FaceDetector.from_pretrained("yunet"), {64})[64]
    assert larger.whole.shape == larger.framed.shape == (8, 64, 64)
    assert np.array_equal(larger.whole[4], crops.resize(crops.to_grey(picture), 64))


def test_a_face_that_was_not_found_counts_as_wrong(wild_faces: in_the_wild.InTheWildFaces) -> None:
    angry = in_the_wild.evaluate_faces(constant(ANGRY), wild_faces)
    assert angry["whole"]["accuracy"] == 2 / 8
    assert (angry["framed"]["accuracy"], angry["framed"]["accuracy_of_all"]) == (1 / 7, 1 / 8)
    assert angry["framed"]["found"] == 7 / 8
    assert angry["whole"]["lowest_recall_of_highest"] == 0
    assert "| always angry | none | 8 | 0.250 |" in in_the_wild.to_markdown([angry])


def test_an_expression_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="angry holds no pictures: expected a folder for each of angry, disgust"):
        in_the_wild.load(tmp_path, FaceDetector.from_pretrained("yunet"))


def test_the_largest_of_several_faces_is_taken() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 50, 45], [0, 0, 20, 30]], np.float32)
    assert tuple(in_the_wild.largest(boxes)) == (5, 5, 50, 45)


def test_distortions_are_the_same_for_every_model_and_their_losses_are_told() -> None:
    labels = np.array([HAPPY, ANGRY] * 4)
    pictures = np.where(labels == HAPPY, 200, 60).astype(np.uint8)[:, None, None].repeat(48, 1).repeat(48, 2)
    split = Split(pictures, labels, tuple("abcdefgh"))

    def by_light(given: np.ndarray) -> np.ndarray:
        return SURE * np.eye(7)[np.where(given.mean((1, 2)) > 190, HAPPY, ANGRY)]

    result = robustness.measure([Model("by light", by_light), constant(HAPPY)], split)
    assert set(result["models"]["by light"]["distorted"]) == set(corruptions.STRENGTHS)
    assert result["models"]["by light"]["clean"] == 1
    assert result["models"]["always happy"]["distorted"]["blur of 0.5, 1, 1.5 pixels"] == [0.5] * 3
    dark, light = (k for k in corruptions.STRENGTHS if k.startswith(("dark", "light")))
    assert result["models"]["by light"]["distorted"][dark] == [0.5] * 3  # 200 becomes 186 and less
    assert result["models"]["by light"]["distorted"][light][0] == 1
    assert robustness.defects(result) == {"by light": [dark], "always happy": []}
    assert f"by light: {dark} costs more than 5 points" in robustness.to_markdown(result)
    noisy = corruptions.STRENGTHS["noise of 5, 10, 20 levels"][0]
    assert np.array_equal(robustness.distorted(pictures, noisy), robustness.distorted(pictures, noisy))


def test_a_clear_majority_is_more_than_half_of_the_votes() -> None:
    crowd = np.array([[0.5, 0.5, 0, 0, 0, 0, 0], [0, 0, 0, 0.6, 0.4, 0, 0], [0] * 7], np.float32)
    assert majority_label(crowd).tolist() == [-1, HAPPY, -1]


def test_two_views_are_averaged_as_probabilities() -> None:
    def by_left_half(pictures: np.ndarray) -> np.ndarray:
        return SURE * np.eye(7)[np.where(pictures[:, :, :24].mean((1, 2)) > 100, HAPPY, ANGRY)]

    picture = np.zeros((1, 48, 48), np.uint8)
    picture[:, :, :24] = 200
    mean = metrics.softmax(test_protocol.with_mirror(Model("left", by_left_half, 2.0)).score(picture), 2.0)
    one, other = (metrics.softmax(SURE * np.eye(7)[[label]], 2.0) for label in (HAPPY, ANGRY))
    assert np.allclose(mean, (one + other) / 2)


@pytest.fixture(scope="module")
def judged(wild_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with data, photos, and the protocol's two files, made by its command."""
    folder = tmp_path_factory.mktemp("protocol")
    data = write_tree(folder / "data")
    shutil.copytree(data / "images" / "validation", data / "images" / "test")
    for file in (data / "images" / "validation").rglob("[12].png"):
        file.unlink()  # one of each expression will do: the network is run on some thirty distortions of each
    for number, file in enumerate(sorted((data / "images").rglob("*.png"))):
        file.rename(file.with_name(f"{number}.png"))
    shutil.copytree(wild_folder, folder / "photos" / "test")
    votes = folder / "votes.csv"
    votes.write_text(f"row,{','.join(VOTES)}\n" + "".join(f"{row},0,10,0,0,0,0,0,0,0,0\n" for row in range(99)))
    with pytest.MonkeyPatch.context() as patch:
        named = {"weights": "simplecnn", "beside": "simplecnn", "data": data, "votes": votes, "wild": wild_folder}
        named |= {"photos": folder / "photos"}
        given = [text for name, value in named.items() for text in (f"--{name}", str(value))]
        patch.setattr(sys, "argv", ["protocol", *given, "--out", str(folder / "protocol.json")])
        test_protocol.main()
    return folder


def test_the_protocol_holds_what_the_single_measures_say(judged: Path) -> None:
    result = json.loads((judged / "protocol.json").read_text())
    split = load_split(judged / "data", "test")
    logits = scorers.logits_of(scorers.load_model("simplecnn").score, split.pictures)
    sets = result["sets"]
    assert sets["labels"]["accuracy"] == metrics.accuracy(logits, split.labels)
    assert sets["votes"]["accuracy"] == float((logits.argmax(1) == HAPPY).mean())  # all voters saw happiness
    assert sets["votes"]["rows"] == len(split)
    photos = load_photos(judged / "photos", "test", 48)
    assert sets["photos"]["rows"] == len(photos) == 8
    assert np.array(sets["photos"]["confusion"]).sum(1).tolist() == [2, 1, 1, 1, 1, 1, 1]
    assert sets["photos"]["mean_recall"] == pytest.approx(np.mean(list(sets["photos"]["recalls"].values())))
    assert result["networks"]["simplecnn"]["parameters"] == 4_474_375
    assert result["heads"] == {}


def test_the_report_tells_what_was_missed_and_by_how_much(judged: Path) -> None:
    text = (judged / "protocol.md").read_text()
    reached = json.loads((judged / "protocol.json").read_text())["sets"]["photos"]["accuracy"]
    asked, _ = test_protocol.TARGETS["photos", "accuracy"]
    assert f"missed by {100 * (asked - reached):.1f} points" in text
    assert f"\nThe detector is {FaceDetector.from_pretrained().description}.\n" in text
    for title in ("## Targets", "## The sets", "## Other models", "## Corruptions", "## Cost"):
        assert title in text
