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

from training.common.cli_errors import exit_on_error
from training.common.devices import choose_device
from training.common.errors import DataError
from training.common.files import write_json
from training.expression import networks
from training.expression.config import MOVABLE, Config, given_knobs, new_config, parse, resumed_config
from training.expression.data import mixture
from training.expression.data.dataset import Split
from training.expression.data.epoch_data import EpochData
from training.expression.data.run_data import epoch_inputs, load_kept_back, load_training, load_validation
from training.expression.data.sources import terms_of_data
from training.expression.distributed import DistributedContext, batches
from training.expression.evaluation import evaluate
from training.expression.inference import as_input, not_learned, predict, to_device
from training.expression.optim import (
    classification_losses,
    count_correct,
    learning_rate_at,
    mixup,
    set_learning_rate,
)
from training.expression.run import Run, quality
from training.expression.run_dir import RunDirectory, terms_of_run

SHOW_EVERY = 20  # steps: asking a GPU for the loss makes it wait


def main() -> None:
    arguments = parse()
    try:
        with exit_on_error():
            if arguments.smoke:
                # By its name: training.smoke stands above this module, and imports it.
                import_module("training.smoke").run(arguments.out, next(iter(arguments.data), None), arguments.device)
                return
            config = (
                resumed_config(saved_config(arguments.out), given_knobs(arguments))
                if arguments.resume
                else new_config(arguments)
            )
            data, *photos = arguments.data
            options = {"device": arguments.device, "draw": arguments.figures, "photos": photos}
            train(config, data, arguments.out, arguments.resume, **options)
    except KeyboardInterrupt:
        if DistributedContext.from_environment().is_first:
            print(f"\n{resume_hint(arguments.data, arguments.out)}", file=sys.stderr)
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
    """Run a recipe; under torchrun, this process's part of it.

    Args:
        config: the recipe; with `resume` only its epochs, votes, teachers and unlabelled pictures count, the rest is
            the checkpoint's.
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
    context = DistributedContext.from_environment()
    where = choose_device(device, context.local_rank)
    if resume:
        wanted = {name: getattr(config, name) for name in MOVABLE}
        config = resumed_config(saved_config(out), {name: value for name, value in wanted.items() if value})
    else:
        RunDirectory(out).check_free()
    with context.joined(where):
        validation = load_validation(config, data, photos)
        kept_back = load_kept_back(config, [data, *photos], validation)
        splits = load_training(config, data, kept_back, not context.is_first), validation
        run = Run(config, out, where, context, resume)
        epoch_data = epoch_inputs(config, splits[0], [data, *photos], kept_back, where)
        run.check_training(epoch_data.digest, epoch_data.teacher_pins)
        run.add_terms(*terms_of_data([data, *photos]), *map(terms_of_run, config.teachers))
        if isinstance(run.network, networks.MultiHeadNet) and not resume:
            mixture.set_initial_head_weights(run.network, config, len(photos))
        run.write_start(splits[1], epoch_data.teacher_pins)
        if context.is_first:
            print(f"{len(epoch_data):,} training and {len(splits[1]):,} validation images, {run.how()}", flush=True)
        try:
            fit(run, epoch_data, to_device(splits[1], config, where))
        finally:
            run.close()
    return finish(run, *splits, draw=draw) if context.is_first else {}


def fit(run: Run, epoch_data: EpochData | mixture.Mixture, validation: tuple[Tensor, Tensor]) -> None:
    """Train from the current epoch to the last; the first process validates and writes after each."""
    for epoch in range(run.epoch + 1, run.config.epochs + 1):
        started = time.perf_counter()
        seed_everything(run.config.seed, epoch)
        loss, accuracy = train_epoch(run, epoch_data, epoch)
        if run.context.is_first:
            pictures, labels = validation
            slow = run.device.type == "cpu"  # a GPU validates in float32, as it is served
            logits = predict(run.eval_network, pictures, slow and run.precision.dtype is torch.bfloat16)
            row = {
                "epoch": epoch,
                "train_loss": loss,
                "train_accuracy": accuracy,
                "validation_loss": functional.cross_entropy(logits, labels).item(),
                "validation_accuracy": (logits.argmax(1) == labels).sum().item() / len(labels),
                "seconds": time.perf_counter() - started,
            }
            run.finish_epoch(row, logits)


def train_epoch(run: Run, epoch_data: EpochData | mixture.Mixture, epoch: int) -> tuple[float, float]:
    """Train for one epoch; returns the mean training loss and accuracy."""
    run.parallel.train()
    title = f"epoch {epoch}/{run.config.epochs}"
    order = batches(
        epoch_data.rows(), run.config.batch_size, run.context
    )  # drawn alike in every process, unlike dropout
    if run.context.rank:
        torch.manual_seed(torch.initial_seed() + (run.context.rank << 32))
    sums = torch.zeros(2, device=run.device)
    silent = not run.context.is_first
    with tqdm(total=len(epoch_data), desc=title, unit=" pictures", mininterval=5, leave=False, disable=silent) as bar:
        for number, batch in enumerate(order):
            rows = run.context.share(batch)
            progress = (epoch - 1 + number / len(order)) / run.config.epochs
            set_learning_rate(run.optimizer, learning_rate_at(run.config, progress))
            sums += step(run, epoch_data, rows, len(batch))
            bar.update(len(batch))
            if number % SHOW_EVERY == 0 and not silent:
                bar.set_postfix(loss=f"{sums[0].item() * run.context.size / bar.n:.3f}", refresh=False)
    loss, right = run.context.total(sums).tolist()
    if not math.isfinite(loss):  # in all processes alike
        raise DataError(
            f"epoch {epoch} ended without a finite loss: the weights have run away, try a smaller --learning-rate"
        )
    return loss / len(epoch_data), right / len(epoch_data)


def step(run: Run, epoch_data: EpochData | mixture.Mixture, rows: Tensor, batch_rows: int) -> Tensor:
    """One optimizer step on this process's share of a batch; returns its summed loss and number of correct rows."""
    if isinstance(epoch_data, mixture.Mixture):
        losses, correct = head_losses_and_correct(run, epoch_data, rows)
    else:
        losses, correct = losses_and_correct(run, epoch_data, rows)
    run.optimizer.zero_grad(set_to_none=True)
    run.scaler.scale(run.context.loss(losses, batch_rows)).backward()  # type: ignore[no-untyped-call]
    run.scaler.step(run.optimizer)
    run.scaler.update()
    if run.ema:
        run.ema.update_parameters(run.network)
    return torch.stack([losses.detach().sum(), correct])


def losses_and_correct(run: Run, epoch_data: EpochData, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The losses [n] of the rows, and the number of correct predictions."""
    pictures, targets = epoch_data.batch(rows)
    if run.config.mixup:
        pictures, targets = mixup(pictures, targets, run.config.mixup)
    logits = forward(run, pictures)
    return classification_losses(logits, targets, run.config, epoch_data.prior), count_correct(logits, targets)


def head_losses_and_correct(run: Run, sources: mixture.Mixture, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The same for a network of several heads."""
    batch = sources.batch(rows)
    logits = forward(run, batch.pictures)
    return mixture.head_losses(logits, batch), mixture.count_correct_of_heads(logits, batch)


def forward(run: Run, pictures: Tensor) -> Tensor:
    """Logits of normalised images, computed in the precision of the run."""
    with run.precision.autocast(run.device.type):
        logits: Tensor = run.parallel(as_input(pictures, run.network))
    return logits


def finish(run: Run, training: Split, validation: Split, draw: bool) -> dict[str, Any]:
    """Evaluate the best and the last epoch, write metrics.json, and draw the figures."""
    fresh = not_learned(validation.pictures, training.pictures)
    best = max(run.history, key=lambda row: quality(row, run.config))

    def evaluate_epoch(epoch: float) -> dict[str, Any]:
        return evaluate.evaluate_logits(run.directory.logits(int(epoch)), validation.labels, fresh=fresh)

    metrics = {
        "best": best,
        "last_five": run.history[-5:],
        "best_epoch": evaluate_epoch(best["epoch"]),
        "last_epoch": evaluate_epoch(run.epoch),
        "pictures": {"training": training.counts(), "validation": validation.counts()},
        "parameters": networks.count_parameters(run.network),
        "seconds": sum(row["seconds"] for row in run.history),
    }
    write_json(run.directory.folder / "metrics.json", metrics)
    if draw:
        from training.expression.figures import run_figures  # noqa: PLC0415  (matplotlib takes half a second)

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


def resume_hint(data: Sequence[Path], out: Path | None) -> str:
    """The message after Ctrl-C: the command that resumes the run."""
    if out is None or not RunDirectory(out).last.exists():
        return "Stopped before an epoch was finished: there is nothing to go on from; give the same command again."
    epoch = RunDirectory(out).read_checkpoint(torch.device("cpu"))["epoch"]
    command = shlex.join(
        ["python", "-m", "training.expression.train", "--data", *map(str, data), "--out", str(out), "--resume"]
    )
    return f"Stopped. What was done up to epoch {epoch} is kept; go on with\n  {command}"


if __name__ == "__main__":
    main()
