"""The model card: metadata that the Hub reads, and tables that say what the configuration says."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from facemotion import EMOTIONS
from training.common.markdown import table
from training.expression import export
from training.expression.config import Config
from training.expression.data.dataset import DROPS
from training.expression.data.sources import KNOWN_SPLITS
from training.publish import model_card

REPO = "you/facemotion"
ONNX = model_card.Onnx(parity=1e-7, samples=12)


def config(**metrics: Any) -> dict[str, Any]:
    return {
        "network": "simplecnn",
        "labels": list(EMOTIONS),
        "input": {"size": 48},
        "normalisation": {"mean": 0.5, "std": 0.25},
        "temperature": 1.2,
        "data": "FER2013, all of it.",
        "recipe": {"epochs": 50, "validation_split": "test"},
        "metrics": metrics,
    }


def metadata(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(found, dict)
    return found


def test_the_metadata_hold_licence_and_results() -> None:
    found = metadata(model_card.render(config(accuracy=0.65432, macro_f1=0.5), REPO, ONNX))
    assert found["license"] == "agpl-3.0" and found["pipeline_tag"] == "image-classification"
    (result,) = found["model-index"][0]["results"]
    assert found["model-index"][0]["name"] == "facemotion" and result["dataset"]["split"] == "test"
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [("accuracy", 0.6543), ("f1", 0.5)]


def test_the_metadata_name_the_interval_beside_its_figure() -> None:
    measured = config(accuracy=0.65432, macro_f1=0.5, intervals={"accuracy": [0.643219, 0.66]})
    (result,) = metadata(model_card.render(measured, REPO, ONNX))["model-index"][0]["results"]
    assert [m["name"] for m in result["metrics"]] == ["Accuracy (95 % interval 0.6432 to 0.6600)", "Macro F1"]


def test_a_model_of_several_sources_claims_what_was_measured_on_test_sets() -> None:
    measured = {
        "rows": 3068,
        "accuracy": 0.86254,
        "interval": [0.85, 0.875],
        "mean_recall": 0.78,
        "calibration_error": 0.03,
    }
    several = config(accuracy=0.85, rows=4672) | {"heads": {}, "tests": {"photos": measured}, "terms": "Research only."}
    text = model_card.render(several, REPO, ONNX)
    (result,) = metadata(text)["model-index"][0]["results"]
    assert result["dataset"] == {"name": "RAF-DB basic", "type": "raf-db", "split": "test"}
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [("accuracy", 0.8625)]  # not 0.85 of FER2013
    assert "\n| RAF-DB basic | 3,068 | 0.8625 | 0.8500 to 0.8750 | 0.7800 | 0.0300 |\n" in text
    assert "each source of images counts alike" in text and "\nResearch only.\n" in text
    assert "also in the training data" not in text  # there is no such row
    alone = model_card.render(config(accuracy=0.65, accuracy_not_in_train=0.63), REPO, ONNX)
    assert "also in the training data" in alone and "learned from photos" not in alone


def test_a_model_that_nobody_measured_claims_nothing() -> None:
    text = model_card.render(config(), REPO, ONNX)
    assert "model-index" not in metadata(text)
    without = {name: value for name, value in config().items() if name not in ("metrics", "recipe", "data")}
    assert "## Results" not in model_card.render(without, REPO, ONNX)


@pytest.mark.parametrize(
    ("intervals", "row"),
    [
        ({}, "| Accuracy | 0.6500 |"),
        ({"intervals": {"accuracy": [0.64, 0.66]}}, "| Accuracy | 0.6500 | 0.6400 to 0.6600 |"),
    ],
)
def test_figures_stand_with_their_intervals(intervals: dict[str, Any], row: str) -> None:
    text = model_card.render(config(accuracy=0.65, **intervals), REPO, ONNX)
    assert f"\n{row}\n" in text
    assert ("another seed" in text) is bool(intervals)


def test_every_expression_has_its_row_and_its_confusions() -> None:
    scores = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 1234}
    confusion = [[row * 10 + column for column in range(7)] for row in range(7)]
    metrics = {"per_class": dict.fromkeys(EMOTIONS, scores), "confusion": confusion}
    intervals = {f"f1_{emotion}": [0.3, 0.4] for emotion in EMOTIONS}
    text = model_card.render(config(**metrics, intervals=intervals), REPO, ONNX)
    for index, emotion in enumerate(EMOTIONS):
        assert f"\n| {emotion} | 0.500 | 0.250 | 0.333 | 1,234 | 0.3000 to 0.4000 |\n" in text
        assert f"\n| {emotion} | {' | '.join(map(str, confusion[index]))} |\n" in text


def test_it_says_what_it_must() -> None:
    text = model_card.render(config(accuracy=0.65), REPO, ONNX, ["figures/loss_curve.png"])
    assert "FER2013, all of it." in text and "| epochs | `50` |" in text
    assert "![loss curve](figures/loss_curve.png)" in text and "1.0e-07" in text
    for heading in ("Use", "Data", "Recipe", "Results", "Figures", "Limits and bias", "Responsible use", "Licence"):
        assert f"\n## {heading}\n" in text


def test_the_hubs_own_library_reads_the_results() -> None:
    from huggingface_hub import ModelCard

    measured = config(accuracy=0.65432, balanced_accuracy=0.6, macro_f1=0.5, intervals={"accuracy": [0.64, 0.66]})
    found = ModelCard(model_card.render(measured, REPO, ONNX), ignore_metadata_errors=False).data
    assert found.license == "agpl-3.0" and found.model_name == "facemotion" and "fer2013" in found.tags
    assert [(one.metric_type, one.metric_value) for one in found.eval_results] == [
        ("accuracy", 0.6543),
        ("balanced_accuracy", 0.6),
        ("f1", 0.5),
    ]
    assert {(one.dataset_type, one.dataset_split) for one in found.eval_results} == {("fer2013", "test")}


@pytest.mark.parametrize(("kind", "is_fer2013"), [(None, True), ("fer2013", True), ("own", False)])
def test_the_card_speaks_of_the_data_that_were_used(kind: str | None, is_fer2013: bool) -> None:
    about = {} if kind is None else {"dataset": kind}  # older configurations do not say
    text = model_card.render(config(accuracy=0.65) | {"data": "All of it."} | about, REPO, ONNX)
    (result,) = metadata(text)["model-index"][0]["results"]
    assert result["dataset"]["type"] == ("fer2013" if is_fer2013 else "own")
    assert ("fer2013" in text.lower()) is is_fer2013
    assert ("publisher's own" in text) is not is_fer2013
    assert "expect errors\n  that differ between groups" in text or "expect errors that differ between groups" in text


@pytest.mark.parametrize(
    ("sizes", "knobs", "beginning", "more"),
    [
        (
            (28_821, 7_066),
            {},
            "FER2013 (ICML 2013 challenge) in the split of jonathanoheix/",
            "on 900 pictures of train;",
        ),
        (
            (28_709, 3_589),
            {},
            "FER2013 (ICML 2013 challenge) in its official split: trained",
            "on the 80 of validation.",
        ),
        ((28_709, 7_066), {}, "Pictures of the publisher's own: trained", "validation."),
        (
            (28_709, 3_589),
            {"drop": ("blank", "other_splits"), "votes": "votes.csv", "ferplus_weight": 0.5},
            "FER2013",
            "train, without blank pictures and those that resemble pictures of another split; the best epoch was "
            "selected and evaluated on the 80 of validation. The votes of FER+ have a weight of 0.5 beside the labels.",
        ),
        ((900, 80), {"init_weights": "you/mine@1#2"}, "Pictures", "It was initialised with you/mine@1#2; the data"),
    ],
)
def test_an_export_tells_which_data_it_is_from(
    sizes: tuple[int, int], knobs: dict[str, Any], beginning: str, more: str
) -> None:
    text = export.describe_data(Config(**knobs), 900, 80, KNOWN_SPLITS.get(sizes))
    assert text.startswith(beginning) and more in text


def test_every_drop_has_its_words() -> None:
    assert set(export.LEFT_OUT) == set(DROPS)


def test_the_figures_are_captioned_and_in_the_order_of_the_report() -> None:
    text = model_card.figures_section(["figures/chain.png", "figures/curves.png", "figures/my_own.png"])
    assert re.findall(r"!\[(.+)]", text) == [model_card.TITLES["curves"], model_card.TITLES["chain"], "my own"]


def test_every_row_of_a_table_is_as_wide_as_its_head() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
