"""Ultralytics' trainer for detectors, made fit for this job: it never asks the network, survives being killed at any
moment, starts with its backbone frozen, looks at worse pictures, learns how certain each label is, and sees pictures
without faces in every batch.

Importing this file imports ultralytics; `training.detector.train` does so when a run starts.
"""

from __future__ import annotations

import json
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from facemotion.detectors import ultralytics_compat
from training.common.devices import has_bf16_units
from training.common.files import write_text
from training.detector.data import augment
from training.detector.data.dataset import CONFIDENCE
from training.detector.data.yolo_format import IGNORED_PX

ultralytics_compat.import_ultralytics()
from ultralytics.data.augment import RandomPerspective  # noqa: E402  (only after what the line above sets)
from ultralytics.data.build import InfiniteDataLoader  # noqa: E402
from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: E402
from ultralytics.nn.tasks import BaseModel  # noqa: E402
from ultralytics.utils.instance import Instances  # noqa: E402

OWN_SIZE = 0.5  # of the small pictures
SURE = 0.9  # confidence of a face that is pasted elsewhere
LEAST_CONFIDENCE = 0.05  # at 0 the label would be of the next class
BANK, GIVEN, PASTED = 200, 4, 6  # faces kept to be pasted; of one picture at most; pasted into one at most


@dataclass(frozen=True)
class Augmentation:
    """What is done to pictures besides ultralytics' own settings: how far they are scaled, in which share of them small
    faces are pasted, and how many pictures without faces are in every batch at least."""

    scale: tuple[float, float] = (0.25, 2.0)
    paste: float = 0.3
    negatives_per_batch: int = 2


class FaceTraining(DetectionTrainer):  # type: ignore[misc]
    """A run. (No "Trainer" in the name: ultralytics would add what reports to other companies' services.)

    Args:
        overrides: ultralytics' own settings.
        data: the folder that `face_dataset.prepare` wrote.
        freeze_epochs: so many epochs at the start, only neck and head learn.
        augmentation: what else is done to the pictures.
    """

    def __init__(
        self, overrides: dict[str, Any], data: Path, freeze_epochs: int, augmentation: Augmentation = Augmentation()
    ) -> None:
        self.folder, self.freeze_epochs, self.epoch = data, freeze_epochs, 0
        self.last: Path
        self.best: Path
        self.augmentation = augmentation
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
            store_confidence(dataset, self.folder / CONFIDENCE)
            build, look = dataset.build_transforms, FaceTransforms(self.augmentation.paste)

            def with_ours(hyp: Any = None) -> Any:
                transforms = build(hyp)
                for transform in flattened(transforms):
                    if isinstance(transform, RandomPerspective):
                        transform.scale = self.augmentation.scale  # the setting allows only 1 - s to 1 + s
                transforms.insert(len(transforms.transforms) - 1, look)  # before they become tensors
                return transforms

            dataset.build_transforms = with_ours  # also called when the mosaic is closed
            dataset.transforms = with_ours(hyp=self.args)
            dataset.load_image = partial(load_resized, dataset, dataset.load_image)
        return dataset

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Ultralytics' loader; of pictures to learn from, in the order of `NegativeSampler`."""
        loader = super().get_dataloader(dataset_path, batch_size, rank, mode)
        without = [not len(label["cls"]) for label in loader.dataset.labels]
        least = min(self.augmentation.negatives_per_batch, loader.batch_size - 1)
        if mode != "train" or rank != -1 or least < 1 or not any(without) or all(without):
            return loader
        return InfiniteDataLoader(
            dataset=loader.dataset,
            batch_size=loader.batch_size,
            sampler=NegativeSampler(np.array(without), loader.batch_size, least),
            **{name: getattr(loader, name) for name in ("num_workers", "prefetch_factor", "pin_memory", "collate_fn")},
            **{name: getattr(loader, name) for name in ("worker_init_fn", "generator")},
        )

    def _model_train(self) -> None:
        """Called before each epoch."""
        if getattr(self.model, "criterion", None) is None:
            self.model.criterion = self.model.init_criterion()
        criterion = self.model.criterion
        losses = (criterion.one2many, criterion.one2one) if hasattr(criterion, "one2many") else (criterion,)
        for loss in losses:
            if not isinstance(loss.assigner, SoftAssigner):
                loss.assigner = SoftAssigner(loss.assigner)
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
        validated = " ".join(f"{k[8:-3]} {v:.3f}" for k, v in metrics.items() if k.startswith("metrics/"))
        print(f"epoch {self.epoch + 1}/{self.epochs}: {losses}, held out: {validated}", flush=True)

    def final_eval(self) -> None:
        """Nothing: it would strip last.pt of what a resume needs, and evaluate a best epoch that is not published."""


Loaded = tuple[np.ndarray, tuple[int, int], tuple[int, int]]


def load_resized(dataset: Any, load: Callable[[int], Loaded], index: int) -> Loaded:
    """A picture of ultralytics' data set, its (height, width) in the file and now. `load` enlarges small ones to
    `imgsz`. The product looks at them as they are too, and a network that has never seen them small finds no face
    there: half of them are shown so, the others at a size in between."""
    picture, (height, width), resized = load(index)
    own, largest = max(height, width), dataset.imgsz
    if own >= largest:
        return picture, (height, width), resized
    side = own if random.random() < OWN_SIZE else own * (largest / own) ** random.random()
    small = np.asarray(cv2.imread(dataset.im_files[index]), np.uint8)  # `picture` has been enlarged
    size = (max(1, round(width * side / own)), max(1, round(height * side / own)))
    small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return small, (height, width), small.shape[:2]


class FaceTransforms:
    """One of ultralytics' transforms: a picture (BGR, uint8) with its faces, as the network is about to see it.

    Into a share of `paste` of the pictures, small faces of pictures seen before are pasted.
    """

    def __init__(self, paste: float) -> None:
        self.paste = paste
        self.bank: deque[np.ndarray] = deque(maxlen=BANK)

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        generator = np.random.default_rng(random.getrandbits(32))  # whose seed ultralytics sets, in each worker too
        picture, instances = np.ascontiguousarray(labels["img"][..., ::-1]), labels["instances"]
        height, width = picture.shape[:2]
        instances.convert_bbox("xyxy")
        instances.denormalize(width, height)
        boxes = np.asarray(instances.bboxes, np.float32)
        large = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) >= IGNORED_PX
        picture = augment.blank(picture, boxes[~large], boxes[large])
        labels["instances"], labels["cls"] = instances[large], labels["cls"][large]
        if self.paste:
            picture = self._pasted(picture, boxes[large], labels, generator)
        labels["img"] = np.ascontiguousarray(augment.worsen(picture, generator)[..., ::-1])
        return labels

    def _pasted(
        self, picture: np.ndarray, boxes: np.ndarray, labels: dict[str, Any], generator: np.random.Generator
    ) -> np.ndarray:
        """The picture, perhaps with faces of the bank, which are added to `labels`; its own go into the bank."""
        own = augment.cut_small(picture, boxes[labels["cls"][:, 0] < 1 - SURE])
        if self.bank and len(boxes) and generator.random() < self.paste:  # a picture without faces stays one
            chosen = generator.integers(0, len(self.bank), generator.integers(1, PASTED, endpoint=True))
            picture, added = augment.paste(picture, boxes, [self.bank[row] for row in chosen], generator)
            every = np.concatenate([boxes, added])
            labels["instances"] = Instances(every, None, bbox_format="xyxy", normalized=False)
            labels["cls"] = np.concatenate([labels["cls"], np.zeros((len(added), 1), labels["cls"].dtype)])
        self.bank.extend(own[:GIVEN])
        return picture


def flattened(transforms: Any) -> Iterator[Any]:
    """The transforms of a composition and of those in it."""
    for transform in transforms.transforms:
        yield from flattened(transform) if hasattr(transform, "transforms") else (transform,)


def store_confidence(dataset: Any, file: Path) -> None:
    """Writes into ultralytics' data set how certain each label is: its class becomes 1 - confidence, below 1, whose
    whole part is still the class of faces, 0. It passes through mosaics and crops unharmed; `SoftAssigner` reads it."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for path, label in zip(dataset.im_files, dataset.labels, strict=True):
        confidence = known.get(Path(path).stem)
        if confidence is not None and len(confidence) == len(label["cls"]):
            label["cls"] = (1 - np.clip(np.array(confidence, np.float32), LEAST_CONFIDENCE, 1))[:, None]


class SoftAssigner(torch.nn.Module):
    """Ultralytics' assignment of labels to places, its target scores times the confidence of the label.

    These scores are what the network learns to answer, and they weigh the loss of the boxes as well.
    """

    def __init__(self, assigner: torch.nn.Module) -> None:
        super().__init__()
        self.assigner = assigner

    def forward(  # noqa: PLR0917
        self,
        scores: torch.Tensor,
        boxes: torch.Tensor,
        places: torch.Tensor,
        labels: torch.Tensor,
        faces: torch.Tensor,
        mask: torch.Tensor,
        **extra: Any,
    ) -> tuple[torch.Tensor, ...]:
        """As the assigner's; `labels` [B, N, 1] are those of `store_confidence`."""
        assigned = self.assigner(scores, boxes, places, labels.floor(), faces, mask, **extra)
        if not labels.shape[1]:
            return tuple(assigned)
        targets, of_face = assigned[2], assigned[4].long()
        confidence = (1 - (labels - labels.floor()))[..., 0].gather(1, of_face)
        return (*assigned[:2], targets * confidence[..., None].to(targets.dtype), *assigned[3:])


class NegativeSampler(torch.utils.data.Sampler):  # type: ignore[type-arg]
    """Shuffled rows of a data set, each batch with `least` pictures without faces or more; these repeat as they must.

    Args:
        without: which pictures show no face, bool [N].
        batch: pictures in a batch.
        least: fewer than that.
    """

    def __init__(self, without: np.ndarray, batch: int, least: int) -> None:
        self.negatives, self.others = np.flatnonzero(without), np.flatnonzero(~without)
        self.batch = batch
        self.batches = max(math.ceil(len(self.others) / (batch - least)), math.ceil(len(without) / batch))
        self.shown = max(len(self.negatives), least * self.batches)

    def __len__(self) -> int:
        return len(self.others) + self.shown

    def __iter__(self) -> Iterator[int]:
        rounds = math.ceil(self.shown / len(self.negatives))
        negatives = np.concatenate([self._shuffled(self.negatives) for _ in range(rounds)])[: self.shown]
        others, at = self._shuffled(self.others), 0
        for few in np.array_split(negatives, self.batches):
            more = others[at : at + self.batch - len(few)]
            at += len(more)
            yield from map(int, np.concatenate([few, more]))

    @staticmethod
    def _shuffled(rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows[torch.randperm(len(rows)).numpy()])


def is_end_to_end(checkpoint: Path) -> bool:
    """Whether the checkpoint has a head that needs no suppression of overlapping boxes, as YOLO26 has."""
    model = ultralytics_compat.import_ultralytics().YOLO(str(checkpoint), task="detect").model
    return getattr(model.model[-1], "one2one_cv2", None) is not None


def precision(device: torch.device) -> str | bool:
    """Ultralytics' `amp`: bfloat16 where the GPU computes in it. (For float16 it would first fetch a model to try.)"""
    return "bf16" if device.type == "cuda" and has_bf16_units("cuda") else False


@contextmanager
def bf16_network(device: torch.device) -> Iterator[None]:
    """Training steps on a processor with units for bfloat16 compute the network in it, twice as fast; elsewhere nothing
    changes. The loss stays in float32: a corner at 400 pixels would be rounded to two pixels."""
    if device.type != "cpu" or not has_bf16_units():
        yield
        return
    loss = BaseModel.loss

    def with_bf16_network(model: Any, batch: dict[str, Any], preds: Any = None) -> Any:
        if preds is None and model.training:
            images = batch["img"].contiguous(memory_format=torch.channels_last)  # a fifth faster still
            with torch.autocast("cpu", torch.bfloat16):
                preds = model(images)
            preds = in_float32(preds)
        return loss(model, batch, preds)

    BaseModel.loss = with_bf16_network
    try:
        yield
    finally:
        BaseModel.loss = loss


def in_float32(outputs: Any) -> Any:
    """A network's outputs, tensors in lists and dictionaries, as float32."""
    if isinstance(outputs, torch.Tensor):
        return outputs.float()
    if isinstance(outputs, dict):
        return {name: in_float32(part) for name, part in outputs.items()}
    return type(outputs)(in_float32(part) for part in outputs)
