"""Trains an emotion classifier: data and a recipe in, one run directory out.

    python -m training.expression.train --smoke  # the whole kit, in a minute
    python -m training.expression.train --preset study --data fer2013 --out runs/study  # the study's recipe, 50 epochs
    python -m training.expression.train --data fer2013 --out runs/study --resume  # goes on where it stopped
    torchrun --nproc-per-node 4 -m training.expression.train --data fer2013 --out runs/study     # on four GPUs

`--help` explains every knob; training/expression/config.py holds them and the presets, training/expression/run_dir.py
says which files come out. On a CPU the same recipe and data give the same run to the last bit, also when it was stopped
and resumed on the way; GPUs add up in an order of their own, and differ by rounding.
"""

from __future__ import annotations

import math
import random
import shlex
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from training.common import duplicates, provenance
from training.common.cli_errors import explained
from training.common.devices import choose_device, has_bf16_units, precision_of
from training.common.errors import DataError
from training.common.files import write_json
from training.expression import ablation_networks, initial_weights, networks
from training.expression.config import Config, asked, chosen, continued, parse
from training.expression.data import mixture
from training.expression.data.dataset import Split
from training.expression.data.epoch_data import Lessons
from training.expression.data.run_data import inputs_of, load_training, load_validation
from training.expression.distributed import World, batches
from training.expression.evaluation import evaluate
from training.expression.figures import run_figures
from training.expression.inference import as_input, predict, to_device
from training.expression.optim import (
    average_of,
    losses_of,
    mixed,
    optimizer_for,
    right_answers,
    set_step_size,
    step_size,
)
from training.expression.run_dir import Board, Row, RunDirectory
from training.expression.winograd import use_winograd

SHOW_EVERY = 20  # steps: asking a GPU for the loss makes it wait


def main() -> None:
    arguments = parse()
    try:
        with explained():
            if arguments.smoke:
                # By its name: training.smoke stands above this module, and imports it.
                import_module("training.smoke").run(arguments.out, next(iter(arguments.data), None), arguments.device)
                return
            config = continued(saved_config(arguments.out), asked(arguments)) if arguments.resume else chosen(arguments)
            data, *photos = arguments.data
            options = {"device": arguments.device, "draw": arguments.figures, "photos": photos}
            train(config, data, arguments.out, arguments.resume, **options)
    except KeyboardInterrupt:
        if World.from_environment().is_first:
            print(f"\n{how_to_go_on(arguments.data, arguments.out)}", file=sys.stderr)
        sys.exit(130)


def train(
    config: Config,
    data: Path,
    out: Path,
    resume: bool = False,
    *,
    device: str = "auto",
    draw: bool = False,
    photos: Sequence[Path] = (),
) -> dict[str, Any]:
    """Runs a recipe, or its part of it where torchrun started several processes.

    Args:
        config: the recipe; with `resume` only its epochs, votes and teachers count, the rest is the checkpoint's.
        data: as for `training.expression.data.dataset.load_split`.
        out: the run directory.
        resume: go on with the run in `out`.
        device: one of `training.common.devices.DEVICES`.
        draw: make the figures when the run has ended.
        photos: trees of photos, for a network of several heads.

    Returns:
        what metrics.json holds.

    Raises:
        DataError: the data, the recipe, the device or the directory won't do.
    """
    if photos and config.network != networks.MULTI_HEAD:
        raise DataError(f"{config.network} has a single head: several sources of --data need --network multihead")
    world = World.from_environment()
    where = choose_device(device, world.local_rank)
    if resume:
        wanted = {"epochs": config.epochs, "votes": config.votes, "teachers": config.teachers}
        config = continued(saved_config(out), {name: value for name, value in wanted.items() if value})
    else:
        RunDirectory(out).check_free()
    with world.joined(where):
        splits = load_training(config, data, not world.is_first), load_validation(config, data, photos)
        run = Run(config, out, where, world, resume)
        lessons = inputs_of(config, splits[0], photos, where)
        if isinstance(run.network, networks.MultiHeadNet) and not resume:
            mixture.set_mix(run.network, config, len(photos))
        run.write_start(splits[1], [teacher.pin for teacher in lessons.teachers])
        if world.is_first:
            print(f"{len(lessons):,} pictures to learn from, {len(splits[1]):,} to judge on, {run.how()}", flush=True)
        try:
            fit(run, lessons, to_device(splits[1], config, where))
        finally:
            run.close()
    return finish(run, *splits, draw=draw) if world.is_first else {}


class Run:
    """A network and its optimizer, how far they have come, and the directory they are kept in."""

    def __init__(self, config: Config, out: Path, device: torch.device, world: World, resume: bool) -> None:
        self.config, self.device, self.world = config, device, world
        self.directory = RunDirectory(out)
        self.epoch, self.history = 0, list[Row]()
        torch.manual_seed(config.seed)
        network = ablation_networks.build(config.network)
        self.begun_from = initial_weights.begin(network, config) if config.start and not resume else ""
        self.network = network.to(device, memory_format=torch.channels_last)
        if device.type == "cpu" and not has_bf16_units():
            use_winograd(self.network)
        torch.backends.cudnn.benchmark = device.type == "cuda"  # all batches but the last are of one size
        self.optimizer = optimizer_for(config, self.network)
        self.average = average_of(self.network, config.average) if config.average else None
        self.precision = precision_of(device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision.scaled)
        if resume:
            self.load(self.directory.read_checkpoint(device))
        self.parallel = world.wrap(self.network, device)
        self.board: Board | None = None

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Goes back to where a checkpoint was written."""
        self.network.load_state_dict(checkpoint["network"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        if self.average:
            self.average.load_state_dict(checkpoint["average"])
        if checkpoint.get("scaler"):
            self.scaler.load_state_dict(checkpoint["scaler"])
        self.epoch, self.history = checkpoint["epoch"], checkpoint["history"]
        self.begun_from = checkpoint.get("begun_from", "")

    def state(self) -> dict[str, Any]:
        """What `load` takes, with the recipe."""
        return {
            "config": self.config.to_dict(),
            "epoch": self.epoch,
            "history": self.history,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "scaler": self.scaler.state_dict(),
            "begun_from": self.begun_from,
        }

    @property
    def judged(self) -> torch.nn.Module:
        """The network whose answers count: the one that is trained, or the running average of its weights."""
        return self.average.module if self.average else self.network

    def write_start(self, validation: Split, teachers: Sequence[str]) -> None:
        """The recipe with what pins its teachers, what it runs on, the pictures it is judged on, the curves so far."""
        if self.world.is_first:
            self.directory.check_judged(validation)
            recipe = self.config.to_dict() | {"start": self.begun_from, "teachers": list(teachers)}
            environment = provenance.environment(self.device) | {
                "seed": self.config.seed,
                "processes": self.world.size,
                "precision": str(self.precision.dtype).removeprefix("torch."),
                "epochs_before": self.epoch,
            }
            self.directory.write_start(recipe, environment, validation, self.history)
            self.board = Board(self.directory.folder / "tensorboard", recipe, self.history)

    def how(self) -> str:
        """What is trained, from where, and what it runs on, in words."""
        start = f" from {self.begun_from}" if self.begun_from else ""
        return f"{self.config.network}{start} on {self.device} in {str(self.precision.dtype).removeprefix('torch.')}"

    def close(self) -> None:
        """Ends the curves' file."""
        if self.board:
            self.board.close()

    def finish_epoch(self, row: Row, logits: Tensor) -> None:
        """Records an epoch, keeps the best weights, and makes the run resumable from here."""
        former = max((r["validation_accuracy"] for r in self.history), default=-1.0)
        self.epoch = int(row["epoch"])
        self.history.append(row)
        self.directory.write_epoch(
            logits.cpu(), self.state(), self.judged.state_dict() if row["validation_accuracy"] > former else None
        )
        if self.board:
            self.board.add(row)
        print(", ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)


def fit(run: Run, lessons: Lessons | mixture.Mixture, validation: tuple[Tensor, Tensor]) -> None:
    """Trains from where the run stands to its last epoch; the first process judges and writes after each."""
    for epoch in range(run.epoch + 1, run.config.epochs + 1):
        started = time.perf_counter()
        seed_everything(run.config.seed, epoch)
        loss, accuracy = train_epoch(run, lessons, epoch)
        if run.world.is_first:
            pictures, labels = validation
            slow = run.device.type == "cpu"  # a GPU judges in float32, as it is served
            logits = predict(run.judged, pictures, slow and run.precision.dtype is torch.bfloat16)
            row = {
                "epoch": epoch,
                "train_loss": loss,
                "train_accuracy": accuracy,
                "validation_loss": functional.cross_entropy(logits, labels).item(),
                "validation_accuracy": (logits.argmax(1) == labels).sum().item() / len(labels),
                "seconds": time.perf_counter() - started,
            }
            run.finish_epoch(row, logits)


def train_epoch(run: Run, lessons: Lessons | mixture.Mixture, epoch: int) -> tuple[float, float]:
    """One pass over the training pictures in random order; returns the mean loss and accuracy on the way."""
    run.parallel.train()
    title = f"epoch {epoch}/{run.config.epochs}"
    order = batches(lessons.rows(), run.config.batch_size, run.world)  # drawn alike in every process, unlike dropout
    if run.world.rank:
        torch.manual_seed(torch.initial_seed() + (run.world.rank << 32))
    sums = torch.zeros(2, device=run.device)
    silent = not run.world.is_first
    with tqdm(total=len(lessons), desc=title, unit=" pictures", mininterval=5, leave=False, disable=silent) as bar:
        for number, batch in enumerate(order):
            rows = run.world.share(batch)
            progress = (epoch - 1 + number / len(order)) / run.config.epochs
            set_step_size(run.optimizer, step_size(run.config, progress))
            sums += step(run, lessons, rows, len(batch))
            bar.update(len(batch))
            if number % SHOW_EVERY == 0 and not silent:
                bar.set_postfix(loss=f"{sums[0].item() * run.world.size / bar.n:.3f}", refresh=False)
    loss, right = run.world.total(sums).tolist()
    if not math.isfinite(loss):  # in all processes alike
        raise DataError(
            f"epoch {epoch} ended without a finite loss: the weights have run away, try a smaller --learning-rate"
        )
    return loss / len(lessons), right / len(lessons)


def step(run: Run, lessons: Lessons | mixture.Mixture, rows: Tensor, batch_rows: int) -> Tensor:
    """One step of the optimizer on this process's share of a batch; returns its summed loss and its right answers."""
    of_heads = isinstance(lessons, mixture.Mixture)
    losses, right = answers_of_heads(run, lessons, rows) if of_heads else answers(run, lessons, rows)
    run.optimizer.zero_grad(set_to_none=True)
    run.scaler.scale(run.world.loss(losses, batch_rows)).backward()
    run.scaler.step(run.optimizer)
    run.scaler.update()
    if run.average:
        run.average.update_parameters(run.network)
    return torch.stack([losses.detach().sum(), right])


def answers(run: Run, lessons: Lessons, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The losses [n] of the rows, and how many answers are right."""
    pictures, targets = lessons.batch(rows)
    if run.config.mixup:
        pictures, targets = mixed(pictures, targets, run.config.mixup)
    logits = forward(run, pictures)
    return losses_of(logits, targets, run.config, lessons.prior), right_answers(logits, targets)


def answers_of_heads(run: Run, sources: mixture.Mixture, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Likewise for a network of several heads."""
    batch = sources.batch(rows)
    logits = forward(run, batch.pictures)
    return mixture.losses_of_heads(logits, batch), mixture.right_of_heads(logits, batch)


def forward(run: Run, pictures: Tensor) -> Tensor:
    """Logits of normalised pictures, computed in the run's numbers."""
    with run.precision.autocast(run.device.type):
        logits: Tensor = run.parallel(as_input(pictures, run.network))
    return logits


def finish(run: Run, training: Split, validation: Split, draw: bool) -> dict[str, Any]:
    """Judges the best epoch and the last, writes metrics.json, and draws."""
    fresh = ~duplicates.stand_in(validation.pictures, training.pictures)
    best = max(run.history, key=lambda row: row["validation_accuracy"])

    def judged(epoch: float) -> dict[str, Any]:
        return evaluate.judge(run.directory.logits(int(epoch)), validation.labels, fresh=fresh)

    metrics = {
        "best": best,
        "last_five": run.history[-5:],
        "best_epoch": judged(best["epoch"]),
        "last_epoch": judged(run.epoch),
        "pictures": {"training": training.counts(), "validation": validation.counts()},
        "parameters": networks.count_parameters(run.network),
        "seconds": sum(row["seconds"] for row in run.history),
    }
    write_json(run.directory.folder / "metrics.json", metrics)
    if draw:
        run_figures.draw_finished(run.directory.folder, training, validation)
    right = f"{best['validation_accuracy']:.1%} of {len(validation):,} pictures right"
    print(f"done: best in epoch {best['epoch']:.0f}, {right}; all of it is in {run.directory.folder}", flush=True)
    return metrics


def saved_config(out: Path) -> Config:
    """The recipe of the run in `out`."""
    return Config.from_dict(RunDirectory(out).read_checkpoint(torch.device("cpu"))["config"])


def seed_everything(seed: int, epoch: int) -> None:
    """Each epoch starts from its own seed, so that a resumed run draws what an uninterrupted one would have."""
    random.seed(seed * 100_003 + epoch)
    torch.manual_seed(seed * 100_003 + epoch)


def how_to_go_on(data: Sequence[Path], out: Path | None) -> str:
    """What to tell a person who pressed Ctrl-C."""
    if out is None or not RunDirectory(out).last.exists():
        return "Stopped before an epoch was finished: there is nothing to go on from; give the same command again."
    epoch = RunDirectory(out).read_checkpoint(torch.device("cpu"))["epoch"]
    command = shlex.join(
        ["python", "-m", "training.expression.train", "--data", *map(str, data), "--out", str(out), "--resume"]
    )
    return f"Stopped. What was done up to epoch {epoch} is kept; go on with\n  {command}"


if __name__ == "__main__":
    main()
