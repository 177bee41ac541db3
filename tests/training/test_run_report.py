"""The report of a run: its numbers are those of the files, it says how far the run came, and every figure is there."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from facemotion import EMOTIONS, EmotionClassifier
from tests.support.training.tree import write_tree
from training.expression.config import Config
from training.expression.data.dataset import load_split
from training.expression.evaluation import metrics
from training.expression.inference import predict, to_device, torch_network
from training.reports import paper_results, run_report, run_report_sections

pytestmark = pytest.mark.slow

ANGRY, DISGUST, FEAR, HAPPY, NEUTRAL, SAD, SURPRISE = range(7)
COLUMNS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds")


def write_run(run: Path, data: Path, epochs: int = 2, planned: int = 2) -> Path:
    """A run with the embedded network as its last and best epoch, and chance before that."""
    (run / "predictions").mkdir(parents=True)
    network, split = torch_network(EmotionClassifier.from_pretrained("simplecnn")), load_split(data, "validation")
    inputs, _ = to_device(split, Config(), torch.device("cpu"))
    rows = predict(network, inputs, bf16=False).numpy()
    for epoch in range(1, epochs + 1):
        logits = rows if epoch == epochs else np.random.default_rng(epoch).normal(size=rows.shape)
        np.save(run / "predictions" / f"{epoch:03d}.npy", logits.astype(np.float16))
    np.save(run / "validation_labels.npy", split.labels)
    (run / "validation_names.json").write_text(json.dumps(split.names))
    (run / "config.json").write_text(json.dumps(Config(epochs=planned).to_dict() | {"commit": "f" * 40}))
    torch.save({"network": network.state_dict(), "epoch": epochs}, run / "best.pt")
    with (run / "history.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("epoch", *COLUMNS), *((e, 1.5, 0.4, 1.6, e / 10, 8) for e in range(1, epochs + 1))]
        )
    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The little tree; one validation picture also stands in train, under its own label."""
    root = write_tree(tmp_path_factory.mktemp("data"))
    emotion = EMOTIONS[HAPPY]
    copy = root / "images" / "validation" / emotion / "0.png"
    copy.write_bytes((root / "images" / "train" / emotion / "0.png").read_bytes())
    return root


@pytest.fixture(scope="module")
def written(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """The report of a run of which two of three epochs were run."""
    folder = tmp_path_factory.mktemp("report")
    run = write_run(folder / "run", data, planned=3)
    return folder / "net.md", run_report.write(run, [data], folder / "net.md", machine="an abacus")


def test_every_figure_is_shown_and_there(written: tuple[Path, list[Path]]) -> None:
    out, files = written
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", out.read_text())
    assert sorted(out.parent / path for path in shown) == sorted(files[1:])
    absent = {"equal"}  # no labels differ here
    assert {Path(path).stem for path in shown} == set(run_report_sections.TITLES) - absent
    for file in files[1:]:
        with Image.open(file) as picture:
            assert min(picture.size) >= 200


def test_an_unfinished_run_says_so_at_the_top(written: tuple[Path, list[Path]]) -> None:
    top = written[0].read_text().split("##")[0]
    assert "**Not finished: 2 of the 3 planned epochs were run.**" in top
    assert "None yet: 2 of 3 epochs were run" in top


def test_the_numbers_are_those_of_the_files(written: tuple[Path, list[Path]], data: Path) -> None:
    text = written[0].read_text()
    run, split = written[0].parent / "run", load_split(data, "validation")
    logits = np.load(run / "predictions" / "002.npy").astype(float)
    fresh = np.ones(len(split), bool)
    fresh[np.flatnonzero(split.labels == HAPPY)[0]] = False
    unseen = metrics.accuracy(logits[fresh], split.labels[fresh])
    assert f"| **2, the best** | 1.500 | 40.00 % | 1.600 | 20.00 % | {paper_results.percent(unseen)} |" in text
    assert "| on the 20 not in train |" in text and "1 of the 21 validation pictures also stand" in text
    assert "| the reference run's last five | 0.29 |  |  | 63.5 % to 65.4 % |" in text
    counts = metrics.confusion(logits, split.labels)
    assert f"| **sad** | {' | '.join(map(str, counts[SAD]))} |" in text
    assert "| processor | an abacus |" in text and f"| commit | {'f' * 40} |" in text
    assert "An epoch took 8 s" in text and "| learning rate | `0.0001` |" in text
    assert "| of validation, also in train | 1 |" in text


def test_a_report_on_ones_own_pictures_does_not_call_them_fer2013(written: tuple[Path, list[Path]]) -> None:
    text = written[0].read_text()
    assert text.startswith("# simplecnn on pictures of our own\n") and "Goodfellow" not in text
    assert "--photo PHOTO\n" in text  # and no votes, for none were given
    assert run_report_sections.is_fer2013(SimpleNamespace(model={"dataset": "fer2013"}))


def test_a_run_that_was_started_twice_tells_both_machines() -> None:
    sessions = [{"processor": "one", "gpu": None, "torch": "2", "dirty": False}, {"processor": "two", "torch": "2"}]
    twice = run_report_sections.machines(SimpleNamespace(machines=sessions, config={}), None)
    assert "| processor | one, then two |" in twice and "| torch | 2 |" in twice and "gpu" not in twice
    assert "started 2 times" in twice and "was changed" not in twice
    once = run_report_sections.machines(SimpleNamespace(machines=[{"dirty": True}], config={}), None)
    assert "did not record its processor" in once and "was changed" in once and "started" not in once


def test_a_shrunk_figure_keeps_the_colours_that_matter(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 1), np.uint8).repeat(3, axis=2)
    pixels[:20, :20] = (30, 85, 212)
    pixels[0, 50:] = np.random.default_rng(1).integers(0, 256, (50, 3))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    run_report.shrink(tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.mode == "P"
        after = np.asarray(picture.convert("RGB"))
    assert (after[:20, :20] == pixels[:20, :20]).all()
    assert np.abs(after[1:].astype(int) - pixels[1:]).max() <= 2


@pytest.mark.parametrize("missing", ["best.pt", "history.csv"])
def test_what_is_no_run_is_refused_with_a_sentence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    run = write_run(tmp_path / "run", data)
    (run / missing).unlink()
    with pytest.raises(SystemExit) as ended:
        run_report.main(["--run", str(run), "--data", str(data), "--out", str(tmp_path / "net.md")])
    assert ended.value.code == 2
    assert "is no run directory of training.expression.train" in capsys.readouterr().err


def test_a_figure_of_an_older_report_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "old.png").write_bytes(b"")
    assert run_report.keep([], tmp_path / "net") == [] and list((tmp_path / "net").iterdir()) == []


def history(*accuracies: float, loss: float = 0.3) -> list[dict[str, float]]:
    return [{"validation_accuracy": a, "train_loss": loss} for a in accuracies]


@pytest.mark.parametrize(
    ("epochs", "config", "beginning"),
    [
        ([0.7], {"epochs": 50}, "None yet: 1 of 50 epochs"),
        ([0.642] * 49 + [0.643], {"epochs": 50}, "Reproduced: the best epoch has 64.30 %"),
        ([0.6429] * 50, {"epochs": 50}, "Something differs: the best epoch has 64.29 %"),
        ([0.7], {"epochs": 1}, "None: this is not the study's recipe (epochs 1 instead of 50)"),
        ([0.7] * 50, {"epochs": 50, "drop": ["blank"]}, "None: this is not the study's recipe (drop"),
        ([0.7] * 50, {"epochs": 50, "mixup": 0.2}, "None: this is not the study's recipe (mixup 0.2 instead of 0.0)"),
        ([0.65] * 50, {"epochs": 50, "batch_size": 128, "seed": 2}, "Reproduced"),
    ],
)
def test_the_verdict(epochs: list[float], config: dict[str, object], beginning: str) -> None:
    assert paper_results.verdict(history(*epochs), config).startswith(beginning)


def test_the_last_five_epochs_stand_beside_the_reference_runs() -> None:
    text = paper_results.beside_reference(history(0.1, 0.62, 0.64, 0.645, 0.65, 0.66, loss=0.3456))
    assert "The last 5 epochs have 62.00 % to 66.00 %" in text and "3 of ours lie within" in text and "is 0.35" in text


def matrix(*cells: tuple[int, int, int]) -> np.ndarray:
    """Ten right answers for each expression, and the cells (label, answer, count)."""
    counts = np.diag(np.full(7, 10))
    for label, answer, count in cells:
        counts[label, answer] = count
    return counts


@pytest.mark.parametrize(
    ("last", "holds"),
    [
        (matrix((SAD, ANGRY, 5), (SAD, NEUTRAL, 6), (SAD, FEAR, 4)), ("yes", "no")),
        (matrix((SAD, FEAR, 5), (SAD, NEUTRAL, 6), (ANGRY, SAD, 2), (NEUTRAL, SAD, 1)), ("in part", "yes")),
        (matrix((SAD, FEAR, 5), (SAD, HAPPY, 6), (SAD, ANGRY, 4), (FEAR, SAD, 1)), ("no", "no")),
        (matrix(), ("no", "no")),
    ],
)
def test_whether_sad_is_confused_with_angry_and_neutral(last: np.ndarray, holds: tuple[str, str]) -> None:
    row, column, _ = paper_results.findings(matrix(), last, 50)
    assert (row.holds, column.holds) == holds


def test_a_finding_tells_its_numbers() -> None:
    last = matrix((SAD, ANGRY, 5), (SAD, NEUTRAL, 25))
    assert (
        paper_results.findings(matrix(), last, 50)[0].numbers
        == "of 40 labelled sad: neutral 25 (62.5 %), angry 5 (12.5 %)"
    )


@pytest.mark.parametrize(
    ("first", "holds"),
    [
        (matrix((FEAR, HAPPY, 3), (FEAR, NEUTRAL, 1)), "yes"),
        (matrix((FEAR, HAPPY, 3)), "in part"),
        (matrix((HAPPY, FEAR, 3), (NEUTRAL, SAD, 3)), "no"),
    ],
)
def test_whether_happy_and_neutral_are_over_predicted(first: np.ndarray, holds: str) -> None:
    assert paper_results.findings(first, matrix(), 50)[-1].holds == holds
