"""Seven numbers added to the logits: how they are fitted, judged and exported; and the table of what was tried."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from facemotion import EMOTIONS, EmotionClassifier, images
from tests.support.training_tree import EXAMPLES, write_tree
from tests.training.test_run_report import write_run
from training.common.errors import DataError
from training.common.files import write_json
from training.expression import export
from training.expression.config import Config
from training.expression.evaluation import ablations, logit_bias, metrics

ANGRY, HAPPY = EMOTIONS.index("angry"), EMOTIONS.index("happy")


def test_an_adjustment_is_added_to_the_logits(tmp_path: Path) -> None:
    tree, run, file = write_tree(tmp_path / "data"), tmp_path / "run", tmp_path / "adjustment.json"
    write_run(run, tree)
    biases = dict.fromkeys(EMOTIONS, 0.0) | {"angry": 0.75, "happy": -0.5}
    write_json(file, {"biases": biases, "pull": 0.1, "fitted_on": 9})
    plain = export.export(run, tree, tmp_path / "plain")
    adjusted = export.export(run, tree, tmp_path / "adjusted", file)
    assert plain["recipe"]["logit_adjustment"] is None
    assert adjusted["recipe"]["logit_adjustment"] == {"biases": biases, "pull": 0.1, "fitted_on": 9}
    crop = [images.load(EXAMPLES / "grace_hopper.jpg")]
    before, after = (EmotionClassifier.from_pretrained(str(tmp_path / name)) for name in ("plain", "adjusted"))
    logs = [np.log(one.classify(crop)[0]) * one.config["temperature"] for one in (before, after)]
    moved, expected = logs[1] - logs[0], np.array(list(biases.values()))
    assert moved - moved.mean() == pytest.approx(expected - expected.mean(), abs=0.02)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"biases": {"angry": 1}}', '{"biases": null}'])
def test_a_file_that_is_no_adjustment_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text(content)
    with pytest.raises(DataError, match=r"wrong\.json is no file of training\.adjust"):
        export.adjustment(tmp_path / "wrong.json")
    endless = dict.fromkeys(EMOTIONS, 0.0) | {"sad": float("inf")}
    write_json(tmp_path / "endless.json", {"biases": endless})
    with pytest.raises(DataError, match="no finite number"):
        export.adjustment(tmp_path / "endless.json")


def test_fitted_biases_answer_by_the_frequencies_of_the_faces_they_were_fitted_on() -> None:
    labels = np.array([HAPPY] * 90 + [ANGRY] * 10)
    knows_nothing = np.zeros((100, 7))
    shares = metrics.softmax(logit_bias.fit(knows_nothing, labels, pull=0.0)[None].astype(float))[0]
    assert shares[[HAPPY, ANGRY]] == pytest.approx([0.9, 0.1], abs=1e-3)
    pulled = [logit_bias.fit(knows_nothing, labels, pull) for pull in (0.1, 1.0, 1e6)]
    assert pulled[0][HAPPY] > pulled[1][HAPPY] > pulled[2][HAPPY] == pytest.approx(0, abs=1e-5)
    assert pulled[0].mean() == pytest.approx(0, abs=1e-6)


def test_cross_validation_hides_each_face_from_the_biases_that_judge_it() -> None:
    labels = np.arange(70) % 7
    logits = np.zeros((70, 7))
    shifted = logit_bias.cross_validated(logits, labels, pull=0.01)
    assert metrics.accuracy(shifted, labels) < 1 / 7  # what a fold lacks, the others have more of
    seen = logits + logit_bias.fit(logits, labels, 0.01)
    assert np.abs(seen).max() < 1e-4 < np.abs(shifted).max()


def test_the_table_of_adjustments_shows_what_each_pull_gives() -> None:
    random = np.random.default_rng(0)
    labels = np.array([HAPPY] * 60 + [ANGRY] * 60)
    logits = random.normal(0, 0.1, (120, 7))
    logits[:, HAPPY] += 3  # never right on angry faces, until it is shifted
    logits[labels == ANGRY, ANGRY] += 2
    lines = logit_bias.to_markdown((logits, labels), (logits[:60], labels[:60])).splitlines()
    rows = {cells[0]: cells for line in lines[2:] for cells in [line.strip("| ").split(" | ")]}
    assert list(rows) == ["none", *(f"{pull:g}" for pull in logit_bias.PULLS)]
    assert rows["none"][-4] == "0.500" and rows["0.01"][-4] == "1.000"
    assert rows["none"][1:8] == ["0.00"] * 7 and rows["none"][-2] == "1.000"
    assert float(rows["0.01"][1 + ANGRY]) > float(rows["1"][1 + ANGRY]) > 0


def test_a_recipe_is_told_by_what_differs() -> None:
    first = Config(augment=True, views=3, drop=("blank",))
    assert ablations.told(first, None) == "`--drop blank` `--augment` `--views 3`"
    assert ablations.told(Config(augment=True, views=3, drop=("blank",), seed=7), first) == "the same"
    other = Config(epochs=9, teachers=("a#12", "b#34"), teaching=0.5)
    expected = "`--drop ''` `--no-augment` `--views 0` `--teachers a,b` `--teaching 0.5` `--epochs 9`"
    assert ablations.told(other, first) == expected


def test_the_table_of_tries_shows_each_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree, out = write_tree(tmp_path / "data"), tmp_path / "tries.md"
    run = write_run(tmp_path / "run", tree)
    for emotion in EMOTIONS:  # real faces: half of these are chosen by
        (tmp_path / "wild" / emotion).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "wild" / emotion / f"{number}.jpg").write_bytes((EXAMPLES / "grace_hopper.jpg").read_bytes())
    monkeypatch.setattr(sys, "argv", ["tries", "--runs", str(run), "--wild", str(tmp_path / "wild"), "--out", str(out)])
    ablations.main()
    assert out.read_text() == capsys.readouterr().out.removesuffix("\n")
    cells = out.read_text().splitlines()[2].strip("| ").split(" | ")
    assert cells[0] == "run" and cells[2] == "293" and cells[5].endswith(" of 21")
    assert "Real faces: 10, the half that is chosen by" in out.read_text()
    monkeypatch.setattr(sys, "argv", ["tries", "--runs", str(tmp_path), "--wild", str(tmp_path / "wild")])
    with pytest.raises(SystemExit):
        ablations.main()
    assert "holds no config.json" in capsys.readouterr().err
