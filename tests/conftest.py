"""What more than one test file needs: the example photos, the material beside the project, a running server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from facemotion import Pipeline
from tests.example_faces import PHOTOS
from tests.hub import Faults, Hub

if TYPE_CHECKING:
    from tests.running import Server

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "facemotion" / "assets" / "examples"
# The files that take longest. They run first, lest one of them begins when all others are done.
LONG = ("browser", "disconnects", "accessibility", "server_strangers", "thread_safety", "supply_chain", "load")
LONG += (
    "browser_webcam",
    "browser_camera",
    "uploads",
    "privacy",
    "images_strain",
    "walkthrough",
    "training_smoke",
    "training_processes",
    "batch_run",
)
START_LIMIT_S = 90  # importing torch, gradio and ultralytics on a busy machine takes 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; otherwise the order stays."""
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONG)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the example photos."""
    return EXAMPLES


@pytest.fixture(scope="session")
def photos(examples: Path) -> dict[str, np.ndarray]:
    """`PHOTOS` by name: RGB uint8 [H, W, 3]."""
    return {name: np.asarray(Image.open(examples / name).convert("RGB")) for name in PHOTOS}


@pytest.fixture(scope="session")
def face(photos: dict[str, np.ndarray]) -> np.ndarray:
    """A picture that is all face, 115 x 90 pixels."""
    return photos["astronaut.png"][62:177, 180:270]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch with one thread: two busy ones on two cores that others use as well take ten times as long."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def test_assets() -> Path:
    """The folder that FACEMOTION_TEST_ASSETS names; a test that needs it is skipped where it is not set."""
    folder = os.environ.get("FACEMOTION_TEST_ASSETS")
    if not folder:
        pytest.skip("FACEMOTION_TEST_ASSETS is not set: no material beside the project to test with")
    return Path(folder)


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The real pipeline on the embedded weights."""
    return Pipeline.from_pretrained()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """model.onnx of the embedded weights and its parity error: made once, because it takes ten seconds."""
    from facemotion import EmotionClassifier
    from training import onnx_export

    file = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return file, onnx_export.export(EmotionClassifier.from_pretrained("simplecnn"), file)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub on loopback that huggingface_hub in this process talks to, with an empty cache."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with Hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server
        server.faults = Faults()  # a download that was given up may still be running: let it come to its end
        for thread in threading.enumerate():
            if thread.name.startswith("download "):
                thread.join(timeout=30)
        close_session()


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of `app_url` has its log.txt, and in uploads/ its visitors' files."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def app_url(server_folder: Path) -> Iterator[str]:
    """The address of a real server, app.py in a process of its own on a free port, for as long as the tests run."""
    folder = server_folder
    port = free_port()
    log = folder / "log.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=server_environment(port, folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_it_answers(server, url, log)
        yield url
    finally:
        stop(server)


@pytest.fixture(scope="session")
def strained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose models can be made to fail, with a short queue, one camera and hurried cleaning; it tells what it
    holds."""
    from tests import running

    limits = {"MAX_QUEUE": 12, "MAX_VIEWERS": 1, "STREAM_IDLE_S": 4, "STREAM_SECONDS": 8}
    settings = {f"FACEMOTION_{name}": str(value) for name, value in limits.items()}
    with running.server(tmp_path_factory.mktemp("strained"), **settings) as server:
        server.hurry()
        yield server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_environment(port: int, folder: Path) -> dict[str, str]:
    """This process's environment without its settings for facemotion and gradio: the server runs on the defaults."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACEMOTION_", "GRADIO_"))}
    return kept | {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(folder / "uploads"),
        "HF_HUB_OFFLINE": "1",
    }


def wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"app.py ended with status {server.returncode}:\n{log.read_text(errors='replace')[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"app.py did not answer within {START_LIMIT_S} s:\n{log.read_text(errors='replace')[-3000:]}")


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
