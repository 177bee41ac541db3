"""A run of several heads on two sources: resumed to the same bits, exported with fitted weights, served."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from facemotion import EMOTIONS, EmotionClassifier
from facemotion.expression import crops
from facemotion.expression.classifier import CONFIG_FILE, WEIGHTS_FILE
from tests.support.training.tree import number_names, write_photos, write_tree
from training.common import devices
from training.common.constants import RESEARCH_ONLY
from training.common.errors import DataError
from training.expression import export, fitting, train
from training.expression.config import PRESETS, Config
from training.expression.data import mixture, sources
from training.expression.data.dataset import Split, limited, load_split
from training.expression.data.ferplus import VOTES
from training.expression.data.run_data import load_kept_back, load_training, load_validation
from training.expression.data.soft_labels import FERPLUS_NAMES
from training.expression.evaluation import metrics, scorers
from training.expression.figures import run_figures
from training.expression.inference import resized
from training.expression.networks import HEADS
from training.reports import run_report

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Place:
    """The sources of the run, its recipe, and the folder of its two runs, `whole` and `stopped`."""

    data: Path
    photos: Path
    votes: Path
    config: Config
    runs: Path

    def train(self, name: str, resume: bool = False) -> None:
        train.train(self.config, self.data, self.runs / name, resume, device="cpu", photos=[self.photos])

    def export(self, out: Path) -> dict[str, object]:
        return export.export(self.runs / "whole", self.data, out, [self.photos], self.votes)


def write_votes(data: Path, file: Path) -> Path:
    """Seven votes for each picture's label and three for neutral, but a draw for the first picture of validation."""
    labels = {int(picture.stem): picture.parent.name for picture in data.rglob("*.png")}
    rows = [dict.fromkeys(VOTES, 0) | {FERPLUS_NAMES.get(labels[row], labels[row]): 7} for row in range(len(labels))]
    for row in rows:
        row["neutral"] += 3
    drawn = min(int(picture.stem) for picture in (data / "images" / "validation").rglob("*.png"))
    rows[drawn] = dict.fromkeys(VOTES, 0) | {"anger": 5, "sadness": 5}
    file.write_text("\n".join([",".join(VOTES), *(",".join(map(str, row.values())) for row in rows)]) + "\n")
    return file


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two epochs straight through, and the same with Ctrl-C in the second and a continuation; in float32."""
    folder = tmp_path_factory.mktemp("heads")
    data = write_tree(folder / "data")
    number_names(data)
    knobs = {"epochs": 2, "batch_size": 20, "limit": 40, "drop": (), "warmup_epochs": 0.5, "ema_decay": 0.5}
    recipe = dataclasses.replace(PRESETS["modern"], **knobs, learning_rate=0.02)  # type: ignore[arg-type]
    votes = write_votes(data, folder / "votes.csv")
    recipe = dataclasses.replace(recipe, ferplus_weight=0.5, votes=str(votes), photo_weight=1.5)
    made = Place(data, write_photos(folder / "photos"), votes, recipe, folder / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "has_bf16_units", lambda _="cpu": False)
        made.train("whole")
        stop_in_the_second_epoch(made)
        made.train("stopped", resume=True)
    return made


def stop_in_the_second_epoch(place: Place) -> None:
    original = train.train_epoch

    def pressed(run: train.Run, epoch_data: mixture.Mixture, epoch: int) -> tuple[float, float]:
        if epoch == 2:
            raise KeyboardInterrupt
        return original(run, epoch_data, epoch)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "train_epoch", pressed)
        place.train("stopped")


def test_a_resumed_run_has_the_same_bits(place: Place) -> None:
    one, other = (torch.load(place.runs / name / "last.pt", weights_only=True) for name in ("whole", "stopped"))
    for part in ("network", "ema"):
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items()), part
    assert one["network"]["mix"].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    assert [[row[name] for name in names] for row in one["history"]] == [
        [row[name] for name in names] for row in other["history"]
    ]


def test_it_learns_from_both_sources_and_is_judged_on_both(place: Place) -> None:
    names = json.loads((place.runs / "whole" / "validation_names.json").read_text())
    assert len(names) == 24 and sum(name.startswith("photo_") for name in names) == 4  # 20 with a leading expression
    recipe = json.loads((place.runs / "whole" / "config.json").read_text())
    assert recipe["votes"] == "votes.csv" and recipe["photo_weight"] == 1.5
    with pytest.raises(DataError, match="learned from other images so far"):
        train.train(place.config, place.data, place.runs / "stopped", resume=True, device="cpu")


def test_its_heads_teach_also_with_pictures_without_labels(place: Place, tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    generator = np.random.default_rng(5)
    for number in range(6):
        blots = generator.integers(0, 256, (5, 5, 3), np.uint8)
        Image.fromarray(crops.resize(blots, 60 + number)).save(faces / f"face-{number}.png")
    kept_back = next((place.photos / "test").rglob("*.*"))
    Image.open(kept_back).save(faces / "kept_back.png")
    knobs = {"teachers": (str(place.runs / "whole"),), "distillation_weight": 0.5, "unlabelled": str(faces)}
    config = dataclasses.replace(place.config, epochs=1, **knobs)  # type: ignore[arg-type]
    taught = dataclasses.replace(place, config=config, runs=tmp_path)
    taught.train("taught")
    recipe = json.loads((tmp_path / "taught" / "config.json").read_text())
    assert recipe["unlabelled"] == "faces" and recipe["teachers"][0].startswith("whole#")
    moved = faces.rename(tmp_path / "moved")
    more = dataclasses.replace(taught, config=dataclasses.replace(config, epochs=2, unlabelled=str(moved)))
    more.train("taught", resume=True)
    assert len((tmp_path / "taught" / "history.csv").read_text().splitlines()) == 3
    validation = load_validation(config, place.data, [place.photos])
    apart = load_kept_back(more.config, [place.data, place.photos], validation)
    kept = mixture.load_training_faces(more.config, apart)
    assert kept is not None and kept.names == tuple(f"face-{number}" for number in range(6))
    for face in moved.glob("face-*"):
        face.unlink()
    with pytest.raises(DataError, match="resembles one kept back for validation or test: use others"):
        more.train("taught", resume=True)


def test_the_first_source_is_not_learned_from_where_it_resembles_a_test_photo(place: Place, tmp_path: Path) -> None:
    data = shutil.copytree(place.data, tmp_path / "data")
    generator = np.random.default_rng(0)
    *blots, twin = sorted((data / "images" / "train").rglob("*.png"))[:4]  # the others resemble the tree's test part
    for file in blots:
        Image.fromarray(crops.resize(generator.integers(0, 256, (5, 5), np.uint8), 48)).save(file)
    Image.fromarray(mixture.load_photos(place.photos, "test", 48).pictures[0]).save(twin)
    validation = load_validation(place.config, data, [place.photos])
    whole = load_split(data, "train").names
    for drop, learned in (("other_splits",), tuple(file.stem for file in blots)), ((), whole):
        config = dataclasses.replace(place.config, drop=drop, limit=0)
        kept_back = load_kept_back(config, [data, place.photos], validation)
        assert load_training(config, data, kept_back).names == learned


def test_every_picture_of_the_mixture_has_targets_for_every_head(place: Place) -> None:
    config = dataclasses.replace(
        place.config, teachers=(str(place.runs / "whole"),), distillation_weight=0.5, augment=False
    )
    pictures = np.random.default_rng(0).integers(0, 256, (5, 70, 70), np.uint8)
    unlabelled = Split(pictures, np.zeros(5, np.int64), tuple("abcde"))
    data, photos = load_split(place.data, "train"), mixture.load_photos(place.photos, "train", 100)
    made = mixture.Mixture([data, photos], config, torch.device("cpu"), unlabelled)
    rows = torch.arange(len(made))
    assert len(made) == len(data) + len(photos) + 5 and made.sampling[-5:].tolist() == [1] * 5
    batch = made.batch(rows)
    torch.testing.assert_close(batch.targets.sum(2), torch.ones(len(made), len(HEADS)))
    assert batch.weights[-1].tolist() == [0.5] * 4
    assert batch.weights[len(data)].tolist() == [0.5, 0.5, 1, mixture.CONSENSUS_WEIGHT]
    grey = resized(torch.from_numpy(pictures[4:5]).unsqueeze(1).float() / 255, 64)
    torch.testing.assert_close(batch.pictures[-1:], (grey - config.mean) / config.std)


def test_the_figures_of_a_run_show_the_pictures_of_all_sources(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(place.runs / "whole", tmp_path / "run")
    training, validation = load_split(place.data, "train"), load_validation(place.config, place.data, [place.photos])
    run_figures.draw_finished(run, training, validation)  # 48 and 64 pixels
    assert {"distribution.png", "mistakes.png"} <= {file.name for file in (run / "figures").iterdir()}
    out = tmp_path / "of the first source"
    command = ["figures", "--run", str(run), "--data", str(place.data), "--no-near", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    run_figures.main()  # which cannot know the photos of the others
    assert (out / "curves.png").is_file() and not (out / "mistakes.png").exists()


def test_how_to_go_on_names_all_sources(place: Place) -> None:
    said = train.resume_hint([place.data, place.photos], place.runs / "whole")
    assert f"--data {place.data} {place.photos} --out {place.runs / 'whole'} --resume" in said


@pytest.fixture(scope="module")
def model(place: Place) -> Path:
    place.export(place.runs / "model")
    return place.runs / "model"


def test_the_export_tells_the_weights_of_the_heads_and_the_terms(model: Path) -> None:
    content = json.loads((model / CONFIG_FILE).read_text())
    assert list(content["heads"]) == list(HEADS) and sum(content["heads"].values()) == pytest.approx(1)
    assert content["heads"]["labels"] == 0  # which is no consensus
    assert content["heads"] == pytest.approx(
        dict(zip(HEADS, load_file(model / WEIGHTS_FILE)["mix"].tolist(), strict=True)), abs=1e-4
    )
    assert "terms" not in content and RESEARCH_ONLY not in content["data"]  # the tree is not RAF-DB
    assert "The votes of FER+ have a weight of 0.5" in content["data"]
    assert "of the held-out tenth of photos of the publisher's own" in content["data"]
    assert content["metrics"]["parity"] < export.MAX_PARITY_ERRORS[torch.float32] == 1e-3


def test_the_export_fits_the_heads_with_each_source_counting_alike(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[np.ndarray] = []

    def noted(heads: np.ndarray, labels: np.ndarray, active: np.ndarray, weights: np.ndarray) -> np.ndarray:
        given.append(weights)
        return np.array([0, 0, 0, 1], np.float32)

    monkeypatch.setattr(fitting, "fit_mix", noted)
    place.export(tmp_path / "model")
    assert set(given[0].round(4)) == {round(1 / 4, 4), round(1 / 20, 4)}  # four photos, twenty pictures of FER2013


def test_the_exported_folder_is_served_with_those_weights(place: Place, model: Path) -> None:
    classifier = EmotionClassifier.from_pretrained(str(model))
    judged = load_split(place.data, "validation")
    parts = mixture.validation_parts(judged, [place.photos], place.config)
    split = limited(mixture.validation_split(parts, place.config), 40, place.config.seed)
    crops = [np.dstack([picture] * 3) for picture in split.pictures]
    served = classifier.classify(crops)
    one_view = EmotionClassifier(classifier.network, classifier.config | {"mirrored_below": 0.0}).classify(crops)
    logits = export.logits_of(place.config, load_file(model / WEIGHTS_FILE), split)
    np.testing.assert_allclose(one_view, metrics.softmax(logits, classifier.config["temperature"]), atol=1e-4)
    assert metrics.accuracy(served, split.labels) == pytest.approx(classifier.config["metrics"]["accuracy"])
    assert served.shape == (24, len(EMOTIONS))


def test_each_head_can_be_judged_alone(place: Place, model: Path) -> None:
    heads, pictures = scorers.load_heads(str(model)), load_split(place.data, "validation").pictures
    assert list(heads) == list(HEADS) and scorers.load_heads("simplecnn") == {}
    of_run = scorers.load_heads(str(place.runs / "whole"))
    np.testing.assert_allclose(of_run["votes"].score(pictures), heads["votes"].score(pictures), atol=1e-4)
    weights = json.loads((model / CONFIG_FILE).read_text())["heads"]
    mean = sum(weights[name] * metrics.softmax(head.score(pictures)) for name, head in heads.items())
    whole = scorers.single_view(str(model)).score(pictures)
    np.testing.assert_allclose(metrics.softmax(whole), mean, atol=1e-3)  # weights are told with four digits


def test_a_network_of_a_single_head_takes_one_source(place: Place, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="simplecnn has a single head: several sources of --data need --network multih"):
        train.train(Config(epochs=1), place.data, tmp_path / "run", photos=[place.photos])
    assert not (tmp_path / "run").exists()


def test_weights_that_learned_from_raf_db_carry_its_terms(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "RAF_DB_PARTS", (56, 14))  # as many as the tree has
    content = place.export(tmp_path / "model")
    assert content["terms"] == RESEARCH_ONLY and RESEARCH_ONLY in str(content["data"])
    assert "of the held-out tenth of RAF-DB" in str(content["data"])


def test_other_training_images_are_refused_on_resume(place: Place, tmp_path: Path) -> None:
    run, photos = tmp_path / "run", tmp_path / "photos"
    shutil.copytree(place.runs / "whole", run)
    shutil.copytree(place.photos, photos)
    next((photos / "train" / "happy").glob("photo_24.png")).rename(photos / "train" / "happy" / "photo_24b.png")
    longer = dataclasses.replace(place.config, epochs=3)
    with pytest.raises(DataError, match="other images so far: give the --data, --teachers and --unlabelled it began"):
        train.train(longer, place.data, run, resume=True, device="cpu", photos=[photos])


def test_the_report_of_a_run_takes_all_its_sources(place: Place, tmp_path: Path) -> None:
    material = run_report.gather(place.runs / "whole", [place.data, place.photos], tmp_path / "model", place.votes)
    assert len(material.validation) == 24 and material.validation.pictures.shape[1:] == (64, 64)
    assert material.fresh.shape == (24,) and material.data["splits"]


def test_an_export_without_all_sources_is_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the run was validated on 24 pictures, not on these 20: name its --data"):
        export.export(place.runs / "whole", place.data, tmp_path / "model", (), place.votes)
    with pytest.raises(DataError, match=r"votes\.csv does not exist"):
        export.export(place.runs / "whole", place.data, tmp_path / "model", [place.photos])
