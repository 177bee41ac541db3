"""The model card: metadata that the Hub reads, and tables that say what the configuration says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from facemotion import EMOTIONS
from training import card

REPO = "you/facemotion"
ONNX = card.Onnx(parity=1e-7, samples=12)


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
    found = metadata(card.render(config(accuracy=0.65432, macro_f1=0.5), REPO, ONNX))
    assert found["license"] == "agpl-3.0" and found["pipeline_tag"] == "image-classification"
    (result,) = found["model-index"][0]["results"]
    assert found["model-index"][0]["name"] == "facemotion" and result["dataset"]["split"] == "test"
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [("accuracy", 0.6543), ("f1", 0.5)]


def test_the_metadata_name_the_interval_beside_its_figure() -> None:
    measured = config(accuracy=0.65432, macro_f1=0.5, intervals={"accuracy": [0.643219, 0.66]})
    (result,) = metadata(card.render(measured, REPO, ONNX))["model-index"][0]["results"]
    assert [m["name"] for m in result["metrics"]] == ["Accuracy (95 % interval 0.6432 to 0.6600)", "Macro F1"]


def test_a_model_that_nobody_measured_claims_nothing() -> None:
    text = card.render(config(), REPO, ONNX)
    assert "model-index" not in metadata(text)
    without = {name: value for name, value in config().items() if name not in ("metrics", "recipe", "data")}
    assert "## Results" not in card.render(without, REPO, ONNX)


@pytest.mark.parametrize(
    ("intervals", "row"),
    [
        ({}, "| Accuracy | 0.6500 |"),
        ({"intervals": {"accuracy": [0.64, 0.66]}}, "| Accuracy | 0.6500 | 0.6400 to 0.6600 |"),
    ],
)
def test_figures_stand_with_their_intervals(intervals: dict[str, Any], row: str) -> None:
    text = card.render(config(accuracy=0.65, **intervals), REPO, ONNX)
    assert f"\n{row}\n" in text
    assert ("another seed" in text) is bool(intervals)


def test_every_expression_has_its_row_and_its_confusions() -> None:
    scores = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 1234}
    confusion = [[row * 10 + column for column in range(7)] for row in range(7)]
    metrics = {"per_class": dict.fromkeys(EMOTIONS, scores), "confusion": confusion}
    intervals = {f"f1_{emotion}": [0.3, 0.4] for emotion in EMOTIONS}
    text = card.render(config(**metrics, intervals=intervals), REPO, ONNX)
    for index, emotion in enumerate(EMOTIONS):
        assert f"\n| {emotion} | 0.500 | 0.250 | 0.333 | 1,234 | 0.3000 to 0.4000 |\n" in text
        assert f"\n| {emotion} | {' | '.join(map(str, confusion[index]))} |\n" in text


def test_it_says_what_it_must() -> None:
    text = card.render(config(accuracy=0.65), REPO, ONNX, ["figures/loss_curve.png"])
    assert "FER2013, all of it." in text and "| epochs | `50` |" in text
    assert "![loss curve](figures/loss_curve.png)" in text and "1.0e-07" in text
    for heading in ("Use", "Data", "Recipe", "Results", "Figures", "Limits and bias", "Responsible use", "Licence"):
        assert f"\n## {heading}\n" in text


def test_every_row_of_a_table_is_as_wide_as_its_head() -> None:
    assert card.table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
