"""Distortions, augmentation and targets: what they change, what they keep, and that the same seed gives the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facemotion.expression import crops
from facemotion.faces import EMOTIONS, Box
from training.common.errors import DataError
from training.expression.data import corruptions
from training.expression.data.augment import augment
from training.expression.data.soft_labels import plurality_label, soft_targets, vote_distributions


@pytest.fixture
def picture() -> np.ndarray:
    """A bright square in the middle of a darker gradient."""
    grey = np.tile(np.linspace(40, 120, 48), (48, 1))
    grey[18:30, 18:30] = 220
    return grey.astype(np.uint8)


@pytest.mark.parametrize("name", corruptions.STRENGTHS)
def test_stronger_distortions_change_more_and_none_touches_its_input(name: str, picture: np.ndarray) -> None:
    before = picture.copy()
    changes = []
    for distortion in corruptions.STRENGTHS[name]:
        outputs = [distortion(picture, np.random.default_rng(seed)) for seed in range(20)]
        assert all(out.dtype == np.uint8 and out.shape == picture.shape for out in outputs)
        changes.append(np.mean([np.abs(out.astype(int) - picture).mean() for out in outputs]))
    assert np.array_equal(picture, before)
    assert 0 < changes[0] < changes[1] < changes[2]


def test_a_shifted_box_is_the_crop_that_serving_makes(picture: np.ndarray) -> None:
    served = crops.square(picture, Box(6, 0, 54, 48), margin=0)
    assert np.array_equal(corruptions.shift_box(picture, 0.125, 0, 1), served)
    assert np.array_equal(corruptions.shift_box(picture, 0, 0, 1), picture)


@pytest.mark.parametrize(
    ("changed", "mean"),
    [
        (lambda p: corruptions.gamma(p, 2), "lower"),
        (lambda p: corruptions.gamma(p, 0.5), "higher"),
        (lambda p: corruptions.contrast(p, 1, 20), "higher"),
        (lambda p: corruptions.contrast(p, 0.5, 0), "same"),
        (lambda p: corruptions.blur(p, 1), "same"),
        (lambda p: corruptions.cover(p, 0.4, 0.4, 0.2, 0.2), "lower"),
    ],
)
def test_light(changed: object, mean: str, picture: np.ndarray) -> None:
    difference = float(changed(picture).mean() - picture.mean())  # type: ignore[operator]
    assert {"lower": difference < -2, "higher": difference > 2, "same": abs(difference) < 0.6}[mean]


def faces(count: int, side: int) -> torch.Tensor:
    """A bright square in the middle of a gradient that rises to the right: float32 [count, 1, side, side], 0..1."""
    grey = torch.linspace(40, 120, side).repeat(side, 1)
    middle = slice(side * 3 // 8, side * 5 // 8)
    grey[middle, middle] = 220
    return (grey / 255).repeat(count, 1, 1, 1)


def augmented(pictures: torch.Tensor, seed: int) -> torch.Tensor:
    return augment(pictures, 48, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("side", [48, 96])
def test_augmentation_depends_on_its_generator_alone(side: int) -> None:
    pictures = faces(60, side)
    before, state = pictures.clone(), torch.get_rng_state()
    made = augmented(pictures, seed=1)
    assert torch.equal(made, augmented(pictures, seed=1)) and not torch.equal(made, augmented(pictures, seed=2))
    assert not torch.equal(made[0], made[1])
    assert torch.equal(pictures, before) and torch.equal(torch.get_rng_state(), state)
    assert made.shape == (60, 1, 48, 48) and made.dtype == torch.float32
    assert made.min() >= 0 and made.max() <= 1 + 1e-6  # a blur's weights sum to 1 but for rounding


@pytest.mark.parametrize("side", [48, 96])
def test_augmentation_mirrors_half_and_keeps_the_face_in_the_middle(side: int) -> None:
    made = augmented(faces(300, side), seed=0)
    rises = made[..., 36:].mean((1, 2, 3)) > made[..., :12].mean((1, 2, 3))
    assert 0.4 < rises.float().mean() < 0.6
    middle = made[..., 20:28, 20:28].mean((1, 2, 3)) > made.mean((1, 2, 3))
    assert middle.float().mean() > 0.9


def test_augmentation_adds_noise_to_some_pictures_and_not_to_most() -> None:
    even = torch.full((400, 1, 48, 48), 0.5)  # in which nothing else is seen
    noisy = augmented(even, seed=3).std((1, 2, 3)) > 1e-3
    assert 0.05 < noisy.float().mean() < 0.25


# neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face
VOTES = {
    3: (4, 0, 0, 1, 3, 2, 0, 0, 0, 0),
    5: (0, 5, 5, 0, 0, 0, 0, 0, 0, 0),
    7: (0, 0, 0, 0, 0, 0, 0, 6, 2, 2),
}


def test_votes_become_shares_in_the_order_of_the_emotions() -> None:
    crowd = vote_distributions(VOTES, ["3", "5", "7"])
    named = dict(zip(EMOTIONS, crowd[0].round(2).tolist(), strict=True))
    expected = {"angry": 0.3, "disgust": 0.2, "fear": 0, "happy": 0, "neutral": 0.4, "sad": 0.1, "surprise": 0}
    assert named == pytest.approx(expected)
    assert crowd.sum(1).tolist() == pytest.approx([1, 1, 0])
    assert [EMOTIONS[m] if m >= 0 else None for m in plurality_label(crowd)] == ["neutral", None, None]
    with pytest.raises(DataError, match="9"):
        vote_distributions(VOTES, ["9"])


def test_targets_blend_the_label_with_the_crowd() -> None:
    angry, fear = EMOTIONS.index("angry"), EMOTIONS.index("fear")
    labels = np.array([angry, fear, fear])
    crowd = vote_distributions(VOTES, ["3", "5", "7"])
    blended = soft_targets(labels, crowd, 0.5)
    assert blended.sum(1).tolist() == pytest.approx([1, 1, 1])
    assert blended[0, angry] == pytest.approx(0.65) and blended[1, fear] == 0.5
    assert blended[2, fear] == 1  # nobody said which of the seven it is
    assert np.array_equal(soft_targets(labels, crowd, 0), np.eye(7, dtype=np.float32)[labels])
    assert np.array_equal(soft_targets(labels, None, 1), np.eye(7, dtype=np.float32)[labels])
