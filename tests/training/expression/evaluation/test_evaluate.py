"""Scores worked out by hand, from any callable, a run or a published model; and the files they are written to."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from facemotion import EMOTIONS, EmotionClassifier
from tests.support.models import model_folders
from tests.support.training.arithmetic import UNIT
from training.common.errors import DataError
from training.expression import networks
from training.expression.config import Config
from training.expression.data.dataset import Split
from training.expression.evaluation import evaluate, metrics, scorers
from training.expression.evaluation.scorers import Model

CERTAIN = 8.0  # a logit this far ahead of the others is nearly a probability of 1


def split_of(labels) -> Split:
    """Pictures whose grey level is their label, so that a scorer can be right at will."""
    labels = np.array(labels)
    pictures = np.repeat(labels.astype(np.uint8), 48 * 48).reshape(-1, 48, 48)
    pictures[:, 0, 0] = np.arange(len(labels)) % 256  # no two of the first 256 are equal
    return Split(pictures, labels, tuple(map(str, range(len(labels)))))


def reads_the_level(pictures):
    """The scorer that is always right."""
    return CERTAIN * np.eye(len(EMOTIONS))[pictures[:, 5, 5]]


def always_happy(pictures):
    return np.tile(CERTAIN * np.eye(len(EMOTIONS))[EMOTIONS.index("happy")], (len(pictures), 1))


def says_too_little(pictures):
    return np.zeros((len(pictures), 6))


def test_scores_any_callable():
    split = split_of([*range(7)] * 10)
    right = evaluate.evaluate(Model("right", reads_the_level), split, resamples=20)
    assert (right["accuracy"], right["balanced_accuracy"], right["macro_f1"]) == (1, 1, 1)
    assert right["intervals"]["accuracy"] == [1, 1]
    assert right["not_in_train"] is None
    happy = evaluate.evaluate(Model("happy", always_happy), split, resamples=20)
    assert happy["accuracy"] == pytest.approx(1 / 7)
    assert happy["macro_f1"] == pytest.approx(0.25 / 7)
    assert happy["per_class"]["happy"]["recall"] == 1
    assert happy["ece_before_temperature"] > 0.5 > happy["ece_after_temperature"]
    assert happy["temperature_from"] == "half of these rows"


def test_pictures_of_train_are_left_out_of_what_was_not_seen():
    split = split_of([0, 0, 3, 3])
    known = split.where(np.array([True, False, True, False]))
    result = evaluate.evaluate(Model("happy", always_happy), split, known, resamples=50)
    assert result["not_in_train"]["rows"] == 2
    assert result["not_in_train"]["accuracy"] == 0.5
    assert evaluate.evaluate(Model("happy", always_happy), split, split, resamples=2)["not_in_train"] is None


def test_coverage_counts_the_most_confident_first():
    probabilities = np.full((4, 7), 0.0)
    probabilities[range(4), [0, 0, 1, 1]] = [0.9, 0.6, 0.8, 0.7]
    labels = np.array([0, 3, 1, 3])  # right at 0.9 and 0.8, wrong at 0.7 and 0.6
    assert metrics.accuracy_by_coverage(probabilities, labels).tolist() == pytest.approx([1, 1, 2 / 3, 1 / 2])
    points = {point["coverage"]: point["accuracy"] for point in evaluate.covered(probabilities, labels)}
    assert (points[1.0], points[0.5], points[0.1]) == (0.5, 1, 1)


def test_reliability_bins_hold_what_falls_into_them():
    probabilities = np.full((3, 7), 0.05)
    probabilities[:, 0] = [0.7, 0.7, 0.99]
    bins = metrics.reliability(probabilities, np.array([0, 1, 0]))
    assert [(row["count"], row["accuracy"]) for row in bins] == [(2, 0.5), (1, 1)]
    assert [row["low"] for row in bins] == pytest.approx([10 / 15, 14 / 15])
    assert [row["confidence"] for row in bins] == pytest.approx([0.7, 0.99])


def test_intervals_are_repeatable_and_as_wide_as_theory_says():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 7, 2000)
    guesses = np.where(generator.random(2000) < 0.65, labels, (labels + 1) % 7)
    probabilities = np.eye(7)[guesses]
    first, second = (metrics.bootstrap(probabilities, labels, 1000, seed=4) for _ in range(2))
    assert first == second
    low, high = first["accuracy"]
    assert low < metrics.accuracy(probabilities, labels) < high
    assert high - low == pytest.approx(2 * 1.96 * (0.65 * 0.35 / 2000) ** 0.5, rel=0.08)
    assert metrics.bootstrap(probabilities, labels, 300, seed=5) != first
    assert set(first) == {"accuracy", "balanced_accuracy", "macro_f1", *(f"f1_{emotion}" for emotion in EMOTIONS)}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda pictures: np.zeros((len(pictures), 6)), r"must return \[2, 7\] logits, but got \(2, 6\)"),
        (lambda pictures: np.zeros(7), r"\[2, 7\] logits"),
        (lambda pictures: np.full((len(pictures), 7), np.nan), "must return finite logits"),
    ],
)
def test_refuses_what_is_no_answer(answer, message):
    with pytest.raises(DataError, match=message):
        evaluate.evaluate(Model("wrong", answer), split_of([0, 1]))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory with an untrained network."""
    folder = tmp_path_factory.mktemp("runs") / "untrained"
    folder.mkdir()
    torch.manual_seed(0)
    network = networks.build("simplecnn")
    torch.save({"network": network.state_dict(), "epoch": 3}, folder / "best.pt")
    recipe = dataclasses.asdict(Config()) | {"commit": "unknown"}
    (folder / "config.json").write_text(json.dumps(recipe))
    return folder


@pytest.fixture(scope="module")
def model_folder(run, tmp_path_factory):
    """The same network, published at temperature 2."""
    tensors = torch.load(run / "best.pt", weights_only=True)["network"]
    return model_folders.write(tmp_path_factory.mktemp("models") / "untrained", tensors)


def noise(count):
    return np.random.default_rng(0).integers(0, 256, (count, 48, 48), np.uint8)


def test_a_run_and_its_publication_are_scored_alike(arithmetic, run, model_folder):
    first, second = (scorers.load_model(str(folder)) for folder in (run, model_folder))
    assert first.description == "simplecnn, epoch 3 of the run untrained"
    assert second.temperature == 2
    pictures = noise(5)
    one, other = (metrics.softmax(scorers.logits_of(model.score, pictures)) for model in (first, second))
    # Seven layers round their weights and what they pass on; float32 at each of up to 512 x 9 additions too.
    roundings = 2 * 7 * (512 * 9 if arithmetic == "float32" else 1)
    assert np.abs(one - other).max() < roundings**0.5 * UNIT[arithmetic]  # of logits below 1
    served = EmotionClassifier.from_pretrained(str(model_folder)).classify([np.dstack([p] * 3) for p in pictures])
    assert np.abs(metrics.softmax(second.score(pictures), 2) - served).max() < 1e-5


def test_a_published_temperature_is_judged_and_not_fitted_again(model_folder):
    model = scorers.load_model(str(model_folder))
    result = evaluate.evaluate(model, Split(noise(8), np.arange(8) % 7, tuple("abcdefgh")), resamples=5)
    assert (result["temperature"], result["temperature_from"]) == (2, "the model")


def test_names_what_cannot_be_loaded(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no function nowhere:logits"):
        scorers.load_model("nowhere:logits")
    with pytest.raises(DataError, match=r"no function training\.expression\.evaluation\.metrics:nothing"):
        scorers.load_model("training.expression.evaluation.metrics:nothing")
    with pytest.raises(DataError, match=r"evaluation\.metrics:BINS is no function to score with, but a int"):
        scorers.load_model("training.expression.evaluation.metrics:BINS")
    arguments = ["evaluate", "--weights", "no-such-model", "--data", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        evaluate.main()
    assert ended.value.code == 2


def test_a_run_without_its_recipe_is_refused(run, tmp_path):
    (tmp_path / "best.pt").write_bytes((run / "best.pt").read_bytes())
    with pytest.raises(DataError, match=r"holds no config\.json of training\.expression\.train"):
        scorers.load_model(str(tmp_path))


def test_a_folder_with_a_colon_in_its_name_is_no_function(model_folder, tmp_path):
    (tmp_path / "a:b").symlink_to(model_folder)
    assert scorers.load_model(str(tmp_path / "a:b")).temperature == 2


def write_data(root):
    """One picture of each emotion in train, two in validation and three in test; number 0 stands in all of them."""
    for name, count in (("train", 1), ("validation", 2), ("test", 3)):
        for label, emotion in enumerate(EMOTIONS):
            folder = root / name / emotion
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.full((48, 48), label, np.uint8)
                pixels[0, 0] = number
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["--weights", f"{__name__}:says_too_little"],
            "must return [14, 7] logits, but got (14, 6)",
        ),
        (["--weights", f"{__name__}:always_happy", "--split", "none"], "no folder 'none'"),
        (["--weights", f"{__name__}:always_happy", "--resamples", "0"], "0 is less than 1"),
    ],
)
def test_the_command_refuses_with_a_sentence(tmp_path, monkeypatch, capsys, flags, sentence):
    monkeypatch.setattr(sys, "argv", ["evaluate", "--data", str(write_data(tmp_path)), *flags])
    with pytest.raises(SystemExit) as ended:
        evaluate.main()
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("split", "rows"), [("train", 7), ("test", 21)])
def test_any_split_can_be_scored_by_any_callable(tmp_path, monkeypatch, capsys, split, rows):
    flags = [
        "--data",
        str(write_data(tmp_path)),
        "--split",
        split,
        "--weights",
        f"{__name__}:always_happy",
    ]
    monkeypatch.setattr(sys, "argv", ["evaluate", *flags, "--resamples", "2", "--out", str(tmp_path)])
    evaluate.main()
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert (result["split"], result["rows"], round(result["accuracy"] * 7)) == (split, rows, 1)
    named = "balanced_accuracy macro_f1 per_class ece_before_temperature ece_after_temperature coverage intervals"
    assert set(named.split()) <= set(result)
    text = capsys.readouterr().out
    for measure in ("accuracy", "balanced accuracy", "macro-F1", "calibration error, before", "most confident"):
        assert f"| {measure}" in text


def test_the_command_writes_json_and_markdown(tmp_path, monkeypatch, capsys):
    write_data(tmp_path / "data")
    arguments = [
        "--weights",
        f"{__name__}:reads_the_level",
        "--data",
        tmp_path / "data",
        "--out",
        tmp_path,
    ]
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments), "--resamples", "10"])
    evaluate.main()
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert (result["split"], result["rows"], result["not_in_train"]["rows"]) == ("validation", 14, 7)
    markdown = (tmp_path / "evaluation.md").read_text()
    assert markdown == capsys.readouterr().out[:-1]
    for line in (
        "| accuracy | 1.000 | 1.000 to 1.000 |",
        "| accuracy on the 7 not in train | 1.000 | 1.000 to 1.000 |",
        "| 100% | 1.000 |",
    ):
        assert line in markdown.splitlines()
    assert "\n| happy | 1.000 | 1.000 | 1.000 | " in markdown
