"""The files of a run directory and their names; each is written atomically.

config.json             the recipe, with the commit it ran on, and what pins the weights that it began from
environment.json        versions and machine, once for each time the run was started or resumed
history.csv             a row per epoch: losses, accuracies, seconds
tensorboard/            the same, for `tensorboard --logdir`
last.pt                 all that is needed to go on: weights, optimizer, recipe, history
best.pt                 the weights of the best epoch: highest validation accuracy; of several heads, least loss
predictions/NNN.npy     the validation logits after each epoch, float16 [N, 7]: every figure is drawn from these
validation_labels.npy   their labels, int64 [N]; validation_names.json their names
metrics.json            when the run has ended: the best epoch, the last five, and the metrics of both
figures/                likewise
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.common.errors import DataError
from training.common.files import replace, write_array, write_json, write_text
from training.common.markdown import table
from training.expression.data.dataset import Split

Row = dict[str, float]

# Column of history.csv -> where TensorBoard shows it: training and validation side by side.
TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "seconds": "seconds",
}


def terms_of_run(run: str) -> str:
    """The terms of use of what a finished run learned from; "" where there are none."""
    return str(json.loads((Path(run) / "config.json").read_text(encoding="utf-8")).get("terms") or "")


class RunDirectory:
    """Reads and writes the files of the run in `folder`, which need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last, self.best = folder / "last.pt", folder / "best.pt"

    def check_free(self) -> None:
        """Raises:
        DataError: the folder holds a run, or cannot be one.
        """
        if self.last.exists():
            raise DataError(f"{self.folder} already holds a run: continue it with --resume, or choose another --out")
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"{self.folder} is a file: choose another --out")

    def check_validation(self, validation: Split) -> None:
        """Raises:
        DataError: the run goes on, but was validated on other images so far.
        """
        names, labels = self.folder / "validation_names.json", self.folder / "validation_labels.npy"
        if not (self.last.exists() and names.exists() and labels.exists()):
            return
        same_names = json.loads(names.read_text(encoding="utf-8")) == list(validation.names)
        if not same_names or not np.array_equal(np.load(labels), validation.labels):
            raise DataError(
                f"the run in {self.folder} was validated on other images so far: name the --data it began with"
            )

    def read_checkpoint(self, device: torch.device) -> dict[str, Any]:
        """What `write_epoch` wrote.

        Raises:
            DataError: there is none, or it is damaged.
        """
        if not self.last.is_file():
            raise DataError(f"{self.folder} holds no last.pt to go on from: leave out --resume to start a run there")
        try:
            return dict(torch.load(self.last, map_location=device, weights_only=True))
        except Exception as error:  # torch raises what zip, pickle or the system did
            raise DataError(f"{self.last} is damaged, or no checkpoint of training.expression.train") from error

    def write_start(
        self, recipe: dict[str, Any], environment: dict[str, Any], validation: Split, history: list[Row]
    ) -> None:
        """Write what is known before the first epoch, or before the first after a stop."""
        (self.folder / "predictions").mkdir(parents=True, exist_ok=True)
        file = self.folder / "environment.json"
        write_json(file, [*self._sessions(file), environment])
        write_json(self.folder / "config.json", recipe | {k: environment[k] for k in ("commit", "dirty", "torch")})
        write_array(self.folder / "validation_labels.npy", validation.labels)
        write_json(self.folder / "validation_names.json", list(validation.names))
        if history:  # a run killed after its checkpoint may have left it a row short
            self.write_history(history)

    def _sessions(self, file: Path) -> list[dict[str, Any]]:
        """The environments of earlier starts of the run; of an older run, what its recipe tells."""
        if not self.last.exists():
            return []
        if file.exists():
            return list(json.loads(file.read_text(encoding="utf-8")))
        recipe = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        return [{name: recipe[name] for name in ("commit", "torch") if name in recipe}]

    def write_epoch(self, logits: Tensor, content: dict[str, Any], best: dict[str, Any] | None) -> None:
        """Write everything after an epoch; last.pt last, so that a killed run resumes from the epoch before.

        Args:
            logits: of the validation pictures, [N, 7].
            content: of last.pt, with the keys "epoch" and "history".
            best: the weights for best.pt, where this epoch is the best so far.
        """
        epoch = content["epoch"]
        write_array(self.folder / "predictions" / f"{epoch:03d}.npy", logits.numpy().astype(np.float16))
        if best is not None:
            save(self.best, {"network": best, "epoch": epoch})
        save(self.last, content)
        self.write_history(content["history"])

    def write_history(self, history: list[Row]) -> None:
        """history.csv, as a whole."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
        write_text(self.folder / "history.csv", text.getvalue())

    def logits(self, epoch: int) -> np.ndarray:
        """The validation logits after an epoch, float32 [N, 7]."""
        return np.asarray(np.load(self.folder / "predictions" / f"{epoch:03d}.npy").astype(np.float32))


class TensorBoardLog:
    """TensorBoard's logs of a run, written anew from its history whenever it starts: a step that a killed run had
    logged but not kept would else stand there twice.

    Raises:
        DataError: tensorboard is not installed.
    """

    def __init__(self, folder: Path, recipe: dict[str, Any], history: list[Row]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (only training needs it)
        except ImportError:
            raise DataError("training logs to TensorBoard: pip install -r requirements-train.txt") from None
        if folder.exists():
            shutil.rmtree(folder)
        self.writer = SummaryWriter(str(folder))
        rows = [(name, str(value)) for name, value in recipe.items()]
        self.writer.add_text("recipe", table(("knob", "value"), rows))
        for row in history:
            self.add(row)

    def add(self, row: Row) -> None:
        """One epoch."""
        for name, tag in TAGS.items():
            if name in row:
                self.writer.add_scalar(tag, row[name], int(row["epoch"]))
        self.writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self.writer.close()


def save(path: Path, content: dict[str, Any]) -> None:
    """`torch.save`, atomically: a run killed while saving keeps its former checkpoint."""
    replace(path, lambda file: torch.save(content, file))
