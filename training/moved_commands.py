"""The former names of the README's commands: `python -m training.train` runs `training.expression.train`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
MOVED = {
    "training.check": "expression/data/inspect.py",
    "training.detector_report": "reports/detector_report.py",
    "training.detector_speed": "detector/speed.py",
    "training.figures": "expression/figures/run_figures.py",
    "training.robustness": "expression/evaluation/robustness.py",
    "training.evaluate": "expression/evaluation/evaluate.py",
    "training.evaluate_detector": "detector/evaluate.py",
    "training.export": "expression/export.py",
    "training.protocol": "expression/evaluation/test_protocol.py",
    "training.report": "reports/run_report.py",
    "training.train": "expression/train.py",
}


class MovedCommands(MetaPathFinder):
    """Finds the files of commands by their former names, for `python -m` alone: imports use the new names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in MOVED or sys.argv[0] != "-m":  # what sys.argv[0] is while `python -m` looks for its module
            return None
        now = "training." + MOVED[fullname].removesuffix(".py").replace("/", ".")
        print(f"{fullname} is now {now}", file=sys.stderr)
        return spec_from_file_location(fullname, HERE / MOVED[fullname])
