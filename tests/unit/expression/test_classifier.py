"""The classifier: what it returns, and what it refuses to load."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from facemotion import images, settings, weights
from facemotion.errors import BadArray, ModelFailure, UnknownModel, UnsafeWeights, WeightsError, WeightsMismatch
from facemotion.expression.classifier import CONFIG_FILE, WEIGHTS_FILE, EmotionClassifier, both_views, softmax
from facemotion.faces import EMOTIONS
from training.expression import networks


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


def test_emotionnet_keeps_its_size():
    network = networks.build("emotionnet").eval()
    assert networks.count_parameters(network) == 1_052_663
    assert multiplications(network) < multiplications(networks.build("simplecnn").eval()) / 2
    assert network(torch.zeros(2, 1, 48, 48)).shape == (2, 7)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_network_without_a_number_fails_in_a_sentence(classifier, number):
    def broken(images):
        return np.full((len(images), len(EMOTIONS)), number, np.float32)

    with pytest.raises(ModelFailure, match="expression model failed"):
        EmotionClassifier(broken, classifier.config).classify([np.zeros((40, 40, 3), np.uint8)])


def multiplications(network):
    """Of the convolutions, for one picture."""
    counts = []

    def count(module, _, output):
        counts.append(output.numel() * module.weight[0].numel())

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    network(torch.zeros(1, network.input_channels, 48, 48))
    return sum(counts)


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
        ([float("nan")] * 7, True),
        ([0.9, float("nan"), 0, 0, 0, 0, 0], True),
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


def two_sides(images):
    """A network whose probabilities of two classes are those in the first and, mirrored, the last column."""
    first = images[:, 0, 0, 0]
    rest = np.full((len(images), 5), -40)
    return np.column_stack([np.log(first), np.log(1 - first), rest]).astype(np.float32)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (0.9, 0.1, 0.9),  # a lead of 0.8: one view is enough
        (0.8, 0.1, 0.8),  # of 0.6, the limit
        (0.6, 0.1, 0.35),  # of 0.2: the mean of both views
        (0.725, 0.2, 0.5937),  # of 0.45: the mirror image has a quarter of the share
        (0.275, 0.8, 0.4063),
    ],
)
def test_a_doubtful_face_is_also_classified_mirrored(left, right, expected):
    images = np.float32([[[[left, right]]], [[[0.95, 0.5]]]])
    sure, alone = softmax(two_sides(images))[1], softmax(two_sides(images))
    found = softmax(both_views(two_sides, images, 0.6))
    assert found[0, 0] == pytest.approx(expected, abs=1e-4) and found[1] == pytest.approx(sure)
    assert softmax(both_views(two_sides, images, 0.0)) == pytest.approx(alone)


def test_a_doubtful_face_and_its_mirror_image_get_the_same_probabilities():
    classifier = EmotionClassifier.from_pretrained("emotionnet")
    noise = np.random.default_rng(3).integers(0, 256, (8, 64, 64, 3), np.uint8)
    one_view = EmotionClassifier(classifier.network, classifier.config | {"mirrored_below": 0.0})
    twice = EmotionClassifier(classifier.network, classifier.config | {"mirrored_below": 1.0})
    first, mirrored = one_view.classify(list(noise)), one_view.classify(list(noise[:, :, ::-1]))
    assert np.abs(first - mirrored).max() > 0.01
    lead = np.diff(np.sort(np.stack([first, mirrored]), axis=2)[:, :, -2:], axis=2).max(axis=(0, 2))
    doubtful = lead < 0.4  # with the temperature, which is below 1: less than a half without it
    assert doubtful.any()
    assert np.allclose(
        twice.classify(list(noise))[doubtful], twice.classify(list(noise[:, :, ::-1]))[doubtful], atol=1e-5
    )


def test_a_failing_network_is_a_failure_of_one_request(classifier, monkeypatch):
    def fail(_):
        raise RuntimeError("no memory")

    monkeypatch.setattr(classifier, "network", fail)
    with pytest.raises(ModelFailure):
        classifier.classify([np.zeros((48, 48, 3), np.uint8)])
    monkeypatch.undo()
    assert classifier.classify([np.zeros((48, 48, 3), np.uint8)]).shape == (1, 7)


def test_loads_a_local_folder(folder):
    assert EmotionClassifier.from_pretrained(str(folder)).description.startswith("model (local, ")


ABOVE_0 = "must be a finite number above 0"
SHARE = "must be a number from 0 to 1"
NO_NUMBERS = (None, True, "1", [1], {}, float("nan"), float("inf"), -1, 10**400)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "labels"),
        ({"labels": 7}, "labels"),
        ({"labels": "".join(EMOTIONS)}, "labels"),
        ({"labels": dict.fromkeys(EMOTIONS, 1)}, "labels"),
        ({"labels": [*EMOTIONS[:-1], 7]}, "labels"),
        *(({"network": name}, "is unknown") for name in (None, 1, ["simplecnn"], {})),
        *(({"input": {"size": size}}, "input.size must be 48") for size in (None, True, "48", 48.0, 47, 0, [48])),
        *(({"input": part}, "lacks input.size") for part in (None, 48, {}, [48], "size")),
        *(({"temperature": value}, f"temperature {ABOVE_0}") for value in (*NO_NUMBERS, 0)),
        *(({"normalisation": {"mean": 0.5, "std": v}}, f"std {ABOVE_0}") for v in (*NO_NUMBERS, 0)),
        *(({"normalisation": {"mean": v, "std": 0.5}}, f"mean {SHARE}") for v in (*NO_NUMBERS, 1.01)),
        *(({"normalisation": part}, "lacks normalisation.") for part in (None, 0.5, {}, {"mean": 0.5}, [0.5, 0.5])),
        *(({"mirrored_below": v}, f"mirrored_below {SHARE}") for v in NO_NUMBERS),
        *(({"uncertain": {"min_confidence": v, "min_lead": 0}}, f"min_confidence {SHARE}") for v in NO_NUMBERS),
        *(({"uncertain": {"min_confidence": 0, "min_lead": v}}, f"min_lead {SHARE}") for v in NO_NUMBERS),
        *(({"uncertain": part}, "lacks uncertain.") for part in (None, True, {}, {"min_lead": 0}, "min_lead")),
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


@pytest.mark.parametrize("text", ["[]", "null", "7", '"simplecnn"', "", "{", "[" * 100_000])
def test_refuses_a_configuration_that_is_no_object(folder, text):
    (folder / CONFIG_FILE).write_text(text)
    with pytest.raises(WeightsMismatch, match=r"must be a JSON object|is not JSON"):
        EmotionClassifier.from_pretrained(str(folder))


@pytest.mark.parametrize(
    "change", [{"temperature": "1"}, {"input": None}, {"labels": 7}, {"uncertain": {"min_lead": 0.1}}]
)
def test_default_falls_back_when_the_configuration_is_broken(folder, monkeypatch, change):
    config = json.loads((folder / CONFIG_FILE).read_text()) | change
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    monkeypatch.setenv("FACEMOTION_WEIGHTS", str(folder))
    classifier = EmotionClassifier.from_pretrained()
    assert classifier.description.startswith(f"{settings.CLASSIFIER} (embedded")
    assert str(folder) in classifier.notice


@pytest.mark.parametrize("reference", ["you/model", "you/model@main"])
def test_weights_and_configuration_come_from_one_revision(hub, folder, monkeypatch, reference):
    """Also when someone publishes between the two downloads."""
    files = {name: (folder / name).read_bytes() for name in (WEIGHTS_FILE, CONFIG_FILE)}
    hub.publish("you/model", files)
    resolve = weights.resolve

    def resolve_and_publish(wanted, filename):
        path = resolve(wanted, filename)
        if filename == WEIGHTS_FILE:
            newer = json.loads(files[CONFIG_FILE]) | {"temperature": 9.0}
            hub.publish("you/model", {**files, CONFIG_FILE: json.dumps(newer).encode()})
        return path

    monkeypatch.setattr(weights, "resolve", resolve_and_publish)
    classifier = EmotionClassifier.from_pretrained(reference)
    assert classifier.config["temperature"] == json.loads(files[CONFIG_FILE])["temperature"]


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
    assert classifier.description.startswith(f"{settings.CLASSIFIER} (embedded")
    assert "you/facemotion" in classifier.notice
    assert "The Hub does not answer." in classifier.notice
