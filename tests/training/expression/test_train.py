"""The training kit on a few small pictures: metrics worked out by hand, fast convolutions, runs that can be resumed."""

import contextlib
import csv
import io
import json
import re
import shlex
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from facemotion import EmotionClassifier
from tests.support.training.tree import write_tree
from training.common.errors import DataError
from training.expression import export, networks, run_dir, train
from training.expression.config import Config
from training.expression.data import dataset
from training.expression.evaluation import metrics

pytestmark = pytest.mark.slow


def test_confusion_and_what_follows_from_it():
    labels = np.array([0, 0, 0, 3, 3, 6])
    predicted = np.array([0, 0, 3, 3, 3, 0])
    counts = metrics.confusion(np.eye(7)[predicted], labels)
    assert (counts[0, 0], counts[0, 3], counts[6, 0]) == (2, 1, 1)
    rows = metrics.per_class(counts)
    assert rows["angry"] == {
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "support": 3,
    }
    assert rows["happy"]["precision"] == pytest.approx(2 / 3)
    assert rows["happy"]["recall"] == 1
    assert rows["surprise"]["f1"] == 0
    assert metrics.accuracy(np.eye(7)[predicted], labels) == pytest.approx(4 / 6)
    assert metrics.macro_f1(counts) == pytest.approx((2 / 3 + 0.8) / 7)
    assert metrics.balanced_accuracy(counts) == pytest.approx((2 / 3 + 1) / 7)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.full((10, 7), 0.05)
    probabilities[:, 0] = 0.7
    labels = np.array([0] * 4 + [1] * 6)  # right in 40 % of the cases, at a confidence of 70 %
    assert metrics.calibration_error(probabilities, labels) == pytest.approx(0.3)


def test_temperature_undoes_overconfidence():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, 7)) * 2
    chances = metrics.softmax(logits)
    labels = np.array([generator.choice(7, p=row) for row in chances])
    assert metrics.fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.1)


def test_thresholds_keep_enough_and_help():
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(3000, 7)) * 1.5
    probabilities = metrics.softmax(logits)
    labels = np.array([generator.choice(7, p=row) for row in probabilities])
    chosen = metrics.choose_thresholds(probabilities, labels)
    kept = metrics.certain(probabilities, **chosen)
    assert kept.mean() >= metrics.MIN_COVERAGE
    assert metrics.accuracy(probabilities[kept], labels[kept]) > metrics.accuracy(probabilities, labels)


def test_thresholds_also_separate_answers_that_are_all_rather_sure():
    probabilities = np.full((100, 7), 0.1 / 6)
    probabilities[:, 0] = 0.9
    probabilities[:20] = [0.66, 0.2, *[0.14 / 5] * 5]
    labels = np.zeros(100, int)
    labels[:20] = 1  # the less sure ones are wrong
    kept = metrics.certain(probabilities, **metrics.choose_thresholds(probabilities, labels))
    assert kept.tolist() == [False] * 20 + [True] * 80


def test_the_halves_are_fixed_and_split_everything():
    first, second = metrics.halves(101)
    assert first.sum() == 50
    assert (first ^ second).all()
    assert (metrics.halves(101)[0] == first).all()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("data"))


def test_loads_a_tree_in_order(tree):
    split = dataset.load_split(tree, "train")
    assert split.pictures.shape == (42, 48, 48)
    assert split.labels.tolist() == sorted([*range(7)] * 6)
    assert split.names[:2] == ("0", "1")


def test_refuses_wrong_trees_with_a_sentence(tree, tmp_path):
    with pytest.raises(DataError, match="no folder 'test'"):
        dataset.load_split(tree, "test")
    (tmp_path / "train" / "joy").mkdir(parents=True)
    with pytest.raises(DataError, match="holds joy, but the folders must be named angry"):
        dataset.load_split(tmp_path, "train")


def test_refuses_a_picture_of_another_size(tmp_path):
    (tmp_path / "train" / "happy").mkdir(parents=True)
    Image.new("L", (64, 48)).save(tmp_path / "train" / "happy" / "1.png")
    with pytest.raises(DataError, match="64 x 48, but the pictures must be 48 x 48"):
        dataset.load_split(tmp_path, "train")


CONFIG = Config(epochs=2, batch_size=14, seed=7, mean=0.4, limit=20)
FLAGS = ["--epochs", "2", "--batch-size", "14", "--seed", "7", "--mean", "0.4", "--limit", "20", "--no-figures"]


@pytest.fixture(scope="module")
def runs(arithmetic, tree, tmp_path_factory):
    """Two epochs straight through, and the same with Ctrl-C in the second one, continued as the program says then."""
    folder = tmp_path_factory.mktemp("runs")
    train.train(CONFIG, tree, folder / "straight")
    said = interrupted(["--data", str(tree), "--out", str(folder / "stopped"), *FLAGS], after=1)
    assert said.startswith("\nStopped. What was done up to epoch 1 is kept; go on with")
    # As if it had been killed between logging the second epoch and keeping it.
    shutil.copytree(folder / "straight" / "tensorboard", folder / "stopped" / "tensorboard", dirs_exist_ok=True)
    command = shlex.split(said.splitlines()[-1])
    assert command[:3] == ["python", "-m", "training.expression.train"]
    call([*command[3:], "--no-figures"])
    return folder


def call(arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train", *arguments])
        train.main()


def interrupted(arguments, after):
    """What the program says when Ctrl-C is pressed after some epochs."""
    epochs, original = iter(range(after)), train.train_epoch

    def pressed(*given):
        if next(epochs, None) is None:
            raise KeyboardInterrupt
        return original(*given)

    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said), pytest.raises(SystemExit) as exit_:
        patch.setattr(train, "train_epoch", pressed)
        call(arguments)
    assert exit_.value.code == 130
    return said.getvalue()[said.getvalue().rindex("\nStopped") :]


def test_a_resumed_run_equals_one_straight_through(runs):
    first, second = (torch.load(runs / name / "last.pt", weights_only=True) for name in ("straight", "stopped"))
    assert first["epoch"] == second["epoch"] == 2
    assert first["config"] == second["config"] == CONFIG.to_dict()
    for name, tensor in first["network"].items():
        assert torch.equal(tensor, second["network"][name]), name
    for number, state in first["optimizer"]["state"].items():
        assert all(torch.equal(value, second["optimizer"]["state"][number][key]) for key, value in state.items())
    assert [without_time(row) for row in first["history"]] == [without_time(row) for row in second["history"]]


def without_time(row):
    return {key: value for key, value in row.items() if key != "seconds"}


def test_a_resumed_run_keeps_the_same_best_weights_predictions_and_metrics(runs):
    first, second = (torch.load(runs / name / "best.pt", weights_only=True) for name in ("straight", "stopped"))
    assert first["epoch"] == second["epoch"]
    assert all(torch.equal(tensor, second["network"][name]) for name, tensor in first["network"].items())
    predictions = [np.load(runs / name / "predictions" / "002.npy") for name in ("straight", "stopped")]
    assert (predictions[0] == predictions[1]).all()
    metrics_ = [json.loads((runs / name / "metrics.json").read_text()) for name in ("straight", "stopped")]
    assert metrics_[0]["best_epoch"] == metrics_[1]["best_epoch"]


def test_tensorboard_holds_each_epoch_once(runs):
    for run in (runs / "straight", runs / "stopped"):
        with (run / "history.csv").open(newline="") as lines:
            history = list(csv.DictReader(lines))
        expected = {(tag, int(r["epoch"])): float(r[name]) for r in history for name, tag in run_dir.TAGS.items()}
        logged = [
            (value.tag, event.step, value.tensor.float_val[0])
            for file in sorted((run / "tensorboard").iterdir())
            for event in EventFileLoader(str(file)).Load()
            for value in event.summary.value
            if value.tag in run_dir.TAGS.values()
        ]
        assert len(logged) == len(expected) == 10
        assert {(tag, step): value for tag, step, value in logged} == pytest.approx(expected)


def test_a_run_directory_tells_everything(runs):
    run = runs / "straight"
    config = json.loads((run / "config.json").read_text())
    assert {key: config[key] for key in CONFIG.to_dict()} == CONFIG.to_dict()
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", config["commit"])
    assert len((run / "history.csv").read_text().splitlines()) == 3
    assert np.load(run / "predictions" / "002.npy").shape == (20, 7)
    assert np.load(run / "validation_labels.npy").shape == (20,)
    assert not list(run.rglob("*.part"))


def test_a_run_directory_says_what_it_ran_on_each_time(runs):
    straight, stopped = (json.loads((runs / n / "environment.json").read_text()) for n in ("straight", "stopped"))
    assert [session["epochs_before"] for session in straight] == [0]
    assert [session["epochs_before"] for session in stopped] == [0, 1]
    for key in ("commit", "dirty", "python", "torch", "numpy", "facemotion", "platform", "processor", "device"):
        assert key in straight[0]
    assert (straight[0]["seed"], straight[0]["processes"]) == (7, 1)
    assert straight[0]["torch"] == torch.__version__


def test_metrics_tell_how_good_it_is(runs):
    content = json.loads((runs / "straight" / "metrics.json").read_text())
    assert len(content["last_five"]) == 2
    assert content["best"]["validation_accuracy"] == max(row["validation_accuracy"] for row in content["last_five"])
    assert content["best_epoch"]["accuracy"] == pytest.approx(content["best"]["validation_accuracy"])
    assert content["best_epoch"]["not_in_train"]["rows"] == 20
    low, high = content["last_epoch"]["intervals"]["accuracy"]
    assert low <= content["last_epoch"]["accuracy"] <= high
    assert [sum(counts.values()) for counts in content["pictures"].values()] == [20, 20]
    assert content["parameters"] == 4_474_375


def test_a_stop_before_the_first_epoch_leaves_nothing_to_go_on_from(tree, tmp_path):
    said = interrupted(["--data", str(tree), "--out", str(tmp_path / "run"), *FLAGS], after=0)
    assert "nothing to go on from; give the same command again" in said


def test_a_run_says_what_it_does_and_where_it_leaves_it(arithmetic, tree, tmp_path, capsys):
    train.train(Config(epochs=1, batch_size=21, limit=28), tree, tmp_path / "run", device="cpu")
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == f"28 training and 21 validation images, simplecnn on cpu in {arithmetic}"
    assert re.fullmatch(rf"done: best in epoch 1, [\d.]+% of 21 pictures right; all of it is in {tmp_path}/run", last)


def test_weights_that_run_away_end_the_run_with_a_sentence(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "step", lambda *_: torch.tensor([float("nan"), 0.0]))
    with pytest.raises(DataError, match=r"epoch 1 ended without a finite loss: .* a smaller --learning-rate"):
        train.train(Config(epochs=1, batch_size=21), tree, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "last.pt").exists()


def test_what_is_left_out_of_training_is_said_and_recorded(tree, tmp_path, capsys):
    shutil.copytree(tree, tmp_path / "data")
    happy = tmp_path / "data" / "images" / "train" / "happy"
    shutil.copy(happy / "0.png", happy / "copy.png")
    shutil.copy(happy / "1.png", happy.parent / "sad" / "1b.png")
    for split in ("train", "validation"):
        Image.new("L", (48, 48), 127).save(tmp_path / "data" / "images" / split / "fear" / "blank.png")
    config = Config(epochs=1, batch_size=20, drop=("duplicates", "conflicts", "blank"))
    content = train.train(config, tmp_path / "data", tmp_path / "run")
    assert "left out 4 of 45 training pictures: duplicates, conflicts, blank" in capsys.readouterr().out
    assert sum(content["pictures"]["training"].values()) == 41
    assert sum(content["pictures"]["validation"].values()) == 22  # judged on all of them
    recipe = json.loads((tmp_path / "run" / "config.json").read_text())
    assert recipe["drop"] == ["duplicates", "conflicts", "blank"]


def test_a_checkpoint_from_before_the_newer_knobs_goes_on(runs, tree, tmp_path):
    old = ("network", "epochs", "batch_size", "learning_rate", "seed", "train_split", "validation_split")
    old += ("mean", "std", "limit")
    shutil.copytree(runs / "stopped", tmp_path / "run")
    (tmp_path / "run" / "environment.json").unlink()
    content = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    content["config"] = {name: content["config"][name] for name in old}
    del content["scaler"]
    torch.save(content, tmp_path / "run" / "last.pt")
    assert train.saved_config(tmp_path / "run") == CONFIG
    train.train(replace(CONFIG, epochs=2), tree, tmp_path / "run", resume=True)  # which has nothing left to do
    sessions = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert [session.get("epochs_before") for session in sessions] == [None, 2]


def test_a_finished_run_is_not_overwritten(runs, tree):
    with pytest.raises(DataError, match="already holds a run"):
        train.train(Config(epochs=1), tree, runs / "straight")


def test_the_exported_folder_loads_and_agrees_with_the_run(runs, tree, tmp_path):
    config = export.export(runs / "straight", tree, tmp_path / "model")
    classifier = EmotionClassifier.from_pretrained(str(tmp_path / "model"))
    split = dataset.limited(dataset.load_split(tree, "validation"), CONFIG.limit, CONFIG.seed)
    crops = [np.dstack([picture] * 3) for picture in split.pictures]
    served = classifier.classify(crops)
    assert metrics.accuracy(served, split.labels) == pytest.approx(config["metrics"]["accuracy"])
    assert config["mirrored_below"] == export.MIRRORED_BELOW
    assert config["metrics"]["rows_not_in_train"] == 20
    assert (
        "trained on 20 pictures of train; the best epoch was selected and evaluated on the 20 of validation"
        in config["data"]
    )
    assert config["metrics"]["parity"] < export.MAX_PARITY_ERRORS[torch.float16]  # as SimpleCNN is published
    recorded = export.recorded_logits(runs / "straight", config["metrics"]["epoch"])
    one_view = EmotionClassifier(classifier.network, config | {"mirrored_below": 0.0}).classify(crops)
    assert np.abs(one_view - metrics.softmax(recorded, config["temperature"])).max() < export.MAX_RUN_ERROR
    assert (one_view != served).any(), "no face was doubtful"


def test_a_checkpoint_that_is_not_the_recorded_one_is_not_exported(runs, tree, tmp_path):
    run = shutil.copytree(runs / "straight", tmp_path / "run")
    saved = torch.load(run / "best.pt", weights_only=True)
    name, biases = list(saved["network"].items())[-1]
    saved["network"][name] = biases + torch.arange(7)
    torch.save(saved, run / "best.pt")
    with pytest.raises(DataError, match="answers otherwise than the run recorded"):
        export.export(run, tree, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_small_networks_are_published_as_they_were_trained(tmp_path):
    torch.manual_seed(5)
    trained = networks.build("emotionnet").state_dict()
    assert (export.storage_dtype(trained), export.storage_dtype(networks.build("simplecnn").state_dict())) == (
        torch.float32,
        torch.float16,
    )
    split = dataset.Split(np.random.default_rng(5).integers(0, 256, (9, 48, 48), np.uint8), np.zeros(9, np.int64), ())
    config = Config(network="emotionnet")
    served = export.served_logits(config, export.cast_tensors(trained, torch.float32), split)
    np.testing.assert_allclose(served, export.logits_of(config, trained, split), atol=2e-6)
    rounded = export.served_logits(config, export.cast_tensors(trained, torch.float16), split)
    assert np.abs(rounded - served).max() > 1e-5, "what float16 costs would not be seen"
