"""Faults of the Hub, of the disk and of what is published, made for real: the app starts all the same, within its own
time, and says on what weights and why."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from facemotion import EMOTIONS, EmotionClassifier, settings, weights
from facemotion.errors import StorageError
from facemotion.settings import Reference
from tests.support.hub.downloads import Faults, Hub

ROOT = Path(__file__).resolve().parents[3]
REPO = "you/facemotion"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
NOBODY = 65534
LIMIT_S = 3  # settings.HUB_TIMEOUT_S here

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The embedded model, as it would be published."""
    folder = weights.embedded("simplecnn")
    return {name: (folder / name).read_bytes() for name in (WEIGHTS, CONFIG)}


@pytest.fixture
def pin(hub: Hub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Reference:
    """The app is told to serve published weights, and waits for the Hub no longer than `LIMIT_S`."""
    reference = Reference(REPO, hub.publish(REPO, files), hashlib.sha256(files[WEIGHTS]).hexdigest())
    monkeypatch.setenv("FACEMOTION_WEIGHTS", str(reference))
    monkeypatch.setattr(settings, "HUB_TIMEOUT_S", LIMIT_S)
    return reference


def serves_embedded() -> str:
    """Starts as the app does; what is said about the weights that serve instead of the ones asked for."""
    classifier = EmotionClassifier.from_pretrained()
    assert classifier.description.startswith(f"{settings.CLASSIFIER} (embedded")
    assert classifier.notice and "but the embedded weights serve" in classifier.notice
    assert os.environ["FACEMOTION_WEIGHTS"] in classifier.notice
    return classifier.notice


def test_1_the_hub_is_down_and_the_pinned_weights_are_in_the_cache(hub: Hub, pin: Reference) -> None:
    EmotionClassifier.from_pretrained()
    hub.requests.clear()
    hub.__exit__()
    started = time.monotonic()
    classifier = EmotionClassifier.from_pretrained()
    assert classifier.notice is None and f"{REPO}@{pin.revision} (Hub" in classifier.description
    assert hub.requests == [] and time.monotonic() - started < LIMIT_S


def test_2_the_hub_is_down_and_nothing_is_in_the_cache(hub: Hub, pin: Reference) -> None:
    hub.__exit__()
    started = time.monotonic()
    assert "The Hub cannot be reached" in serves_embedded()
    assert time.monotonic() - started < LIMIT_S  # at once: no connection, no waiting


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(hang=True), f"within {LIMIT_S} seconds"),
        (Faults(status=Counter({429: 99}), headers={"Retry-After": "1"}), "status 429"),
        (Faults(status=Counter({429: 99}), headers={"Retry-After": "3600"}), "status 429"),
    ],
    ids=["3 hangs", "4 429", "4 429 for an hour"],
)
def test_3_and_4_no_answer_is_waited_for_no_longer_than_our_limit(
    hub: Hub, pin: Reference, faults: Faults, reason: str
) -> None:
    hub.faults = faults
    started = time.monotonic()
    assert reason in serves_embedded()
    assert time.monotonic() - started < 4 * LIMIT_S


@pytest.mark.parametrize("status", [401, 403], ids=["no such repository", "gated"])
def test_5_no_access_names_the_repository_and_never_the_token(
    hub: Hub, pin: Reference, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    hub.faults = Faults(status=Counter({status: 99}))
    notice = serves_embedded()
    assert f"does not give access to {REPO}" in notice and "HF_TOKEN" in notice and "hf_secret" not in notice


def test_6_a_revision_that_is_not_there_is_named(hub: Hub, pin: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMOTION_WEIGHTS", f"{REPO}@{'f' * 40}")
    assert f"has no revision '{'f' * 40}'. Check the pin." in serves_embedded()


def test_6_a_file_that_is_not_there_is_named(
    hub: Hub, files: dict[str, bytes], pin: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = hub.publish(REPO, {WEIGHTS: files[WEIGHTS]})
    monkeypatch.setenv("FACEMOTION_WEIGHTS", f"{REPO}@{revision}")
    assert f"has no file {CONFIG} at revision '{revision}'" in serves_embedded()


def test_7_a_body_that_breaks_off_is_resumed_where_it_broke(hub: Hub, files: dict[str, bytes], pin: Reference) -> None:
    hub.faults.cut = 2
    assert EmotionClassifier.from_pretrained().notice is None
    first, second = (int(re.findall(r"\d+", range_)[0]) for range_ in hub.ranges)
    size, piece = len(files[WEIGHTS]), weights._CHUNK_BYTES  # less than a piece is lost with each break
    assert size // 2 - piece < first <= size // 2
    assert (first + size) // 2 - piece < second <= (first + size) // 2


def test_8_wrong_bytes_are_fetched_once_more_and_then_refused(hub: Hub, pin: Reference, tmp_path: Path) -> None:
    hub.faults.damage = 1
    assert EmotionClassifier.from_pretrained().notice is None
    for file in tmp_path.rglob("*"):
        if file.is_symlink():
            file.resolve().unlink()
            file.unlink()
    hub.faults.damage = 99
    hub.requests.clear()
    assert f"{WEIGHTS} of {REPO} does not have the SHA-256 {pin.sha256}" in serves_embedded()
    assert sum(method == "GET" and path.startswith("/large") for method, path in hub.requests) == 2
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_size > 1_000_000]


def other_shape(content: bytes) -> bytes:
    tensors = load_tensors(content)
    tensors["surplus"] = tensors.pop("head.1.bias")
    tensors["head.5.bias"] = torch.zeros(8)
    return save_tensors(tensors)


def other_labels(content: bytes) -> bytes:
    return json.dumps(json.loads(content) | {"labels": ["joy", *EMOTIONS[1:]]}).encode()


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        (
            {WEIGHTS: other_shape},
            ["head.1.bias is missing", "surplus is unknown", "head.5.bias is (8,), not (7,)"],
        ),
        ({CONFIG: other_labels}, ["The labels are ['joy', 'disgust'", "but must be ['angry', 'disgust'"]),
    ],
    ids=["tensors", "labels"],
)
def test_9_what_does_not_fit_is_refused_with_its_differences(
    hub: Hub,
    pin: Reference,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Callable[[bytes], bytes]],
    differences: list[str],
) -> None:
    good = hub.repositories[REPO].commits[hub.repositories[REPO].main]
    revision = hub.publish(REPO, good | {name: change(good[name]) for name, change in changes.items()})
    monkeypatch.setenv("FACEMOTION_WEIGHTS", f"{REPO}@{revision}")
    notice = serves_embedded()
    assert [text for text in differences if text not in notice] == []


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_10_a_pickle_is_refused_and_not_opened(
    hub: Hub, files: dict[str, bytes], pin: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = pickle.dumps(Bomb(tmp_path / "exploded"))
    pin = Reference(REPO, hub.publish(REPO, files | {WEIGHTS: content}), hashlib.sha256(content).hexdigest())
    monkeypatch.setenv("FACEMOTION_WEIGHTS", str(pin))
    assert f"{WEIGHTS} is not in the safetensors format, and nothing else is loaded" in serves_embedded()
    assert not (tmp_path / "exploded").exists()
    pickle.loads(content)
    assert (tmp_path / "exploded").exists(), "the bomb is none: the test shows nothing"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: writing more fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_11_a_disk_that_takes_no_more_names_the_folder(hub: Hub, pin: Reference, tmp_path: Path) -> None:
    with largest_file(1_000_000):
        notice = serves_embedded()
    assert f"{WEIGHTS} cannot be stored in the cache folder {tmp_path / 'hub-cache'}" in notice
    assert EmotionClassifier.from_pretrained().notice is None  # there is room again


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write where nobody else may: as somebody else, for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_11_a_read_only_cache_names_the_folder(hub: Hub, pin: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    EmotionClassifier.from_pretrained()  # all that is imported on the way is: somebody else might not read it
    with tempfile.TemporaryDirectory() as folder:  # not pytest's, which only its user may enter
        Path(folder).chmod(0o555)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", folder)
        with unprivileged(), pytest.raises(StorageError, match=re.escape(f"the cache folder {folder}")) as caught:
            weights.resolve(pin, WEIGHTS)
        Path(folder).chmod(0o755)
    cause = caught.value.__cause__
    assert isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EROFS)


def test_12_two_processes_that_download_at_once_both_succeed(
    hub: Hub, files: dict[str, bytes], pin: Reference, tmp_path: Path
) -> None:
    hub.faults = Faults(hang=True, pause_s=0.1)  # none is answered before both have asked
    program = (
        "import sys; from facemotion import weights; from facemotion.settings import Reference; "
        f"print(weights.sha256(weights.resolve(Reference.parse(sys.argv[1]), {WEIGHTS!r})))"
    )
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "FACEMOTION_HUB_TIMEOUT_S": "60",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(pin)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    deadline = time.monotonic() + 60
    while len(hub.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    hub.faults.hang = False
    ended = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], [error[-500:] for _, error in ended]
    assert [output.strip() for output, _ in ended] == [pin.sha256, pin.sha256]
    whole = [file for file in (tmp_path / "home").rglob("*") if file.is_file() and not file.is_symlink()]
    assert [file.stat().st_size for file in whole if file.stat().st_size > 1000] == [len(files[WEIGHTS])]
