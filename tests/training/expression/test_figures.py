"""The figures of a small run: all are made, from files alone, and what they show is what was handed in."""

import csv
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from facemotion import EMOTIONS
from facemotion.output.draw import COLOURS
from training.common.errors import DataError
from training.expression.data.dataset import Split, load_split
from training.expression.evaluation import metrics
from training.expression.figures import charts, image_grids, run_figures

OF_THE_DATA = ["distribution.png", "samples.png", "equal.png", "near.png"]
OF_THE_RUN = ["curves.png", "confusion/001.png", "confusion/002.png", "confusion.gif"]
OF_THE_BEST = ["classes.png", "reliability.png", "coverage.png"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three pictures an emotion in each split; one stands twice under two labels, one nearly twice."""
    root = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 250, (2, 7, 3, 48, 48), np.uint8)
    pictures[1, 0, 0] = pictures[0, 1, 1]
    pictures[1, 5, 0] = pictures[0, 5, 0] + 2
    for split, of_split in zip(("train", "validation"), pictures, strict=True):
        for emotion, of_emotion in zip(EMOTIONS, of_split, strict=True):
            (root / split / emotion).mkdir(parents=True)
            for number, pixels in enumerate(of_emotion):
                Image.fromarray(pixels).save(root / split / emotion / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Two epochs of a run: the second is the better one, and wrong on the first three pictures."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    (folder / "predictions").mkdir(parents=True)
    split = load_split(data, "validation")
    right = np.eye(7)[split.labels]
    right[:3] = np.eye(7)[EMOTIONS.index("happy")]
    logits = [np.random.default_rng(0).normal(size=(21, 7)), 4 * right]
    for number, rows in enumerate(logits, 1):
        np.save(folder / "predictions" / f"{number:03d}.npy", rows.astype(np.float16))
    np.save(folder / "validation_labels.npy", split.labels)
    (folder / "validation_names.json").write_text(json.dumps(split.names))
    (folder / "config.json").write_text(json.dumps({"validation_split": "validation"}))
    with (folder / "history.csv").open("w", newline="") as file:
        names = ["epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds"]
        csv.writer(file).writerows([names, [1, 1.9, 0.2, 1.8, 0.15, 9], [2, 1.5, 0.4, 1.6, 18 / 21, 9]])
    return folder


@pytest.fixture(scope="module")
def made(run, data, tmp_path_factory):
    """All figures but the chain, drawn without a network at hand."""
    out = tmp_path_factory.mktemp("figures")
    arguments = ["--run", run, "--data", data, "--out", out, "--reference", "0.6", "0.65"]
    return out, run_figures.draw_all(run_figures.parse_arguments([*map(str, arguments)]))


@pytest.mark.slow
def test_makes_every_figure(made):
    out, names = made
    assert names == [*OF_THE_DATA, *OF_THE_RUN, *OF_THE_BEST, "mistakes.png"]
    for name in names:
        with Image.open(out / name) as picture:
            assert min(picture.size) >= 200, name
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20, f"{name} is blank"


@pytest.mark.slow
def test_the_animation_has_a_frame_for_each_epoch_and_rests_on_the_last(made):
    with Image.open(made[0] / "confusion.gif") as animation:
        assert animation.n_frames == 2
        assert animation.size[0] == run_figures.GIF_WIDTH
        first = animation.convert("RGB")
        assert animation.info["duration"] == run_figures.FRAME_MS
        animation.seek(1)
        assert animation.info["duration"] == run_figures.LAST_FRAME_MS
        assert first.tobytes() != animation.convert("RGB").tobytes()


def test_reads_a_run(run):
    record = run_figures.read_run(run)
    assert record.best == 2
    assert list(record.logits) == [1, 2]
    assert metrics.accuracy(record.logits[2], record.labels) == pytest.approx(18 / 21)


@pytest.mark.parametrize(("saved", "best"), [(None, 2), (3, 3), (1, 1), (9, 2)])
def test_the_best_epoch_is_the_saved_one_or_the_first_of_those_right_most_often(saved, best):
    history = [{"epoch": epoch, "validation_accuracy": a} for epoch, a in ((1, 0.4), (2, 0.6), (3, 0.6))]
    assert run_figures.Record(history, {}, np.empty(0), (), "validation", saved).best == best


def test_reads_which_epoch_was_saved(run, tmp_path):
    assert run_figures.saved_epoch(run) is None
    torch.save({"network": {"weight": torch.zeros(3)}, "epoch": 7}, tmp_path / "best.pt")
    assert run_figures.saved_epoch(tmp_path) == 7


@pytest.mark.parametrize("missing", ["history.csv", "config.json", "predictions/002.npy", "validation_labels.npy"])
def test_refuses_a_folder_that_is_no_run(run, tmp_path, missing):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    (broken / missing).unlink()
    with pytest.raises(DataError, match="is no run directory"):
        run_figures.read_run(broken)


def test_refuses_predictions_of_other_pictures(run, data, tmp_path, monkeypatch, capsys):
    record = run_figures.read_run(run)
    with pytest.raises(DataError, match=r"image \('0', 0\), which the data don't hold"):
        others = load_split(data, "validation").where(np.arange(21) > 3)
        run_figures.draw_mistakes(run_figures.FigureWriter(tmp_path), record, record.logits[1], others)
    monkeypatch.setattr(sys, "argv", ["figures", "--run", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        run_figures.main()
    assert ended.value.code == 2
    assert "is no run directory of training.expression.train" in capsys.readouterr().err


def test_the_confusion_matrix_shows_counts_and_shares():
    counts = np.zeros((7, 7), np.int64)
    counts[3, 3], counts[3, 5] = 1500, 500
    left, right = charts.confusion(counts, "title").axes
    texts = [[text.get_text() for text in axes.texts] for axes in (left, right)]
    assert (texts[0][3 * 7 + 3], texts[0][3 * 7 + 5]) == ("1,500", "500")
    assert (texts[1][3 * 7 + 3], texts[1][3 * 7 + 5]) == ("75", "25")
    assert [label.get_text() for label in left.get_yticklabels()] == list(EMOTIONS)


def test_two_confusion_matrices_hold_percent_and_count_in_each_cell():
    counts = np.zeros((7, 7), np.int64)
    counts[3, 3], counts[3, 5] = 1500, 500
    left, right = charts.two_confusions(counts, counts.T, ["before", "after"]).axes
    assert [axes.get_title() for axes in (left, right)] == ["before", "after"]
    assert left.texts[3 * 7 + 5].get_text() == "25 %\n500"
    assert right.texts[5 * 7 + 3].get_text() == "100 %\n500"


@pytest.mark.parametrize(
    "draw", [lambda c: charts.two_confusions(c, c, ["before", "after"]), lambda c: charts.confusion(c, "title")]
)
def test_the_titles_of_matrices_are_not_cut_off(draw):
    with charts.style():
        figure = draw(np.eye(7, dtype=np.int64))
        figure.draw_without_rendering()
        left, right = figure.axes
        tops = [axes.get_tightbbox().y1 for axes in (left, right)]
    assert max(tops) <= figure.bbox.y1


def test_the_curves_mark_the_best_epoch():
    same = dict.fromkeys(("train_loss", "train_accuracy", "validation_loss"), 1.0)
    history = [same | {"epoch": epoch, "validation_accuracy": a} for epoch, a in ((1, 0.4), (2, 0.6), (3, 0.5))]
    _, right = charts.curves(history, (0.635, 0.654)).axes
    assert [text.get_text() for text in right.texts] == ["60.0 % in epoch 2"]
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels == ["train", "validation", "the reference's last five epochs: 63.5 to 65.4 %"]


def test_emotions_have_the_colours_of_the_page():
    bars = charts.distribution({"train": dict.fromkeys(EMOTIONS, 10)}).axes[0].patches
    assert [tuple(round(255 * c) for c in bar.get_facecolor()[:3]) for bar in bars] == list(COLOURS.values())


def test_mistakes_are_the_surest_first_and_each_but_once():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 48, 48), np.uint8)
    pictures[3] = pictures[1]
    probabilities = np.full((4, 7), 0.0)
    probabilities[range(4), [0, 3, 3, 3]] = [0.95, 0.8, 0.9, 0.7]
    split = Split(pictures, np.array([0, 5, 6, 5]), tuple("abcd"))  # the first is right, the last equals the second
    figure = image_grids.mistakes(split, probabilities)
    texts = [axes.get_xlabel() for axes in figure.axes if axes.images]
    assert texts == ["happy 90 %\nlabel: surprise", "happy 80 %\nlabel: sad"]
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    assert (shown[0] == pictures[2]).all()
    assert (shown[1] == pictures[1]).all()


def test_perfect_scores_leave_an_empty_grid():
    split = Split(np.zeros((1, 48, 48), np.uint8), np.array([3]), ("0",))
    assert not [axes for axes in image_grids.mistakes(split, np.eye(7)[[3]]).axes if axes.images]


def test_conflicting_pairs_leave_blank_pictures_out():
    pictures = np.zeros((5, 48, 48), np.uint8)
    pictures[2:] = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    split = Split(pictures, np.array([0, 1, 2, 2, 4]), tuple("abcde"))
    assert run_figures.conflicting_pairs(split) == [(2, 4)]


def test_the_chain_shows_a_photo_boxes_and_labels(tmp_path, examples, pipeline, monkeypatch):
    monkeypatch.setattr("facemotion.Pipeline.from_pretrained", lambda classifier: pipeline)
    drawn = []
    monkeypatch.setattr(image_grids, "chain", lambda stages: drawn.extend(stages) or charts.Figure())
    run_figures.draw_pipeline_stages(run_figures.FigureWriter(tmp_path), examples / "astronaut.png", "default")
    assert [text for text, _ in drawn] == ["The photo", "1 face found", "What each shows, and how sure that is"]
    photo, boxes, labelled = (pixels for _, pixels in drawn)
    assert (photo != boxes).any()
    assert (boxes != labelled).any()
    assert (tmp_path / "chain.png").is_file()


@pytest.mark.slow
def test_the_animations_background_is_white(made):
    with Image.open(made[0] / "confusion.gif") as animation:
        assert animation.convert("RGB").getpixel((2, animation.height - 2)) == (255, 255, 255)


def test_the_marks_of_a_coverage_curve_stay_in_view_also_where_few_pictures_were_judged():
    surest_right = np.array([1.0] * 10 + [10 / 11, 10 / 12])  # the curve begins after the mark at 80 %
    figure = charts.coverage(surest_right)
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    shown = {float(value) for line in axes.lines for value in line.get_ydata()}
    assert shown == {1.0, 10 / 12}
    assert all(low < value < high for value in shown)
