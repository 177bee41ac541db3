"""What is fitted on validation images at export: heads' weights, temperature, thresholds; sources count alike."""

from __future__ import annotations

import numpy as np
import pytest

from training.expression import fitting
from training.expression.evaluation import metrics


@pytest.mark.parametrize(
    ("active", "expected"),
    [([True, True, False], [1, 0, 0]), ([True] * 3, [0, 0, 1]), ([False, True, False], [0, 1, 0])],
)
def test_the_head_that_gives_the_labels_most_gets_the_weight(active: list[bool], expected: list[float]) -> None:
    labels = np.arange(14) % 7
    heads = np.full((14, 3, 7), 1 / 7)
    for head, share in ((0, 0.5), (2, 0.9)):  # the second head knows nothing
        heads[:, head] = (1 - share) / 6
        heads[np.arange(14), head, labels] = share
    assert fitting.fit_mix(np.log(heads), labels, np.array(active)).tolist() == pytest.approx(expected)


def test_heads_that_are_right_about_different_pictures_share_the_weight() -> None:
    labels = np.zeros(10, np.int64)
    heads = np.full((10, 3, 7), 0.1 / 6)
    heads[:5, 0, 0] = heads[5:, 1, 0] = 0.9
    assert fitting.fit_mix(np.log(heads), labels, np.ones(3, bool)).tolist() == pytest.approx([0.5, 0.5, 0])


def test_few_images_of_one_source_count_as_much_as_many_of_another_for_the_heads() -> None:
    labels, sources = np.zeros(20, np.int64), fitting.sources_of_rows([4, 16], 20)
    heads = np.full((20, 2, 7), 0.1 / 6)
    heads[:4, 0, 0] = heads[4:, 1, 0] = 0.9
    active = np.ones(2, bool)
    assert fitting.fit_mix(np.log(heads), labels, active)[1] > 0.75
    alike = fitting.fit_mix(np.log(heads), labels, active, fitting.weights_of_rows(sources))
    assert alike.tolist() == pytest.approx([0.5, 0.5])


def doubted(right: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels of a source: sure answers are right, doubtful ones wrong."""
    logits = np.zeros((right + wrong, 7), np.float32)
    logits[:right, 0], logits[right:, 0] = 5, 1
    return logits, np.repeat([0, 1], [right, wrong])


@pytest.mark.parametrize(
    ("few", "many", "pooled_coverage", "alike_coverage"),
    [
        # Doubtful answers are dropped where they are at most a fifth: of all rows, or with each source counting alike.
        ((200, 200), (3600, 400), 0.864, 1),
        ((400, 0), (3000, 1000), 1, 0.875),
    ],
)
def test_each_source_counts_alike_in_the_thresholds_and_in_the_figures_on_them(
    few: tuple[int, int], many: tuple[int, int], pooled_coverage: float, alike_coverage: float
) -> None:
    (logits, labels), (more, others) = doubted(*few), doubted(*many)
    logits, labels = np.concatenate([logits, more]), np.concatenate([labels, others])
    sources = fitting.sources_of_rows([sum(few), sum(many)], len(labels))
    none = np.zeros(0, bool)
    pooled, alike = (fitting.calibrate_and_measure(logits, labels, s, none) for s in (0 * sources, sources))
    assert pooled["coverage"] == pytest.approx(pooled_coverage, abs=0.02)
    assert alike["coverage"] == pytest.approx(alike_coverage, abs=0.02)
    assert (pooled["accuracy_when_certain"] == 1) == (pooled_coverage < 1)
    assert (alike["accuracy_when_certain"] == 1) == (alike_coverage < 1)
    assert pooled["uncertain"] != alike["uncertain"]
    assert pooled["temperature"] != alike["temperature"]


def test_the_calibration_error_is_the_mean_over_the_sources() -> None:
    """One is too sure, the others too doubtful: together little would be seen of it."""
    logits = np.zeros((4000, 7), np.float32)
    logits[:, 0] = np.log(0.75 / (0.25 / 6))  # a confidence of 75 %
    labels = np.ones(4000, np.int64)
    labels[:1200] = 0  # three fifths of the first source
    labels[2000:] = 0  # all of the others
    sources = fitting.sources_of_rows([2000, 1000, 1000], 4000)
    figures = fitting.calibrate_and_measure(logits, labels, sources, np.zeros(0, bool))
    confidence = metrics.softmax(logits, figures["temperature"])[0, 0]
    assert figures["ece"] == pytest.approx(((confidence - 0.6) + 2 * (1 - confidence)) / 3, abs=0.02)


def test_rows_of_a_run_with_a_limit_count_as_one_source() -> None:
    assert fitting.sources_of_rows([2, 3], 5).tolist() == [0, 0, 1, 1, 1]
    assert fitting.sources_of_rows([2, 3], 4).tolist() == [0, 0, 0, 0]
