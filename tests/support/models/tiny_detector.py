"""A detector in the form that `training.detector.export` writes, so small that its boxes are known: three faces in
every picture, the scores times the brightest value in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facemotion.detectors import onnx_yolo as served
from facemotion.weights import sha256

ROWS = [[10, 20, 50, 70, 0.9, 0], [60, 8, 90, 44.5, 0.7, 0], [100, 100, 126, 126, 0.3, 0]]


def write(folder: Path, columns: int = 6, **changes: Any) -> Path:
    """model.onnx, with rows of so many columns, and config.json with `changes`; returns the folder."""
    rows = np.array([ROWS], np.float32)
    constants = {"boxes": rows[..., :4], "scores": rows[..., 4:5], "classes": rows[..., 5:]}
    names = ["boxes", "shown", "classes"][: 3 if columns == 6 else 2]
    nodes = [
        helper.make_node("GlobalMaxPool", ["images"], ["by_colour"]),  # [1, 3, 1, 1]
        helper.make_node("ReduceMax", ["by_colour"], ["most"], axes=[1, 2], keepdims=0),  # [1, 1]
        helper.make_node("Mul", ["scores", "most"], ["shown"]),
        helper.make_node("Concat", names, ["rows"], axis=2),
    ]
    return _save(folder, nodes, constants, [1, len(ROWS), columns], changes)


def write_overlapping(folder: Path, **changes: Any) -> Path:
    """The same in the form of YOLOv8, [1, 5, N], each face with a second, worse box on it; returns the folder."""
    boxes = np.array([row[:4] for row in ROWS] * 2, np.float32)
    boxes[len(ROWS) :] += [1, 1, 2, 2]
    scores = np.array([row[4] for row in ROWS] + [row[4] - 0.1 for row in ROWS], np.float32)
    centers, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    constants = {"boxes": np.concatenate([centers, sizes], axis=1).T[None], "scores": scores[None, None]}
    nodes = [
        helper.make_node("GlobalMaxPool", ["images"], ["by_colour"]),
        helper.make_node("ReduceMax", ["by_colour"], ["most"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMax", ["most"], ["brightest"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["scores", "brightest"], ["shown"]),
        helper.make_node("Concat", ["boxes", "shown"], ["rows"], axis=1),
    ]
    return _save(folder, nodes, constants, [1, 5, len(boxes)], {"suppress": 0.5} | changes)


def _save(folder: Path, nodes: list[Any], constants: dict[str, Any], shape: list[int], changes: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / served.WEIGHTS_FILE)
    config = {"format": served.FORMAT, "threshold": 0.5, "sha256": sha256(folder / served.WEIGHTS_FILE)}
    (folder / served.CONFIG_FILE).write_text(json.dumps(config | changes))
    return folder
