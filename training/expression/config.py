"""Every knob of a run in one object, the presets, and the command line made from them.

A knob is a field of `Config`: its default is what runs did before it existed, so that old checkpoints go on loading,
and its metadata are its help. A preset is a `Config`; flags given on the command line override it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.common.devices import DEVICES
from training.common.errors import DataError
from training.expression.ablation_networks import TRIED
from training.expression.data.dataset import DROPS
from training.expression.networks import MULTI_HEAD, NETWORKS


class ConfigError(DataError):
    """The run cannot be as it was asked for; the message says which knob and what it takes."""


def knob(default: Any, group: str, help: str) -> Any:
    """A field of `Config` with its part of --help: a group, and a sentence that says what it means, in which unit."""
    return dataclasses.field(default=default, metadata={"group": group, "help": help})


NETWORK, DATA, OPTIMISATION = "the network", "the data", "the optimisation"
OPTIMIZERS, SCHEDULES = ("adam", "sgd"), ("constant", "cosine")
FORMER = {"views"}  # knobs of former versions, which change nothing in how a run goes on
METAVARS = {
    "start": "FOLDER_OR_REFERENCE",
    "votes": "FILE",
    "teachers": "RUNS",
}  # in --help, where the kind of value says too little


@dataclass(frozen=True)
class Config:
    """The recipe of a run: all that decides what comes out of it, and nothing about the machine it runs on.

    Raises:
        ConfigError: a value is outside what the knob takes.
    """

    network: str = knob(
        "simplecnn",
        NETWORK,
        f"Architecture, from training/expression/networks.py: {', '.join(NETWORKS)}; or one that is only trained, from "
        f"training/expression/ablation_networks.py: {', '.join(TRIED)}.",
    )
    start: str = knob(
        "",
        NETWORK,
        "Published weights to begin from, of the same network: a model folder, embedded ones by their name, or "
        "owner/name[@revision[#sha256]] on the Hub.",
    )
    train_split: str = knob("train", DATA, "Part of the data to learn from: the name of its folder.")
    validation_split: str = knob("validation", DATA, "Part to judge on after each epoch, and to choose the best by.")
    drop: tuple[str, ...] = knob(
        (), DATA, f"What to leave out of the training pictures, with commas between: {', '.join(DROPS)}."
    )
    votes: str = knob("", DATA, "FER+'s votes, fer2013new.csv, by which --crowd and --drop not_a_face go.")
    limit: int = knob(0, DATA, "Pictures of each part to use, drawn by the seed; 0 takes all.")
    augment: bool = knob(False, DATA, "Show every picture as serving might meet it: another box, light, blur, noise.")
    photo_weight: float = knob(
        1.0,
        DATA,
        "Of multihead: how often a photo of the further --data is seen for each picture of the first.",
    )
    rare: float = knob(
        0.0, DATA, "Of multihead: see rare classes more often, by this power of how rare each is in its source, 0..1."
    )
    crowd: float = knob(0.0, DATA, "How much FER+'s voters count beside FER2013's label, 0..1; needs --votes.")
    teachers: tuple[str, ...] = knob(
        (), DATA, "Run directories, with commas between, whose best networks say what each picture shows as it is seen."
    )
    teaching: float = knob(0.0, DATA, "How much the teachers count beside the labels, 0..1; needs --teachers.")
    mean: float = knob(0.5, DATA, "Grey level, on the scale 0..1, that the network sees as 0.")
    std: float = knob(0.25, DATA, "Difference of grey levels, on the scale 0..1, that the network sees as 1.")
    epochs: int = knob(50, OPTIMISATION, "Passes over the training pictures. Alone of all, it may change on --resume.")
    # The study does not state its batch size.
    batch_size: int = knob(
        64, OPTIMISATION, "Pictures per step of the optimizer; several processes share them out between them."
    )
    optimizer: str = knob("adam", OPTIMISATION, "adam, or sgd with Nesterov's momentum.")
    learning_rate: float = knob(1e-4, OPTIMISATION, "Step size, the largest of the run where it has a schedule.")
    schedule: str = knob("constant", OPTIMISATION, "Of the step size: constant, or cosine down to 0.")
    warm_up: float = knob(0.0, OPTIMISATION, "Epochs in which a cosine schedule first rises from 0.")
    weight_decay: float = knob(0.0, OPTIMISATION, "Of sgd: the part of each weight that a step of size 1 takes off.")
    average: float = knob(0.0, OPTIMISATION, "Judge and keep a running average of the weights, of this decay; 0: none.")
    label_smoothing: float = knob(0.0, OPTIMISATION, "Part of each target that is spread over all classes.")
    mixup: float = knob(0.0, OPTIMISATION, "Blend pictures in pairs, by shares from Beta(X, X); 0: none.")
    balance: float = knob(0.0, OPTIMISATION, "How far rare classes count as if they were as frequent as others, 0..1.")
    seed: int = knob(
        0, OPTIMISATION, "Start of all that is random: first weights, order of pictures, dropout, --limit."
    )

    def __post_init__(self) -> None:
        for name in ("drop", "teachers"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON has only lists
        for name, (holds, accepted) in self._conditions().items():
            if not holds:
                raise ConfigError(f"{flag(name)} must be {accepted}, but is {getattr(self, name)!r}")

    def _conditions(self) -> dict[str, tuple[bool, str]]:
        one_head = self.network != MULTI_HEAD
        return {
            "network": (self.network in {*NETWORKS, *TRIED}, f"one of {', '.join([*NETWORKS, *TRIED])}"),
            "epochs": (self.epochs >= 1, "1 or more"),
            "batch_size": (self.batch_size >= 2, "2 or more: batch norm cannot train on a single picture"),
            "learning_rate": (0 < self.learning_rate < float("inf"), "above 0"),
            "optimizer": (self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
            "schedule": (self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
            "warm_up": (0 <= self.warm_up < self.epochs, "0 or more, and less than --epochs"),
            "weight_decay": (
                self.weight_decay == 0 or (self.optimizer == "sgd" and 0 < self.weight_decay < 1),
                "0, or with --optimizer sgd below 1",
            ),
            "average": (0 <= self.average < 1, "0 (none) or more, and below 1"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "0 or more, and below 1"),
            "mixup": (
                self.mixup == 0 or (one_head and 0 < self.mixup < float("inf")),
                f"0 (none), or with a --network other than {MULTI_HEAD} more",
            ),
            "balance": (
                self.balance == 0 or (one_head and 0 < self.balance <= 1),
                f"0, or with a --network other than {MULTI_HEAD} at most 1",
            ),
            "crowd": (0 <= self.crowd <= 1, "from 0 to 1"),
            "seed": (self.seed >= 0, "0 or more"),
            "mean": (0 <= self.mean <= 1, "from 0 to 1"),
            "std": (0 < self.std < float("inf"), "above 0"),
            "limit": (self.limit >= 0, "0 (all) or more"),
            "drop": (set(self.drop) <= set(DROPS), f"some of {', '.join(DROPS)}"),
            "photo_weight": (0 < self.photo_weight < float("inf"), "above 0"),
            "rare": (0 <= self.rare <= 1, "from 0 to 1"),
            "teachers": (
                one_head or not self.teachers,
                f"left out for --network {MULTI_HEAD}, whose heads learn from labels alone",
            ),
            "teaching": (
                0 <= self.teaching <= 1 and bool(self.teaching) == bool(self.teachers),
                "0, or with --teachers above 0 and at most 1",
            ),
            "votes": (
                bool(self.votes) or not (self.crowd or "not_a_face" in self.drop),
                "given for --crowd and for --drop not_a_face",
            ),
        }

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON and checkpoints hold it."""
        return dataclasses.asdict(self) | {"drop": list(self.drop), "teachers": list(self.teachers)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """The recipe that a checkpoint holds; a knob that it does not know yet takes its default.

        Raises:
            ConfigError: it holds a knob that this version does not know, or a value outside its range.
        """
        values = {name: value for name, value in values.items() if name not in FORMER}
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise ConfigError(f"the recipe has {', '.join(unknown)}, which this version does not know: use a newer one")
        return cls(**values)

    @classmethod
    def of_run(cls, run: Path) -> Config:
        """The recipe in a run directory's config.json, which holds more than knobs.

        Raises:
            ConfigError: there is none, or it is no recipe.
        """
        try:
            content = json.loads((run / "config.json").read_text(encoding="utf-8"))
            return cls(**{name: value for name, value in content.items() if name in cls.__dataclass_fields__})
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigError(f"{run} holds no config.json of training.expression.train: {error}") from error


PRESETS = {
    "study": Config(),
    "modern": Config(
        network="multihead",
        drop=("blank", "judged"),
        augment=True,
        epochs=150,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        schedule="cosine",
        warm_up=2.0,
        weight_decay=5e-4,
        average=0.998,
        label_smoothing=0.1,
        rare=0.25,
    ),
    "smoke": Config(epochs=2, batch_size=32, limit=84),
}
PRESET_HELP = {
    "study": "the original study's recipe to the letter: SimpleCNN, cross entropy, Adam, 50 epochs",
    "modern": "a head for each source of labels, augmented anew in every epoch; --votes FILE --crowd 0.5 for FER+'s",
    "smoke": "two epochs on few pictures: whether everything runs, not how well",
}

USAGE = """\
examples:
  the whole kit in a minute, without any data
    python -m training.expression.train --smoke
  does it learn? (a minute)
    python -m training.expression.train --data fer2013 --out runs/try --epochs 1 --limit 2000
  the study, 50 epochs
    python -m training.expression.train --preset study --data fer2013 --out runs/study
  goes on where it stopped
    python -m training.expression.train --data fer2013 --out runs/study --resume
  a flag over the preset
    python -m training.expression.train --data fer2013 --out runs/clean --drop duplicates,conflicts
  fine-tunes on your pictures
    python -m training.expression.train --data mine --out runs/mine --start simplecnn --epochs 5
  on four GPUs
    torchrun --nproc-per-node 4 -m training.expression.train --data fer2013 --out runs/study
  watch them all
    tensorboard --logdir runs

presets:
{presets}
"""


def parse(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; knobs that were not given are not in it. An unknown flag ends the program with status 2."""
    presets = "\n".join(f"  {name:<8}{help_}" for name, help_ in PRESET_HELP.items())
    parser = argparse.ArgumentParser(
        prog="python -m training.expression.train",
        description="Trains an emotion classifier: data and a recipe in, one run directory out.",
        epilog=USAGE.format(presets=presets),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # a shortened flag is an unknown one: it may mean another knob tomorrow
        argument_default=argparse.SUPPRESS,
    )
    _add_places(parser)
    recipe = parser.add_argument_group("the recipe")
    recipe.add_argument("--preset", choices=PRESETS, help="where the knobs below start from (study); see the end")
    for group in (NETWORK, DATA, OPTIMISATION):
        section = parser.add_argument_group(group)
        for field in dataclasses.fields(Config):
            if field.metadata["group"] == group:
                _add_knob(section, field)
    arguments = parser.parse_args(given)
    if not arguments.smoke and not (arguments.data and arguments.out):
        parser.error("--data and --out are needed (only --smoke goes without): where the pictures are, where to write")
    if arguments.smoke and (arguments.resume or asked(arguments)):
        parser.error("--smoke has its own recipe and no --resume: of the flags it takes --data, --out and --device")
    return arguments


def _add_places(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("what and where")
    data = "a folder of pictures, fer2013.csv, or kaggle; for a network of several heads further folders of photos"
    where.add_argument("--data", type=Path, nargs="+", default=[], help=data)
    where.add_argument("--out", type=Path, default=None, help="the run directory to write; it holds one run")
    resume = "go on with the run in --out, by the recipe in its checkpoint, to the result it would have had"
    where.add_argument("--resume", action="store_true", default=False, help=resume)
    smoke = "run the whole kit on little data, from a look at them to a labelled photo; with --data, on a few of those"
    where.add_argument("--smoke", action="store_true", default=False, help=smoke)
    machine = parser.add_argument_group("the machine (changes nothing in the recipe)")
    machine.add_argument(
        "--device", choices=DEVICES, default="auto", help="auto takes the fastest there is (%(default)s)"
    )
    figures = "draw the figures when the run has ended, into --out/figures"
    machine.add_argument("--figures", action=argparse.BooleanOptionalAction, default=True, help=figures)


def _add_knob(section: argparse._ArgumentGroup, field: dataclasses.Field[Any]) -> None:
    values = {name: getattr(preset, field.name) for name, preset in PRESETS.items()}
    others = [f"{name}: {value}" for name, value in values.items() if value != field.default]
    of_study = "none" if field.default in ((), "") else field.default
    shown = f"{field.metadata['help']} ({'; '.join([f'study: {of_study}', *others])})"
    if isinstance(field.default, bool):
        section.add_argument(flag(field.name), action=argparse.BooleanOptionalAction, help=shown.replace("%", "%%"))
        return
    kind = names if isinstance(field.default, tuple) else type(field.default)
    metavar = METAVARS.get(field.name) or {int: "N", float: "X", tuple: "LIST"}.get(type(field.default), "NAME")
    section.add_argument(flag(field.name), type=kind, metavar=metavar, help=shown.replace("%", "%%"))


def flag(name: str) -> str:
    """`batch_size` -> `--batch-size`."""
    return f"--{name.replace('_', '-')}"


def names(text: str) -> tuple[str, ...]:
    """`a, b` -> ("a", "b")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """The knobs that the command line sets: all when it names a preset, else those of its flags."""
    flags = {name: value for name, value in vars(arguments).items() if name in Config.__dataclass_fields__}
    return (dataclasses.asdict(PRESETS[arguments.preset]) if "preset" in arguments else {}) | flags


def chosen(arguments: argparse.Namespace) -> Config:
    """The recipe of a new run: the preset, overridden by the flags."""
    return Config(**(dataclasses.asdict(PRESETS["study"]) | asked(arguments)))


def continued(saved: Config, wanted: Mapping[str, Any]) -> Config:
    """The recipe of a run that goes on: the saved one, to as many epochs as are `wanted`.

    Raises:
        ConfigError: another knob is wanted at another value.
    """
    movable = ("epochs", "votes", "teachers")  # a longer run, and files that were moved
    different = [name for name, value in wanted.items() if name not in movable and value != getattr(saved, name)]
    if different:
        names = ", ".join(f"{flag(name)} {json.dumps(getattr(saved, name))}" for name in different)
        raise ConfigError(f"a run goes on with its own recipe, which has {names}: only --epochs may change")
    return dataclasses.replace(saved, **{name: value for name, value in wanted.items() if name in movable})
