"""Trains an emotion classifier: configuration in, run directory out.

    python -m training.train --data fer2013 --out runs/smoke --epochs 1 --limit 2000    # does it run? (a minute)
    python -m training.train --data fer2013 --out runs/study                            # the study's recipe, 50 epochs
    python -m training.train --data fer2013 --out runs/study --resume                   # goes on where it stopped

The run directory holds config.json, history.csv (a row per epoch), last.pt (everything needed to go on), best.pt (the
epoch with the highest validation accuracy), metrics.json, and predictions/<epoch>.npy: the validation logits after
each epoch, float16 [N, 7], from which every figure is drawn without running the network again.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from facemotion import networks
from training.data import DataError, Split, load_split
from training.winograd import use_winograd


@dataclass(frozen=True)
class Config:
    """Every knob of a run. The defaults are the study's recipe."""

    network: str = "simplecnn"
    epochs: int = 50
    batch_size: int = 64  # the study does not state its own
    learning_rate: float = 1e-4  # Adam, constant
    seed: int = 0
    train_split: str = "train"
    validation_split: str = "validation"
    mean: float = 0.5  # pixels / 255 are shifted by the mean and divided by std
    std: float = 0.25
    limit: int = 0  # use only this many pictures of each split; 0 takes all


def main() -> None:
    arguments = parse_arguments()
    config = Config(**{f.name: getattr(arguments, f.name) for f in dataclasses.fields(Config)})
    try:
        train(config, arguments.data, arguments.out, arguments.resume)
    except DataError as error:
        raise SystemExit(f"{error}.") from None


def train(config: Config, data: Path, out: Path, resume: bool = False) -> dict[str, Any]:
    """Runs `config` on the tree at `data`, writing to `out`; returns what metrics.json holds."""
    device, bf16 = choose_device()
    config = saved_config(out, config.epochs) if resume else config
    splits = [limited(load_split(data, name), config) for name in (config.train_split, config.validation_split)]
    run = Run.resume(out, config, device) if resume else Run.start(out, config, device)
    training, validation = (to_device(split, config, device) for split in splits)
    np.save(out / "validation_labels.npy", validation[1].cpu().numpy())
    write_json(out / "validation_names.json", list(splits[1].names))
    for epoch in range(run.epoch + 1, config.epochs + 1):
        started = time.perf_counter()
        seed_everything(config.seed, epoch)
        train_loss, train_accuracy = train_epoch(run, training, bf16, f"epoch {epoch}/{config.epochs}")
        logits = predict(run.network, validation[0], bf16)
        run.finish_epoch(
            epoch,
            logits.cpu(),
            {
                "epoch": epoch,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "validation_loss": functional.cross_entropy(logits, validation[1]).item(),
                "validation_accuracy": accuracy(logits, validation[1]),
                "seconds": time.perf_counter() - started,
            },
        )
    return run.write_metrics()


class Run:
    """One run directory: the network, the optimizer, and how far they have come."""

    def __init__(self, out: Path, config: Config, device: torch.device) -> None:
        self.out, self.config, self.epoch = out, config, 0
        self.history: list[dict[str, float]] = []
        torch.manual_seed(config.seed)
        self.network = networks.build(config.network).to(device, memory_format=torch.channels_last)
        if device.type == "cpu" and not has_bf16_units():
            use_winograd(self.network)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)

    @classmethod
    def start(cls, out: Path, config: Config, device: torch.device) -> Run:
        if (out / "last.pt").exists():
            raise SystemExit(f"{out} already holds a run: continue it with --resume, or choose another --out")
        (out / "predictions").mkdir(parents=True, exist_ok=True)
        run = cls(out, config, device)
        run.write_config()
        return run

    @classmethod
    def resume(cls, out: Path, config: Config, device: torch.device) -> Run:
        """Continues the run in `out`; `config` is what `saved_config` read there."""
        checkpoint = torch.load(out / "last.pt", map_location=device, weights_only=True)
        run = cls(out, config, device)
        run.write_config()
        run.network.load_state_dict(checkpoint["network"])
        run.optimizer.load_state_dict(checkpoint["optimizer"])
        run.epoch, run.history = checkpoint["epoch"], checkpoint["history"]
        return run

    def finish_epoch(self, epoch: int, logits: Tensor, row: dict[str, float]) -> None:
        """Records the epoch, keeps the best weights, and makes the run resumable from here."""
        self.epoch = epoch
        self.history.append(row)
        np.save(self.out / "predictions" / f"{epoch:03d}.npy", logits.numpy().astype(np.float16))
        if row["validation_accuracy"] > max((r["validation_accuracy"] for r in self.history[:-1]), default=-1.0):
            save(self.out / "best.pt", {"network": self.network.state_dict(), "epoch": epoch})
        save(
            self.out / "last.pt",
            {
                "config": dataclasses.asdict(self.config),
                "epoch": epoch,
                "history": self.history,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
        )
        write_history(self.out / "history.csv", self.history)
        print(", ".join(f"{key} {value:.4f}" for key, value in row.items()), flush=True)

    def write_config(self) -> None:
        """Writes the recipe, with the versions it runs on."""
        versions = {"commit": commit(), "torch": torch.__version__}
        write_json(self.out / "config.json", dataclasses.asdict(self.config) | versions)

    def write_metrics(self) -> dict[str, Any]:
        best = max(self.history, key=lambda row: row["validation_accuracy"])
        metrics = {"best": best, "last_five": self.history[-5:]}
        write_json(self.out / "metrics.json", metrics)
        return metrics


def saved_config(out: Path, epochs: int) -> Config:
    """The recipe of the run in `out`, to be continued up to `epochs`; nothing else may be changed on the way."""
    checkpoint = torch.load(out / "last.pt", map_location="cpu", weights_only=True)
    return dataclasses.replace(Config(**checkpoint["config"]), epochs=epochs)


def train_epoch(run: Run, data: tuple[Tensor, Tensor], bf16: bool, title: str) -> tuple[float, float]:
    """One pass over the training pictures in random order; returns the mean loss and accuracy on the way."""
    run.network.train()
    pictures, labels = data
    losses, correct = 0.0, 0
    bar = tqdm(batches(len(labels), run.config.batch_size), desc=title, mininterval=5, leave=False)
    for rows in bar:
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=bf16):
            logits = run.network(as_input(pictures[rows]))
        loss = functional.cross_entropy(logits.float(), labels[rows])
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        run.optimizer.step()
        losses += loss.item() * len(rows)
        correct += int((logits.argmax(1) == labels[rows]).sum())
        bar.set_postfix(loss=f"{loss.item():.3f}")
    return losses / len(labels), correct / len(labels)


@torch.inference_mode()
def predict(network: nn.Module, pictures: Tensor, bf16: bool, batch_size: int = 256) -> Tensor:
    """Logits, float32 [N, 7], with the network in evaluation mode."""
    network.eval()
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=bf16):
        return torch.cat([network(as_input(chunk)) for chunk in pictures.split(batch_size)]).float()


def batches(count: int, size: int) -> Iterator[Tensor]:
    """Random batches of row numbers; a last batch of a single row is left out: batch norm cannot train on it."""
    chunks = torch.randperm(count).split(size)
    return iter([chunk for chunk in chunks if len(chunk) > 1])


def to_device(split: Split, config: Config, device: torch.device) -> tuple[Tensor, Tensor]:
    """Normalised grey pictures float32 [N, 1, 48, 48] and labels int64 [N]."""
    pictures = torch.from_numpy(split.pictures).unsqueeze(1).float().div_(255)
    return ((pictures - config.mean) / config.std).to(device), torch.from_numpy(split.labels).to(device)


def as_input(grey: Tensor) -> Tensor:
    """Grey [N, 1, H, W] repeated to the three channels that the network takes."""
    return grey.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def limited(split: Split, config: Config) -> Split:
    if not config.limit or config.limit >= len(split):
        return split
    rows = np.random.default_rng(config.seed).choice(len(split), config.limit, replace=False)
    return Split(split.pictures[rows], split.labels[rows], tuple(split.names[row] for row in rows))


def choose_device() -> tuple[torch.device, bool]:
    """The fastest device here, and whether its matrix units take bfloat16."""
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.cuda.is_bf16_supported()
    if torch.backends.mps.is_available():
        return torch.device("mps"), False
    return torch.device("cpu"), has_bf16_units()


def has_bf16_units() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32; elsewhere it is emulated, ten times slower."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def seed_everything(seed: int, epoch: int) -> None:
    """Each epoch starts from its own seed, so that a resumed run draws what an uninterrupted one would have."""
    random.seed(seed * 100_003 + epoch)
    torch.manual_seed(seed * 100_003 + epoch)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(1) == labels).float().mean().item()


def save(path: Path, content: dict[str, Any]) -> None:
    """Writes beside the file and renames: a run killed while saving keeps its former checkpoint."""
    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(path)


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, history[0])
        writer.writeheader()
        writer.writerows(history)


def commit() -> str:
    """The commit of the code that runs, or "unknown" outside a clone."""
    command = ["git", "rev-parse", "HEAD"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return result.stdout.strip() or "unknown"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of pictures, fer2013.csv, or kaggle")
    parser.add_argument("--out", type=Path, required=True, help="the run directory")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    for knob in dataclasses.fields(Config):
        kind = type(knob.default)
        parser.add_argument(f"--{knob.name.replace('_', '-')}", type=kind, default=knob.default, help="%(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
