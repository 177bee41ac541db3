"""Import of ultralytics and torchvision without their side effects."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from types import ModuleType

import cv2
import numpy as np
import torch
from PIL import Image

from facemotion import scratch

_lock = RLock()  # guards process-wide state; reentrant, since importing keeps the threads too


def import_ultralytics() -> ModuleType:
    """Import ultralytics and undo its changes to this process.

    It never installs packages, asks the network nothing (it would look up two hosts and send usage statistics), keeps
    its settings out of the home folder unless YOLO_CONFIG_DIR says where, and gives back the thread counts and the
    functions of other libraries that it takes. torchvision is made importable first: ultralytics needs it even where
    its operators are missing.
    """
    with _lock:
        if "ultralytics" not in sys.modules:
            _set_environment()
        ensure_torchvision()
        with keep_threads(), keep_functions(), np.printoptions():  # it also changes how all arrays are printed
            import ultralytics.utils.patches  # noqa: PLC0415  (takes a second; the embedded detector needs none of it)
        module: ModuleType = ultralytics
        return module


def _set_environment() -> None:
    """Set the variables that ultralytics reads at import; those set by the user stay."""
    os.environ.setdefault("YOLO_AUTOINSTALL", "0")
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_VERBOSE", "False")  # it writes to standard output, which is for results
    scratch.use_for("YOLO_CONFIG_DIR", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR")
    leave_out_openvino_telemetry()


def leave_out_openvino_telemetry() -> None:
    """Keep OpenVINO, which runs some YOLO exports, from sending usage data to Google Analytics.

    Unless CI is set it does so whenever it reads a model, and keeps a device id in the home folder. No variable stops
    it, but without the package that sends, which is imported by nothing else, it goes on with a stub of its own.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # importing it is an ImportError now


@contextmanager
def keep_threads() -> Iterator[None]:
    """Restores the thread counts of torch and OpenCV, and OMP_NUM_THREADS.

    Importing ultralytics leaves OpenCV one thread and sets the variable to 1, and whenever ultralytics picks the CPU it
    gives torch one thread less than there are cores: a frame on two cores then takes 91 ms instead of 55, and every
    other network in the process slows down.
    """
    with _lock:  # a second caller would save the changed counts
        threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
        variable = os.environ.get("OMP_NUM_THREADS")
        try:
            yield
        finally:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            if cv2.getNumThreads() != opencv_threads:
                cv2.setNumThreads(opencv_threads)
            if variable is None:
                os.environ.pop("OMP_NUM_THREADS", None)
            else:
                os.environ["OMP_NUM_THREADS"] = variable


@contextmanager
def keep_functions() -> Iterator[None]:
    """Restore the functions that ultralytics replaces globally.

    They are `PIL.Image.open`, which would then look for a package on every damaged image, `torch.save`, and image files
    in OpenCV.
    """
    taken = ((Image, "open"), (torch, "save"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imshow"))
    functions = [getattr(library, name) for library, name in taken]
    try:
        yield
    finally:
        for (library, name), function in zip(taken, functions, strict=True):
            setattr(library, name, function)


def ensure_torchvision() -> None:
    """Make torchvision importable, with non-maximum suppression, where its compiled operators do not load.

    They do not whenever torch and torchvision are of different builds (a CPU torch beside PyPI's torchvision, say).
    torchvision then fails as it is imported, for it describes operators that nobody has defined, and ultralytics
    needs both the package and that one function.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the image codecs, which fail to load for the same reason
        try:
            import torchvision  # noqa: PLC0415
        except RuntimeError as error:
            if "operator torchvision::" not in str(error):
                raise
            _define_operators()
            import torchvision  # noqa: PLC0415
    if not torchvision.extension._has_ops():
        torchvision.ops.nms = torchvision.ops.boxes.nms = _nms


def _define_operators() -> None:
    """Define the two operators that torchvision describes without checking that they exist."""
    for name in ("torchvision::nms", "torchvision::qnms"):
        torch.library.define(name, "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torch.library.impl(name, "CompositeExplicitAutograd")(_nms)


def _nms(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Non-maximum suppression of ultralytics: indices kept of boxes [N, 4] with scores [N], best first."""
    from ultralytics.utils.nms import TorchNMS  # noqa: PLC0415

    kept: torch.Tensor = TorchNMS.nms(dets, scores, iou_threshold)
    return kept
