"""Ultralytics' trainer for detectors, made fit for this job: it never asks the network, survives being killed at any
moment, starts with its backbone frozen, and looks at worse pictures.

Importing this file imports ultralytics; `training.detector.train` does so when a run starts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from facemotion.detectors import ultralytics_compat
from training.common.files import write_text
from training.detector import augment
from training.detector.yolo_format import IGNORED_PX

ultralytics_compat.import_ultralytics()
from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: E402  (only after what the line above sets)

OWN_SIZE = 0.5  # of the small pictures


class FaceTraining(DetectionTrainer):  # type: ignore[misc]
    """A run. (No "Trainer" in the name: ultralytics would add what reports to other companies' services.)

    Args:
        overrides: ultralytics' own settings.
        data: the folder that `face_dataset.prepare` wrote.
        freeze_epochs: so many epochs at the start, only neck and head learn.
    """

    def __init__(self, overrides: dict[str, Any], data: Path, freeze_epochs: int) -> None:
        self.folder, self.freeze_epochs, self.epoch = data, freeze_epochs, 0
        with ultralytics_compat.keep_threads():  # on the CPU it takes one thread less than there are cores
            super().__init__(overrides=overrides)

    def get_dataset(self) -> dict[str, Any]:
        """What data.yaml says. (Ultralytics' own reading of it looks for a font on the network.)"""
        images = self.folder.resolve() / "images"
        described = {"path": str(images.parent), "train": str(images / "train"), "val": str(images / "val")}
        return described | {"names": {0: "face"}, "nc": 1, "channels": 3}

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Ultralytics' data set; the pictures to learn from get worse, and faces too small to see are blanked."""
        dataset = super().build_dataset(img_path, mode, batch)
        if mode == "train":
            build = dataset.build_transforms

            def with_ours(hyp: Any = None) -> Any:
                transforms = build(hyp)
                transforms.insert(len(transforms.transforms) - 1, look)  # before they become tensors
                return transforms

            dataset.build_transforms = with_ours  # also called when the mosaic is closed
            dataset.transforms = with_ours(hyp=self.args)
            dataset.load_image = partial(sized, dataset, dataset.load_image)
        return dataset

    def _model_train(self) -> None:
        """Called before each epoch."""
        layers = len(self.model.yaml["backbone"]) if self.epoch < self.freeze_epochs else 0
        self.freeze_layer_names = [*(f"model.{layer}." for layer in range(layers)), ".dfl"]
        for name, parameter in self.model.named_parameters():
            if parameter.dtype.is_floating_point:
                parameter.requires_grad = not any(frozen in name for frozen in self.freeze_layer_names)
        super()._model_train()

    def save_model(self) -> bool:
        """Both checkpoints, each written beside itself and then renamed: a kill keeps the former one."""
        kept = self.last, self.best
        self.last, self.best = (file.with_suffix(".tmp") for file in kept)
        try:
            for file in (self.last, self.best):
                file.unlink(missing_ok=True)  # of a run killed while saving
            saved = bool(super().save_model())
        finally:
            written, (self.last, self.best) = (self.last, self.best), kept
        for temporary, file in zip(written[::-1], kept[::-1], strict=True):
            if temporary.exists():
                temporary.replace(file)
        return saved

    def resume_training(self, ckpt: dict[str, Any] | None) -> None:
        """Also drops what a run killed before its checkpoint had written to results.csv already."""
        super().resume_training(ckpt)
        if self.resume and self.csv.exists():
            head, *rows = self.csv.read_text(encoding="utf-8").splitlines()
            kept = [row for row in rows if int(row.split(",")[0]) <= self.start_epoch]
            write_text(self.csv, "\n".join([head, *kept]) + "\n")

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """A row of results.csv, and a line to read along."""
        super().save_metrics(metrics)
        losses = " ".join(f"{k.removeprefix('train/')} {v:.3f}" for k, v in metrics.items() if k.startswith("train/"))
        judged = " ".join(f"{k[8:-3]} {v:.3f}" for k, v in metrics.items() if k.startswith("metrics/"))
        print(f"epoch {self.epoch + 1}/{self.epochs}: {losses}, held out: {judged}", flush=True)

    def final_eval(self) -> None:
        """Nothing: it would strip last.pt of what a resume needs, and judge a best epoch that is not published."""


Loaded = tuple[np.ndarray, tuple[int, int], tuple[int, int]]


def sized(dataset: Any, load: Callable[[int], Loaded], index: int) -> Loaded:
    """A picture of ultralytics' data set, its (height, width) in the file and now. `load` enlarges small ones to
    `imgsz`. The product looks at them as they are too, and a network that has never seen them small finds no face
    there: half of them are shown so, the others at a size in between."""
    picture, (height, width), resized = load(index)
    own, largest = max(height, width), dataset.imgsz
    if own >= largest:
        return picture, (height, width), resized
    side = own if random.random() < OWN_SIZE else own * (largest / own) ** random.random()
    small = cv2.imread(dataset.im_files[index])  # the other one has been enlarged
    size = (max(1, round(width * side / own)), max(1, round(height * side / own)))
    small = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    return small, (height, width), small.shape[:2]


def look(labels: dict[str, Any]) -> dict[str, Any]:
    """One of ultralytics' transforms: a picture (BGR, uint8) with its faces, as the network is about to see it."""
    generator = np.random.default_rng(random.getrandbits(32))  # whose seed ultralytics sets, in each worker too
    picture, instances = np.ascontiguousarray(labels["img"][..., ::-1]), labels["instances"]
    height, width = picture.shape[:2]
    instances.convert_bbox("xyxy")
    instances.denormalize(width, height)
    boxes = np.asarray(instances.bboxes, np.float32)
    large = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) >= IGNORED_PX
    picture = augment.blank(picture, boxes[~large], boxes[large])
    labels["instances"], labels["cls"] = instances[large], labels["cls"][large]
    labels["img"] = np.ascontiguousarray(augment.worsen(picture, generator)[..., ::-1])
    return labels


def is_end_to_end(checkpoint: Path) -> bool:
    """Whether the checkpoint has a head that needs no suppression of overlapping boxes, as YOLO26 has."""
    model = ultralytics_compat.import_ultralytics().YOLO(str(checkpoint), task="detect").model
    return getattr(model.model[-1], "one2one_cv2", None) is not None


def precision(device: torch.device) -> str | bool:
    """Ultralytics' `amp`: bfloat16 where the GPU computes in it. (For float16 it would first fetch a model to try.)"""
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else False
