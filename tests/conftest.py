"""What more than one test file needs: the example photos, the material beside the project, a running server."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from facemotion import Pipeline
from tests.support.media.example_faces import PHOTOS
from tests.support.servers.processes import ROOT

if TYPE_CHECKING:
    from gradio_client import Client
    from xdist.scheduler import Scheduling

    from tests.support.hub.downloads import Hub
    from tests.support.servers.running import Server

EXAMPLES = ROOT / "facemotion" / "assets" / "examples"
# The files that take longest. They run first, lest one of them begins when all others are done.
LONG = ("tabs", "disconnects", "accessibility", "server_strangers", "thread_safety", "supply_chain", "load")
LONG += ("webcam", "camera", "privacy", "images_strain", "walkthrough", "smoke", "distributed", "batch_run")
LONG += ("inputs_server", "batch_nodes", "batch_resume", "train_heads", "train", "unasked", "gradio_patches")
# A file of which every test is slow.
SLOW = re.compile(r"^pytestmark = (?:\[[^]]*)?pytest\.mark\.slow\b", re.MULTILINE)
# Fixtures that many files share, made once for each worker: two servers, an export to ONNX, and a Ray.
SHARED = ("strained", "app_url", "quick_export", "one_ray")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves slow files unread where slow tests are not asked for: what they import takes seconds."""
    if config.getoption("markexpr") != "not slow" or not collection_path.match("test_*.py"):
        return None
    return True if SLOW.search(collection_path.read_text(encoding="utf-8")) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, marked `slow`; otherwise the order stays. What lies in tests/browser is marked `browser`."""
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONG)
    for item in items:
        if item.path.stem.removeprefix("test_") in LONG:
            item.add_marker(pytest.mark.slow)
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Deals out whole files, and those that share a server or an export to one worker, which makes it but once."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByShared(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return piece_of(nodeid.partition("::")[0])

    return ByShared(config, log)


@cache
def piece_of(file: str) -> str:
    """What a file of tests is dealt out with: those that name the same of `SHARED`, but browsers apart; else itself."""
    text = (ROOT / file).read_text(encoding="utf-8")
    shared = next((name for name in SHARED if re.search(rf"\b{name}\b", text)), None)
    return f"{shared}, {Path(file).parent.name == 'browser'}" if shared else file


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


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--arithmetic`: what training computes in, instead of what the processor does fastest."""
    parser.addoption("--arithmetic", choices=("float32", "bfloat16"))


@pytest.fixture(scope="session", autouse=True)
def chosen_arithmetic(pytestconfig: pytest.Config) -> Iterator[None]:
    """Forces the choice of `--arithmetic` on all tests but those that take `arithmetic`."""
    if not (choice := pytestconfig.getoption("--arithmetic")):
        yield
        return
    from tests.support.training import arithmetic

    with pytest.MonkeyPatch.context() as patch:
        arithmetic.force(choice, patch)
        yield


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def arithmetic(request: pytest.FixtureRequest) -> Iterator[str]:
    """Training forced to float32 and then to bfloat16, on any processor; see tests/support/training/arithmetic.py."""
    from tests.support.training import arithmetic

    with pytest.MonkeyPatch.context() as patch:
        arithmetic.force(request.param, patch)
        yield request.param


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
    from training.expression import onnx_export

    file = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return file, onnx_export.export(EmotionClassifier.from_pretrained("simplecnn"), file)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub on loopback that huggingface_hub in this process talks to, with an empty cache."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    from tests.support.hub.downloads import Faults, Hub

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


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    """A `gradio_client` of that server."""
    from gradio_client import Client

    client = Client(app_url, verbose=False)
    yield client
    client.close()


@pytest.fixture(scope="session")
def app_url(server_folder: Path) -> Iterator[str]:
    """The address of a real server, app.py in a process of its own on a free port, for as long as the tests run."""
    from tests.support.servers import visitor

    with visitor.server(server_folder) as running:
        yield running.url


@pytest.fixture(scope="session")
def strained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose models can be made to fail, with a short queue, one camera and hurried cleaning; it tells what it
    holds."""
    from tests.support.servers import running

    limits = {"MAX_QUEUE": 12, "MAX_VIEWERS": 1, "STREAM_IDLE_S": 4, "STREAM_SECONDS": 8}
    settings = {f"FACEMOTION_{name}": str(value) for name, value in limits.items()}
    with running.server(tmp_path_factory.mktemp("strained"), **settings) as server:
        server.hurry()
        yield server
