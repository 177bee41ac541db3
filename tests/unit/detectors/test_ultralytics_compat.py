"""Compatibility: ultralytics runs beside any torchvision, and leaves the process as it found it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

LEFT_ALONE = """
import os, cv2, numpy, torch
from PIL import Image
from facemotion.detectors import ultralytics_compat as compat
torch.set_num_threads(2), cv2.setNumThreads(2)
def state():
    functions = Image.open, torch.save, cv2.imread, cv2.imwrite, cv2.imshow
    return (torch.get_num_threads(), cv2.getNumThreads(), numpy.get_printoptions(), os.environ.get("OMP_NUM_THREADS"),
            *functions)
before = state()
ultralytics = compat.import_ultralytics()
ultralytics.YOLO
after = state()
assert before == after, (before, after)
from ultralytics.utils import AUTOINSTALL, ONLINE, USER_CONFIG_DIR
from ultralytics.utils.events import Events
assert not AUTOINSTALL and not ONLINE and not Events().enabled
assert str(USER_CONFIG_DIR).startswith(os.environ["YOLO_CONFIG_DIR"]), USER_CONFIG_DIR
import torchvision
boxes = torch.tensor([[0., 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
scores = torch.tensor([0.8, 0.9, 0.5])
for nms in (torchvision.ops.nms, torch.ops.torchvision.nms):
    assert nms(boxes, scores, 0.5).tolist() == [1, 2]
try:
    from openvino.tools.ovc import telemetry_utils
except ModuleNotFoundError:
    pass  # OpenVINO is not installed
else:
    assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
print("done", os.environ["YOLO_CONFIG_DIR"])
"""

WITHOUT_OPERATORS = """
import torch
def refuse(path): raise OSError("of another build")
torch.ops.load_library = refuse
"""


@pytest.mark.parametrize("before", ["", WITHOUT_OPERATORS], ids=["as installed", "without operators"])
def test_ultralytics_leaves_the_process_as_it_was(before: str) -> None:
    """In a process of its own: an import happens once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO_", "OMP_"))}
    run = subprocess.run(
        [sys.executable, "-c", before + LEFT_ALONE], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    word, folder = run.stdout.split()  # and nothing else: standard output is for results
    assert word == "done"
    assert not os.path.exists(folder)  # noqa: PTH110  (it was a temporary one)


def test_what_the_user_has_set_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> None:
    from facemotion.detectors import ultralytics_compat

    wanted = {"YOLO_AUTOINSTALL": "1", "YOLO_OFFLINE": "0", "YOLO_VERBOSE": "True", "YOLO_CONFIG_DIR": str(tmp_path)}
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    ultralytics_compat._set_environment()
    assert {name: os.environ[name] for name in wanted} == wanted


@pytest.mark.parametrize("variable", [None, "3"])
def test_threads_are_given_back(monkeypatch: pytest.MonkeyPatch, variable: str | None) -> None:
    import cv2
    import torch

    from facemotion.detectors import ultralytics_compat

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    before = torch.get_num_threads(), cv2.getNumThreads()
    with pytest.raises(KeyError), ultralytics_compat.keep_threads():
        torch.set_num_threads(before[0] + 1)
        cv2.setNumThreads(1)
        os.environ["OMP_NUM_THREADS"] = "1"
        raise KeyError
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
    assert os.environ.get("OMP_NUM_THREADS") == variable
