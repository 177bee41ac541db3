"""The recipe and its command line; the device and the numbers it computes in."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
import torch

from training.common import devices
from training.common.constants import ASSETS
from training.common.devices import Precision
from training.common.errors import DataError
from training.expression import config
from training.expression.config import PRESETS, Config, ConfigError, given_knobs, new_config, parse, resumed_config

PLACES = ["--data", "fer2013", "--out", "runs/a"]
STUDY = {
    "network": "simplecnn",
    "epochs": 50,
    "batch_size": 64,
    "learning_rate": 1e-4,
    "seed": 0,
    "train_split": "train",
    "validation_split": "validation",
    "mean": 0.5,
    "std": 0.25,
    "limit": 0,
}


def test_the_study_is_the_recipe_of_the_checkpoints_it_left():
    assert PRESETS["study"] == Config() == Config.from_dict(STUDY)
    assert new_config(parse(PLACES)) == new_config(parse([*PLACES, "--preset", "study"])) == Config()


def test_flags_override_the_preset():
    arguments = parse([*PLACES, "--preset", "smoke", "--learning-rate", "3e-4", "--drop", "blank,duplicates"])
    expected = dataclasses.replace(PRESETS["smoke"], learning_rate=3e-4, drop=("blank", "duplicates"))
    assert new_config(arguments) == expected


def test_a_recipe_survives_json_and_checkpoints(tmp_path):
    recipe = Config(drop=("not_a_face",), votes="fer2013new.csv")
    assert Config.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    torch.save(recipe.to_dict(), tmp_path / "recipe.pt")
    assert Config.from_dict(torch.load(tmp_path / "recipe.pt", weights_only=True)) == recipe


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"network": "vgg"}, "--network must be one of simplecnn"),
        ({"epochs": 0}, "--epochs must be 1 or more, but is 0"),
        ({"batch_size": 1}, "--batch-size must be 2 or more: batch norm"),
        ({"learning_rate": 0.0}, "--learning-rate must be above 0"),
        ({"learning_rate": float("nan")}, "--learning-rate must be above 0"),
        ({"seed": -1}, "--seed must be 0 or more"),
        ({"std": 0.0}, "--std must be above 0"),
        ({"mean": float("nan")}, "--mean must be from 0 to 1"),
        ({"limit": -5}, r"--limit must be 0 \(all\) or more"),
        ({"drop": ("ugly",)}, "--drop must be some of duplicates, conflicts, blank, not_a_face"),
        ({"network": "multihead", "mixup": 0.2}, "--mixup must be 0"),
        ({"network": "multihead", "balance": 0.5}, "--balance must be 0"),
        ({"photo_weight": 0.0}, "--photo-weight must be above 0"),
        ({"rare_class_sampling": 1.5}, "--rare-class-sampling must be from 0 to 1"),
        ({"drop": ("not_a_face",)}, "--votes must be given for --ferplus-weight and for --drop not_a_face"),
    ],
)
def test_values_outside_a_knobs_range_are_refused(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Config(**values)


FORMER_EMOTIONNET = {
    "network": "emotionnet",
    "start": "",
    "train_split": "train",
    "validation_split": "validation",
    "drop": ["blank", "judged", "not_a_face"],
    "votes": "fer2013_labels.csv",
    "limit": 0,
    "augment": True,
    "views": 24,
    "crowd": 0.5,
    "teachers": ["teacher-0#6af0", "teacher-1#a910"],
    "teaching": 0.7,
    "mean": 0.5,
    "std": 0.25,
    "epochs": 150,
    "batch_size": 256,
    "optimizer": "sgd",
    "learning_rate": 0.2,
    "schedule": "cosine",
    "warm_up": 3.0,
    "weight_decay": 0.0005,
    "average": 0.998,
    "label_smoothing": 0.0,
    "mixup": 0.0,
    "balance": 0.5,
    "seed": 1,
}
"""The recipe in the configuration of the EmotionNet that version 0.1 embedded, but for what follows the knobs."""
SIMPLECNN = ASSETS / "simplecnn" / "config.json"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "emotionnet",
            {
                "ferplus_weight": 0.5,
                "distillation_weight": 0.7,
                "ema_decay": 0.998,
                "warmup_epochs": 3.0,
                "init_weights": "",
            }
            | {"drop": ("blank", "other_splits", "not_a_face"), "balance": 0.5, "learning_rate": 0.2},
        ),
        ("simplecnn", {"ferplus_weight": 0.0, "ema_decay": 0.0, "warmup_epochs": 0.0, "epochs": 50}),
    ],
)
def test_published_recipes_of_earlier_versions_load(model, expected, tmp_path):
    """As a run directory holds them, beside the commit and versions."""
    recipe = FORMER_EMOTIONNET if model == "emotionnet" else json.loads(SIMPLECNN.read_text())["recipe"]
    assert {"crowd", "average", "warm_up"} <= set(recipe)
    (tmp_path / "config.json").write_text(json.dumps(recipe))
    config = Config.of_run(tmp_path)
    assert {name: getattr(config, name) for name in expected} == expected
    if model == "simplecnn":
        assert config == Config()


def test_a_checkpoint_with_former_names_of_knobs_loads():
    former = {
        "crowd": 0.5,
        "votes": "v.csv",
        "rare": 0.25,
        "average": 0.9,
        "start": "simplecnn",
        "warm_up": 2.0,
        "views": 8,
    }
    current = {"ferplus_weight": 0.5, "votes": "v.csv", "rare_class_sampling": 0.25, "ema_decay": 0.9}
    assert Config.from_dict(STUDY | former) == Config(**current, init_weights="simplecnn", warmup_epochs=2.0)
    assert set(config.FORMER.values()) - {None} <= set(Config.__dataclass_fields__)


def test_former_flags_are_understood_and_named(capsys):
    arguments = parse([*PLACES, "--votes", "v.csv", "--crowd", "0.5", "--warm-up=2", "--drop", "judged"])
    expected = Config(votes="v.csv", ferplus_weight=0.5, warmup_epochs=2.0, drop=("other_splits",))
    assert new_config(arguments) == expected
    assert "--crowd is now --ferplus-weight" in capsys.readouterr().err


def test_a_recipe_of_a_newer_version_is_refused():
    with pytest.raises(ConfigError, match="has warmup, which this version does not know"):
        Config.from_dict(STUDY | {"warmup": 3})


def test_a_recipe_with_a_knob_of_a_former_version_goes_on():
    assert Config.from_dict(STUDY | {"views": 24}) == Config()


def test_data_may_be_several_folders():
    arguments = parse(["--data", "official", "rafdb", "--out", "runs/a", "--preset", "modern", "--photo-weight", "1.5"])
    assert [str(folder) for folder in arguments.data] == ["official", "rafdb"]
    assert new_config(arguments) == dataclasses.replace(PRESETS["modern"], photo_weight=1.5)


@pytest.mark.parametrize(
    "given",
    [
        [*PLACES, "--learning-rat", "1"],  # not even when it is short for one
        [*PLACES, "--momentum", "0.9"],
        [*PLACES, "--epochs", "many"],
        [*PLACES, "--preset", "paper"],
        ["--smoke", "--epochs", "3"],  # which has its own recipe
        ["--smoke", "--preset", "modern"],
        ["--smoke", "--resume"],
        ["--data", "fer2013"],
        ["--out", "runs/a"],
        [],
    ],
)
def test_unknown_or_missing_flags_are_an_error(given, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(given)
    assert exit_.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_help_explains_every_knob(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    for field in dataclasses.fields(Config):
        assert f"{config.flag(field.name)} " in text
        assert re.sub(r"\s+", " ", field.metadata["help"]) in text.replace("- ", "-")
        assert field.metadata["help"].endswith(".")
    for part in ("the network:", "the data:", "the optimisation:", "examples:", *PRESETS):
        assert part in text


@pytest.mark.parametrize(
    ("flags", "changed"),
    [
        ([], {}),
        (["--epochs", "60"], {"epochs": 60}),
        (["--seed", "3"], {}),  # as it is
        (["--preset", "study", "--seed", "3"], {"epochs": 50}),
        (["--votes", "elsewhere.csv"], {"votes": "elsewhere.csv"}),
    ],
)
def test_a_run_goes_on_with_its_own_recipe(flags, changed):
    saved = Config(epochs=20, seed=3)
    assert resumed_config(saved, given_knobs(parse([*PLACES, "--resume", *flags]))) == dataclasses.replace(
        saved, **changed
    )


@pytest.mark.parametrize("flags", [["--learning-rate", "1"], ["--preset", "study"], ["--preset", "smoke"]])
def test_no_other_recipe_is_taken_up_on_the_way(flags):
    with pytest.raises(ConfigError, match="a run goes on with its own recipe, which has --"):
        resumed_config(Config(seed=3), given_knobs(parse([*PLACES, "--resume", *flags])))


@pytest.mark.parametrize(
    ("kind", "bf16", "expected"),
    [
        ("cuda", True, Precision(torch.bfloat16)),
        ("cuda", False, Precision(torch.float16, scaled=True)),
        ("mps", False, Precision(torch.float32)),
        ("mps", True, Precision(torch.float32)),
        ("cpu", True, Precision(torch.bfloat16)),
        ("cpu", False, Precision(torch.float32)),
    ],
)
def test_the_precision_fits_the_device(kind, bf16, expected):
    assert devices.precision_for(kind, bf16) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_computes_in_that_precision(dtype):
    with Precision(dtype).autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "expected"),
    [
        (True, True, "auto", "cuda"),
        (False, True, "auto", "mps"),
        (False, False, "auto", "cpu"),
        (True, True, "cpu", "cpu"),
        (True, True, "mps", "mps"),
        (False, True, "cuda", None),
        (True, False, "mps", None),
    ],
)
def test_the_device_is_the_fastest_or_the_one_asked_for(cuda, mps, wanted, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    if expected is None:
        with pytest.raises(DataError, match=f"finds no {wanted} device here: choose --device"):
            devices.choose_device(wanted)
    else:
        assert devices.choose_device(wanted).type == expected


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.choose_device("cuda", 1) == torch.device("cuda", 1)
    with pytest.raises(DataError, match="2 GPUs, too few"):
        devices.choose_device("cuda", 2)
