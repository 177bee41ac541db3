"""The state of a run: network, optimizer, history, and the directory that they are saved in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.common import provenance
from training.common.devices import precision_of
from training.common.errors import DataError
from training.expression import ablation_networks, initial_weights, networks
from training.expression.config import Config
from training.expression.data.dataset import Split
from training.expression.distributed import DistributedContext
from training.expression.optim import ema_of, make_optimizer
from training.expression.run_dir import Row, RunDirectory, TensorBoardLog


class Run:
    """A network in training, with its optimizer, history and run directory.

    Args:
        config: the recipe.
        out: the run directory.
        device: where it trains.
        context: the processes of the run.
        resume: continue from the last checkpoint in `out`.

    Raises:
        DataError: the checkpoint or the initial weights cannot be loaded.
    """

    def __init__(
        self, config: Config, out: Path, device: torch.device, context: DistributedContext, resume: bool
    ) -> None:
        self.config, self.device, self.context = config, device, context
        self.directory = RunDirectory(out)
        self.epoch, self.history = 0, list[Row]()
        self.training: dict[str, Any] = {}
        torch.manual_seed(config.seed)
        network = ablation_networks.build(config.network)
        begins = bool(config.init_weights) and not resume
        self.initial_weights_pin = initial_weights.load_initial(network, config) if begins else ""
        self.terms = initial_weights.terms(config) if begins else ""
        self.network = networks.channels_last(network, device)
        torch.backends.cudnn.benchmark = device.type == "cuda"  # all batches but the last are of one size
        self.optimizer = make_optimizer(config, self.network)
        self.ema = ema_of(self.network, config.ema_decay) if config.ema_decay else None
        self.precision = precision_of(device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision.scaled)
        if resume:
            self.load(self.directory.read_checkpoint(device))
        self.parallel = context.wrap(self.network, device)
        self.board: TensorBoardLog | None = None

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Restore the state of a checkpoint, also of one that an earlier version wrote."""
        self.network.load_state_dict(checkpoint["network"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        if self.ema:
            self.ema.load_state_dict(checkpoint["ema" if "ema" in checkpoint else "average"])
        if checkpoint.get("scaler"):
            self.scaler.load_state_dict(checkpoint["scaler"])
        self.epoch, self.history = checkpoint["epoch"], checkpoint["history"]
        self.initial_weights_pin = checkpoint.get("initial_weights_pin", checkpoint.get("begun_from", ""))
        self.training, self.terms = checkpoint.get("training", {}), checkpoint.get("terms", "")

    def check_training(self, digest: str, teachers: Sequence[str]) -> None:
        """Record what the run learns from, and compare it with what a resumed run learned from so far.

        Args:
            digest: of the training images.
            teachers: the pins of the networks that are distilled; their folders may have moved.

        Raises:
            DataError: it is something else; checkpoints of versions that did not record it are taken as they are.
        """
        training = {"images": digest, "teachers": [pin.partition("#")[2] for pin in teachers]}
        different = [name for name, value in training.items() if self.training.get(name, value) != value]
        if different:
            raise DataError(
                f"the run in {self.directory.folder} learned from other {' and '.join(different)} so far: give the "
                "--data, --teachers and --unlabelled it began with"
            )
        self.training = training

    def add_terms(self, *terms: str) -> None:
        """Take over the terms of use of what the run learns from; they come with its weights."""
        for one in terms:
            if one not in self.terms:  # a resumed run holds them already
                self.terms = f"{self.terms} {one}".lstrip()

    def state(self) -> dict[str, Any]:
        """The checkpoint that `load` restores, with the recipe."""
        return {
            "config": self.config.to_dict(),
            "epoch": self.epoch,
            "history": self.history,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "scaler": self.scaler.state_dict(),
            "initial_weights_pin": self.initial_weights_pin,
            "training": self.training,
            "terms": self.terms,
        }

    @property
    def eval_network(self) -> torch.nn.Module:
        """The network that is validated and saved: the moving average of the weights, if the recipe has one."""
        return self.ema.module if self.ema else self.network

    def write_start(self, validation: Split, teachers: Sequence[str]) -> None:
        """Write the recipe with its pinned teachers, the environment, the validation labels and the history so far."""
        if self.context.is_first:
            self.directory.check_validation(validation)
            recipe = self.config.to_dict() | {"init_weights": self.initial_weights_pin, "teachers": list(teachers)}
            recipe |= {"terms": self.terms} if self.terms else {}
            # Exports publish the recipe: of a path only the name.
            recipe |= {name: recipe[name] and Path(recipe[name]).resolve().name for name in ("votes", "unlabelled")}
            environment = provenance.environment(self.device) | {
                "seed": self.config.seed,
                "processes": self.context.size,
                "precision": str(self.precision.dtype).removeprefix("torch."),
                "epochs_before": self.epoch,
            }
            self.directory.write_start(recipe, environment, validation, self.history)
            self.board = TensorBoardLog(self.directory.folder / "tensorboard", recipe, self.history)

    def how(self) -> str:
        """Describe the network, its initial weights, the device and the precision."""
        start = f" from {self.initial_weights_pin}" if self.initial_weights_pin else ""
        return f"{self.config.network}{start} on {self.device} in {str(self.precision.dtype).removeprefix('torch.')}"

    def close(self) -> None:
        """Close the TensorBoard log."""
        if self.board:
            self.board.close()

    def finish_epoch(self, row: Row, logits: Tensor) -> None:
        """Record an epoch, save the best weights, and write a checkpoint."""
        former = max((quality(r, self.config) for r in self.history), default=-math.inf)
        self.epoch = int(row["epoch"])
        self.history.append(row)
        self.directory.write_epoch(
            logits.cpu(), self.state(), self.eval_network.state_dict() if quality(row, self.config) > former else None
        )
        if self.board:
            self.board.add(row)
        print(", ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)


def quality(row: Row, config: Config) -> float:
    """Figure of an epoch by which the best is chosen, more is better.

    The accuracy, as in the study; of several heads the validation loss, negated: their weights are fitted at export,
    and until then the accuracy of their plain mean says little.
    """
    return -row["validation_loss"] if config.network == networks.MULTI_HEAD else row["validation_accuracy"]
