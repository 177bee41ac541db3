"""The classifier: what it returns, and what it refuses to load."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from facemotion import images, networks, settings, weights
from facemotion.classifier import CONFIG_FILE, WEIGHTS_FILE, EmotionClassifier
from facemotion.errors import BadArray, ModelFailure, UnknownModel, UnsafeWeights, WeightsError, WeightsMismatch
from facemotion.faces import EMOTIONS


@pytest.fixture(scope="module")
def classifier():
    return EmotionClassifier.from_pretrained("simplecnn")


@pytest.fixture
def folder(tmp_path):
    """A copy of the embedded model that a test may spoil."""
    return shutil.copytree(weights.embedded("simplecnn"), tmp_path / "model")


def test_simplecnn_is_the_network_of_the_study():
    network = networks.build("simplecnn")
    assert networks.count_parameters(network) == 4_474_375
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convolutions] == [
        (3, 64, 3),
        (64, 128, 5),
        (128, 512, 3),
        (512, 512, 3),
    ]
    assert network(torch.zeros(2, 3, 48, 48)).shape == (2, 7)


@pytest.mark.parametrize("count", [0, 1, 5, settings.CLASSIFY_BATCH + 1])
def test_a_row_of_probabilities_for_each_crop(classifier, count):
    crops = [np.random.default_rng(i).integers(0, 256, (30 + i, 40, 3), np.uint8) for i in range(count)]
    probabilities = classifier.classify(crops)
    assert probabilities.shape == (count, len(EMOTIONS))
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)


def test_a_batch_says_what_single_calls_say(classifier, examples):
    crops = [images.load(examples / name) for name in ("astronaut.png", "grace_hopper.jpg", "fr_obama.jpg")]
    single = np.concatenate([classifier.classify([crop]) for crop in crops])
    assert np.allclose(classifier.classify(crops), single, atol=1e-5)


@pytest.mark.parametrize(
    "crop",
    [
        np.zeros((48, 48), np.uint8),
        np.zeros((48, 48, 4), np.uint8),
        np.zeros((48, 48, 3)),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_refuses_what_is_no_crop(classifier, crop):
    with pytest.raises(BadArray, match=r"uint8 \[h, w, 3\]"):
        classifier.classify([crop])


@pytest.mark.parametrize(
    ("probabilities", "uncertain"),
    [
        ([0.94, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01], False),
        ([1 / 7] * 7, True),
        ([0.49, 0.48, 0.01, 0.01, 0.01, 0, 0], True),  # a high top, but no lead
    ],
)
def test_uncertain_needs_both_a_high_top_and_a_lead(classifier, probabilities, uncertain):
    classifier = EmotionClassifier(
        classifier.network, classifier.config | {"uncertain": {"min_confidence": 0.4, "min_lead": 0.1}}
    )
    assert classifier.is_uncertain(np.array(probabilities, np.float32)) is uncertain


def test_the_temperature_flattens(classifier, examples):
    crop = images.load(examples / "astronaut.png")
    hot = EmotionClassifier(classifier.network, classifier.config | {"temperature": 10.0})
    assert hot.classify([crop]).max() < classifier.classify([crop]).max()


def test_a_failing_network_is_a_failure_of_one_request(classifier, monkeypatch):
    def fail(_):
        raise RuntimeError("no memory")

    monkeypatch.setattr(classifier.network, "forward", fail)
    with pytest.raises(ModelFailure):
        classifier.classify([np.zeros((48, 48, 3), np.uint8)])
    monkeypatch.undo()
    assert classifier.classify([np.zeros((48, 48, 3), np.uint8)]).shape == (1, 7)


def test_loads_a_local_folder(folder):
    assert EmotionClassifier.from_pretrained(str(folder)).description.startswith("model (local, ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["happy", "sad"]}, "labels"),
        ({"labels": list(reversed(EMOTIONS))}, "labels"),
        ({"network": "resnet"}, "'resnet' is unknown"),
        ({"temperature": ...}, "lacks temperature"),
    ],
)
def test_refuses_a_configuration_that_does_not_fit(folder, change, message):
    config = json.loads((folder / CONFIG_FILE).read_text()) | change
    (folder / CONFIG_FILE).write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))
    with pytest.raises(WeightsMismatch, match=message):
        EmotionClassifier.from_pretrained(str(folder))


def test_refuses_other_tensors_and_lists_the_differences(folder):
    tensors = load_file(folder / WEIGHTS_FILE)
    tensors["surplus"] = tensors.pop("head.1.bias")
    tensors["head.5.bias"] = torch.zeros(8)
    save_file(tensors, folder / WEIGHTS_FILE)
    with pytest.raises(WeightsMismatch) as caught:
        EmotionClassifier.from_pretrained(str(folder))
    for difference in ("head.1.bias is missing", "surplus is unknown", "head.5.bias is (8,), not (7,)"):
        assert difference in caught.value.message


def test_refuses_a_pickle_without_opening_it(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    torch.save({"bomb": Bomb()}, folder / WEIGHTS_FILE)
    with pytest.raises(UnsafeWeights):
        EmotionClassifier.from_pretrained(str(folder))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "error"),
    [("nonsense", UnknownModel), ("", UnknownModel), ("a/b/c", UnknownModel), ("you/model@#", UnknownModel)],
)
def test_refuses_unknown_names(name, error):
    with pytest.raises(error):
        EmotionClassifier.from_pretrained(name)


def test_default_falls_back_to_the_embedded_weights_and_says_so(monkeypatch):
    def unreachable(reference, filename):
        raise WeightsError("The Hub does not answer.")

    monkeypatch.setattr(weights, "resolve", unreachable)
    monkeypatch.setenv("FACEMOTION_WEIGHTS", "you/facemotion@0123456789012345678901234567890123456789")
    classifier = EmotionClassifier.from_pretrained()
    assert classifier.description.startswith("simplecnn (embedded")
    assert "you/facemotion" in classifier.notice
    assert "The Hub does not answer." in classifier.notice
