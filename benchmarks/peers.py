"""Others beside this, in turn on the same pictures: the package `fer`, a pair put together by hand, and this of before.

benchmarks/batch.py takes DeepFace too, and lets each go through many files.

Each runs in a process of its own: `fer` and the pair in a virtual environment made for them, from PyPI, in the folder
that FACEMOTION_PEERS names or the system's temporary one; the project of before from a copy of its sources, with the
packages of this. What cannot be installed is named in the report with the reason.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import pictures
from benchmarks.timing import as_sentence, machine, summary

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("FACEMOTION_PEERS") or Path(tempfile.gettempdir()) / "facemotion-peers")
FER = "fer==25.10.3"
# What it imports for pictures. Its own list would bring a CUDA build of torch, for a detector that is not its default;
# it asks an old setuptools for its own files, and OpenCV's cascades are gone from version 5.
NEEDED = ("tensorflow-cpu", "opencv-contrib-python<5", "pandas", "requests", "tqdm", "pillow", "setuptools<81")
# It imports flask, and a Keras of before, which would bring all of TensorFlow with it.
DEEPFACE = ("deepface==0.0.103", "tensorflow-cpu==2.21.*", "mtcnn", "flask", "opencv-contrib-python-headless<5")
OTHERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "fer": (("--no-deps", FER), NEEDED),
    "deepface": (DEEPFACE, ("--no-deps", "tf-keras==2.21.*")),
}
"""What is installed for each, one after the other."""
BEFORE = "af6a00b"  # the last commit that ran the networks by PyTorch and YuNet by OpenCV
ROUNDS, COUNT = 5, 4  # of all in turn; pictures for each at a time
OURS, OLD, PAIR = "facemotion", "facemotion, before", "YuNet + mini-XCEPTION"
INSTALL_LIMIT_S = 1800


def measure() -> dict[str, Any]:
    """{"rows": {name: {picture: {"ms": summary, "faces": found}}}, "missing": {name: reason}, "note": sentence}."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        running = {}
        for name, command, tree in commands(missing):
            try:
                running[name] = stack.enter_context(contender(command, tree))
            except (OSError, ValueError) as error:
                missing[name] = f"did not start: {error}"
        rows = alternate(running, compose(FOLDER))
    note = (
        f"Measured on {date.today().isoformat()}, {as_sentence(machine())}. Each with its defaults; facemotion "
        f"looks at frames as its page does, “fast”, and at photos in “auto”. “before” is commit {BEFORE}, which had "
        "SimpleCNN."
    )
    return {"rows": rows, "missing": missing, "note": note}


def commands(missing: dict[str, str]) -> Iterator[tuple[str, list[str], Path]]:
    """Name, command and folder of each that can be had; the others are noted in `missing`."""
    script = str(ROOT / "benchmarks" / "contender.py")
    yield OURS, [sys.executable, script, "facemotion"], ROOT
    try:
        before = sources_of(BEFORE)
    except (OSError, subprocess.CalledProcessError):
        missing[OLD] = f"the commit {BEFORE} is not in this copy of the repository"
        missing[PAIR] = "takes YuNet's file from that commit"
        before = None
    if before:
        yield OLD, [sys.executable, script, "facemotion"], before
    try:
        python = str(environment("fer"))
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        missing["fer"] = missing[PAIR] = f"{FER} could not be installed ({type(error).__name__})"
        return
    yield "fer", [python, script, "fer"], FOLDER
    if before:
        yunet = before / "facemotion" / "assets" / "yunet" / "face_detection_yunet_2023mar.onnx"
        yield PAIR, [python, script, "pair", str(yunet)], FOLDER


def environment(name: str) -> Path:
    """The Python of a virtual environment for one of `OTHERS`, made when it is not there."""
    python = FOLDER / name / "bin" / "python"
    installed = FOLDER / name / ".installed"
    if not installed.exists():
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER / name)], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        for packages in OTHERS[name]:
            subprocess.run([*pip, *packages], check=True, timeout=INSTALL_LIMIT_S)
        installed.touch()
    return python


def sources_of(commit: str) -> Path:
    """A copy of the project's files as of a commit."""
    folder = FOLDER / commit
    if not folder.exists():
        command = ["git", "archive", commit, "facemotion"]
        archive = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
    return folder


def compose(folder: Path) -> dict[str, Path]:
    """The pictures, as PNG."""
    from PIL import Image  # noqa: PLC0415

    made = {
        "frame 640 x 480, 1 face": pictures.frame(1),
        "frame 640 x 480, 5 faces": pictures.frame(5),
        "photo 1280 x 720, 5 faces": pictures.small_photo(5),
    }
    files = {name: folder / f"picture-{index}.png" for index, name in enumerate(made)}
    for name, pixels in made.items():
        Image.fromarray(pixels).save(files[name])
    return files


@contextmanager
def contender(command: list[str], tree: Path) -> Iterator[subprocess.Popen[str]]:
    """A program of contender.py that has loaded its models."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(tree), "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=os.environ | quiet,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if not process.stdout.readline():  # type: ignore[union-attr]
            raise ValueError((process.communicate()[1].strip().splitlines() or ["no reason given"])[-1])
        yield process
    finally:
        process.kill()
        process.communicate()


def alternate(running: dict[str, subprocess.Popen[str]], files: dict[str, Path]) -> dict[str, Any]:
    """Each picture in turn by all, several times over; no two at the same time."""
    times: dict[tuple[str, str], list[float]] = {}
    faces: dict[tuple[str, str], int] = {}
    for _ in range(ROUNDS):
        for kind, file in files.items():
            for name, process in running.items():
                said = ask(process, {"picture": str(file), "count": COUNT})
                times.setdefault((name, kind), []).extend(said["ms"])
                faces[name, kind] = said["faces"]
    return {
        name: {kind: {"ms": summary(times[name, kind]), "faces": faces[name, kind]} for kind in files}
        for name in running
    }


def ask(process: subprocess.Popen[str], wish: dict[str, Any]) -> dict[str, Any]:
    """The answer of a program of contender.py, which says what may be wished for."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(wish) + "\n")
    process.stdin.flush()
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said
