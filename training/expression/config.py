"""The recipe of a run, its presets, and the command line that is generated from it.

The default of a knob is the behaviour of runs that were made before the knob existed, and `FORMER` holds the former
names of knobs: old checkpoints and run directories still load. Flags of the command line override a preset.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.common.devices import DEVICES
from training.common.errors import DataError
from training.common.knobs import Former, add_knobs, current_names, flag, knob, known_values, with_current_flags
from training.expression.ablation_networks import TRAINED_ONLY
from training.expression.data.dataset import DROPS
from training.expression.networks import MULTI_HEAD, NETWORKS


class ConfigError(DataError):
    """The run cannot be as it was asked for; the message says which knob and what it takes."""


NETWORK, DATA, OPTIMISATION = "the network", "the data", "the optimisation"
OPTIMIZERS, SCHEDULES = ("adam", "sgd"), ("constant", "cosine")
FORMER: Former = {
    "views": None,  # chose a cache of augmented pictures; augmentation is computed anew in every epoch since
    "crowd": "ferplus_weight",
    "teaching": "distillation_weight",
    "rare": "rare_class_sampling",
    "average": "ema_decay",
    "start": "init_weights",
    "warm_up": "warmup_epochs",
}
MOVABLE = ("epochs", "votes", "teachers", "unlabelled")  # what --resume may change: a longer run, files that moved
FORMER_DROPS = {"judged": "other_splits"}


@dataclass(frozen=True)
class Config:
    """The recipe of a run: everything that determines its result, and nothing about the machine it runs on.

    Raises:
        ConfigError: a value is outside what the knob takes.
    """

    network: str = knob(
        "simplecnn",
        NETWORK,
        f"Architecture, from training/expression/networks.py: {', '.join(NETWORKS)}; or one that is only trained, from "
        f"training/expression/ablation_networks.py: {', '.join(TRAINED_ONLY)}.",
    )
    init_weights: str = knob(
        "",
        NETWORK,
        "Published weights of the same network to start from: a model folder, the name of embedded ones, or "
        "owner/name[@revision[#sha256]] on the Hub.",
        metavar="FOLDER_OR_REFERENCE",
    )
    train_split: str = knob("train", DATA, "Split to train on: the name of its folder.")
    validation_split: str = knob(
        "validation", DATA, "Split to validate on after each epoch; it selects the best epoch."
    )
    drop: tuple[str, ...] = knob((), DATA, f"Training images to leave out, separated by commas: {', '.join(DROPS)}.")
    votes: str = knob(
        "", DATA, "The votes of FER+, fer2013new.csv, for --ferplus-weight and --drop not_a_face.", metavar="FILE"
    )
    limit: int = knob(0, DATA, "Images of each split to use, drawn with the seed; 0 takes all.")
    augment: bool = knob(False, DATA, "Augment every image: crop, rotation, light, blur, noise, compression, erasing.")
    photo_weight: float = knob(
        1.0, DATA, "Of multihead: sampling weight of photos of the further --data, relative to images of the first."
    )
    rare_class_sampling: float = knob(
        0.0, DATA, "Exponent, 0..1, of the inverse class frequency by which images are sampled; 0: each once."
    )
    ferplus_weight: float = knob(
        0.0, DATA, "Weight of the votes of FER+ in the targets, 0..1, beside the label of FER2013; needs --votes."
    )
    teachers: tuple[str, ...] = knob(
        (),
        DATA,
        "Run directories, separated by commas, whose best networks are distilled; of multihead runs for multihead.",
        metavar="RUNS",
    )
    distillation_weight: float = knob(
        0.0, DATA, "Weight of the teachers' probabilities in the targets, 0..1; needs --teachers."
    )
    unlabelled: str = knob(
        "",
        DATA,
        "Of multihead: a folder of face pictures whose targets are the teachers' probabilities alone, as "
        "training.expression.data.unlabelled writes them; needs --teachers.",
        metavar="FOLDER",
    )
    mean: float = knob(0.5, DATA, "Grey level, on the scale 0..1, that is normalised to 0.")
    std: float = knob(0.25, DATA, "Difference of grey levels, on the scale 0..1, that is normalised to 1.")
    epochs: int = knob(50, OPTIMISATION, "Passes over the training images; may be more on --resume.")
    # The study does not state its batch size.
    batch_size: int = knob(64, OPTIMISATION, "Images per step of the optimizer, over all processes together.")
    optimizer: str = knob("adam", OPTIMISATION, "adam, or sgd with Nesterov momentum.")
    learning_rate: float = knob(1e-4, OPTIMISATION, "Learning rate; with a schedule its largest value.")
    schedule: str = knob("constant", OPTIMISATION, "Schedule of the learning rate: constant, or cosine down to 0.")
    warmup_epochs: float = knob(0.0, OPTIMISATION, "Epochs in which a cosine schedule first rises linearly from 0.")
    weight_decay: float = knob(0.0, OPTIMISATION, "Weight decay of sgd.")
    ema_decay: float = knob(
        0.0, OPTIMISATION, "Validate and keep an exponential moving average of the weights with this decay; 0: none."
    )
    label_smoothing: float = knob(0.0, OPTIMISATION, "Share of each target that is spread over all classes.")
    mixup: float = knob(0.0, OPTIMISATION, "Mix pairs of images with shares from Beta(X, X); 0: none.")
    balance: float = knob(0.0, OPTIMISATION, "Strength of the logit adjustment for rare classes, 0..1.")
    seed: int = knob(0, OPTIMISATION, "Random seed of the first weights, the order of images, dropout and --limit.")

    def __post_init__(self) -> None:
        for name in ("drop", "teachers"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON has only lists
        object.__setattr__(self, "drop", tuple(FORMER_DROPS.get(name, name) for name in self.drop))
        for name, (holds, accepted) in self._conditions().items():
            if not holds:
                raise ConfigError(f"{flag(name)} must be {accepted}, but is {getattr(self, name)!r}")

    def _conditions(self) -> dict[str, tuple[bool, str]]:
        one_head = self.network != MULTI_HEAD
        return {
            "network": (self.network in {*NETWORKS, *TRAINED_ONLY}, f"one of {', '.join([*NETWORKS, *TRAINED_ONLY])}"),
            "epochs": (self.epochs >= 1, "1 or more"),
            "batch_size": (self.batch_size >= 2, "2 or more: batch norm cannot train on a single picture"),
            "learning_rate": (0 < self.learning_rate < float("inf"), "above 0"),
            "optimizer": (self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
            "schedule": (self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
            "warmup_epochs": (0 <= self.warmup_epochs < self.epochs, "0 or more, and less than --epochs"),
            "weight_decay": (
                self.weight_decay == 0 or (self.optimizer == "sgd" and 0 < self.weight_decay < 1),
                "0, or with --optimizer sgd below 1",
            ),
            "ema_decay": (0 <= self.ema_decay < 1, "0 (none) or more, and below 1"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "0 or more, and below 1"),
            "mixup": (
                self.mixup == 0 or (one_head and 0 < self.mixup < float("inf")),
                f"0 (none), or with a --network other than {MULTI_HEAD} more",
            ),
            "balance": (
                self.balance == 0 or (one_head and 0 < self.balance <= 1),
                f"0, or with a --network other than {MULTI_HEAD} at most 1",
            ),
            "ferplus_weight": (0 <= self.ferplus_weight <= 1, "from 0 to 1"),
            "seed": (self.seed >= 0, "0 or more"),
            "mean": (0 <= self.mean <= 1, "from 0 to 1"),
            "std": (0 < self.std < float("inf"), "above 0"),
            "limit": (self.limit >= 0, "0 (all) or more"),
            "drop": (set(self.drop) <= set(DROPS), f"some of {', '.join(DROPS)}"),
            "photo_weight": (
                self.photo_weight == 1 or (not one_head and 0 < self.photo_weight < float("inf")),
                f"1, or with --network {MULTI_HEAD} above 0",
            ),
            "rare_class_sampling": (0 <= self.rare_class_sampling <= 1, "from 0 to 1"),
            "distillation_weight": (
                0 <= self.distillation_weight <= 1 and bool(self.distillation_weight) == bool(self.teachers),
                "0, or with --teachers above 0 and at most 1",
            ),
            "unlabelled": (
                not self.unlabelled or (not one_head and bool(self.teachers)),
                f"left out, or given with --network {MULTI_HEAD} and --teachers",
            ),
            "votes": (
                bool(self.votes) or not (self.ferplus_weight or "not_a_face" in self.drop),
                "given for --ferplus-weight and for --drop not_a_face",
            ),
        }

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON and checkpoints hold it."""
        return dataclasses.asdict(self) | {"drop": list(self.drop), "teachers": list(self.teachers)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """The recipe of a checkpoint of any version; knobs that it does not have take their defaults.

        Raises:
            ConfigError: it holds a knob that this version does not know, or a value outside its range.
        """
        values = current_names(values, FORMER)
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise ConfigError(f"the recipe has {', '.join(unknown)}, which this version does not know: use a newer one")
        return cls(**values)

    @classmethod
    def of_run(cls, run: Path) -> Config:
        """The recipe in the config.json of a run directory of any version.

        Raises:
            ConfigError: there is none, or it is no recipe.
        """
        try:
            content = json.loads((run / "config.json").read_text(encoding="utf-8"))
            return cls(**known_values(current_names(content, FORMER), cls))
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigError(f"{run} holds no config.json of training.expression.train: {error}") from error


PRESETS = {
    "study": Config(),
    "modern": Config(
        network="multihead",
        drop=("blank", "other_splits"),
        augment=True,
        epochs=150,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        schedule="cosine",
        warmup_epochs=2.0,
        weight_decay=5e-4,
        ema_decay=0.998,
        label_smoothing=0.1,
        rare_class_sampling=0.25,
    ),
    "smoke": Config(epochs=2, batch_size=32, limit=84),
}
PRESET_HELP = {
    "study": "the recipe of the original study: SimpleCNN, cross entropy, Adam, 50 epochs",
    "modern": "a head for each source of labels, with augmentation; for FER+: --votes FILE --ferplus-weight 0.5",
    "smoke": "two epochs on a few images: tests that everything runs",
}

USAGE = """\
examples:
  every step of the kit in a minute, without data
    python -m training.expression.train --smoke
  a short run (a minute)
    python -m training.expression.train --data fer2013 --out runs/try --epochs 1 --limit 2000
  the study, 50 epochs
    python -m training.expression.train --preset study --data fer2013 --out runs/study
  resume a run
    python -m training.expression.train --data fer2013 --out runs/study --resume
  a preset with one option changed
    python -m training.expression.train --data fer2013 --out runs/clean --drop duplicates,conflicts
  fine-tune on your images
    python -m training.expression.train --data mine --out runs/mine --init-weights simplecnn --epochs 5
  on four GPUs
    torchrun --nproc-per-node 4 -m training.expression.train --data fer2013 --out runs/study
  compare runs
    tensorboard --logdir runs

presets:
{presets}
"""


def parse(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; knobs that were not given are left out, and unknown flags exit with status 2."""
    presets = "\n".join(f"  {name:<8}{help_}" for name, help_ in PRESET_HELP.items())
    parser = argparse.ArgumentParser(
        prog="python -m training.expression.train",
        description="Trains an expression classifier: data and a recipe in, one run directory out.",
        epilog=USAGE.format(presets=presets),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # a shortened flag is an unknown one: it may mean another knob tomorrow
        argument_default=argparse.SUPPRESS,
    )
    _add_places(parser)
    recipe = parser.add_argument_group("the recipe")
    recipe.add_argument(
        "--preset", choices=PRESETS, help="default values of the options below (study); listed at the end"
    )
    for group in (NETWORK, DATA, OPTIMISATION):
        add_knobs(parser.add_argument_group(group), Config, group, _described)
    arguments = parser.parse_args(with_current_flags(sys.argv[1:] if given is None else given, FORMER))
    if not arguments.smoke and not (arguments.data and arguments.out):
        parser.error("--data and --out are required, except with --smoke: where the images are, and where to write")
    if arguments.smoke and (arguments.resume or given_knobs(arguments)):
        parser.error("--smoke has its own recipe and no --resume: of the flags it takes --data, --out and --device")
    return arguments


def _add_places(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("what and where")
    data = "a folder of images, fer2013.csv, or kaggle; for a network of several heads also folders of photos"
    where.add_argument("--data", type=Path, nargs="+", default=[], help=data)
    where.add_argument("--out", type=Path, default=None, help="the run directory to write; it holds one run")
    resume = "continue the run in --out with the recipe of its checkpoint"
    where.add_argument("--resume", action="store_true", default=False, help=resume)
    smoke = "run every step of the kit on a few images; with --data on a few of those"
    where.add_argument("--smoke", action="store_true", default=False, help=smoke)
    machine = parser.add_argument_group("the machine (not part of the recipe)")
    machine.add_argument(
        "--device", choices=DEVICES, default="auto", help="auto takes the fastest available (%(default)s)"
    )
    figures = "draw the figures into --out/figures at the end of the run"
    machine.add_argument("--figures", action=argparse.BooleanOptionalAction, default=True, help=figures)


def _described(field: dataclasses.Field[Any]) -> str:
    """The help of a knob, with its value in each preset that changes it."""
    values = {name: getattr(preset, field.name) for name, preset in PRESETS.items()}
    others = [f"{name}: {value}" for name, value in values.items() if value != field.default]
    of_study = "none" if field.default in ((), "") else field.default
    return f"{field.metadata['help']} ({'; '.join([f'study: {of_study}', *others])})"


def given_knobs(arguments: argparse.Namespace) -> dict[str, Any]:
    """The knobs that the command line sets: all when it names a preset, else those of its flags."""
    flags = known_values(vars(arguments), Config)
    return (dataclasses.asdict(PRESETS[arguments.preset]) if "preset" in arguments else {}) | flags


def new_config(arguments: argparse.Namespace) -> Config:
    """The recipe of a new run: the preset, overridden by the flags."""
    return Config(**(dataclasses.asdict(PRESETS["study"]) | given_knobs(arguments)))


def resumed_config(saved: Config, wanted: Mapping[str, Any]) -> Config:
    """The recipe of a run that goes on: the saved one, to as many epochs as are `wanted`.

    Raises:
        ConfigError: another knob is wanted at another value.
    """
    different = [name for name, value in wanted.items() if name not in MOVABLE and value != getattr(saved, name)]
    if different:
        names = ", ".join(f"{flag(name)} {json.dumps(getattr(saved, name))}" for name in different)
        kept = ", ".join(map(flag, MOVABLE))
        raise ConfigError(f"a run goes on with its own recipe, which has {names}: only {kept} may change")
    return dataclasses.replace(saved, **{name: value for name, value in wanted.items() if name in MOVABLE and value})
