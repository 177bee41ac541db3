"""How long detectors' networks take in one runtime, the one that serves: ONNX Runtime, all in turn on equal input.

    python -m training.detector.speed --networks runs/faces/export a.pt --out runs/faces

A network is a folder that `training.detector.export` wrote, or an Ultralytics checkpoint (.pt), which is exported for
this. Suppression of overlapping boxes is left out; an end-to-end network, as ours is, needs none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from facemotion import runtime
from facemotion.detectors import onnx_yolo as served
from facemotion.detectors import ultralytics_compat
from training.common.cli_errors import exit_on_error
from training.common.errors import DataError
from training.common.files import write_json
from training.common.markdown import table

FILE = "speed.json"
SIDES = (320, 640)
ROUNDS, WARM_UP = 30, 3


def main(given: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(given)
    with exit_on_error():
        measured = measure(arguments.networks, arguments.rounds)
    print(markdown(measured))
    if arguments.out:
        write_json(arguments.out / FILE, measured)


def parse_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--networks", nargs="+", required=True, type=Path, metavar="PATH", help="folders of exports, checkpoints")
    add("--rounds", type=_count, default=ROUNDS, help="how often each is timed at each size (%(default)s)")
    add("--out", type=Path, help=f"the folder for {FILE}")
    return parser.parse_args(given)


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError
    return count


def measure(networks: Sequence[Path], rounds: int = ROUNDS) -> dict[str, Any]:
    """Median milliseconds by name and by side of a square input, and on how many processors.

    Raises:
        DataError: one of `networks` is neither, or two have the same name.
        WeightsError: an export is damaged.
    """
    names = [path.resolve().name for path in networks]
    if len(set(names)) < len(names):
        raise DataError(f"two networks have the same name, of {', '.join(names)}: rename a folder or file")
    with TemporaryDirectory() as scratch:
        files = [as_onnx(path, Path(scratch)) for path in networks]
        sessions = {name: runtime.open_session(file) for name, file in zip(names, files, strict=True)}
        times = {side: in_turn(sessions, side, rounds) for side in SIDES}
    rows = {name: {str(side): times[side][name] for side in SIDES} for name in sessions}
    return {"processors": runtime.cores(), "rounds": rounds, "milliseconds": rows}


def as_onnx(path: Path, scratch: Path) -> Path:
    """The network's graph, with a dynamic input; exported to `scratch` if it has to be."""
    if path.is_dir():
        served.OnnxYolo.from_path(path)  # which checks it
        return path / served.WEIGHTS_FILE
    if path.suffix != ".pt" or not path.is_file():
        raise DataError(f"{path} is neither a folder that training.detector.train exported nor a checkpoint (.pt)")
    copy = shutil.copyfile(path, scratch / path.name)  # ultralytics writes beside it
    with ultralytics_compat.keep_threads(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's remarks on its own code
        model = ultralytics_compat.import_ultralytics().YOLO(str(copy), task="detect")
        return Path(model.export(format="onnx", dynamic=True, simplify=False, nms=False, imgsz=SIDES[-1], device="cpu"))


def in_turn(sessions: Mapping[str, Any], side: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of each, all in turn on one picture of noise."""
    pixels = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    spent: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(WARM_UP + rounds):
        for name, session in sessions.items():
            inputs = {session.get_inputs()[0].name: pixels}
            started = time.perf_counter()
            session.run(None, inputs)
            if number >= WARM_UP:
                spent[name].append((time.perf_counter() - started) * 1e3)
    return {name: round(median(values), 2) for name, values in spent.items()}


def markdown(measured: Mapping[str, Any]) -> str:
    """The table, the first network beside the others."""
    rows = measured["milliseconds"]
    first = next(iter(rows.values()))
    body = [
        (name, *(f"{times[str(side)]:.1f} ({times[str(side)] / first[str(side)]:.2f})" for side in SIDES))
        for name, times in rows.items()
    ]
    note = (
        f"Milliseconds of one pass in ONNX Runtime on {measured['processors']} processors, medians of "
        f"{measured['rounds']}, all in turn; in brackets, times the first one's.\n"
    )
    return f"{table(('network', *(f'{side} x {side}' for side in SIDES)), body)}\n{note}"


def read(folder: Path) -> dict[str, Any] | None:
    """What was measured, if anything was.

    Raises:
        DataError: the file cannot be read.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        measured = dict(json.loads(file.read_text(encoding="utf-8")))
        markdown(measured)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        raise DataError(f"{file} is none that training.detector.speed wrote: {error!r}") from error
    return measured


if __name__ == "__main__":
    main()
