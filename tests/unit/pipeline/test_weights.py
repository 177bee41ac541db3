"""Weights: what the Hub hands over is verified, what goes wrong is named, and nothing waits for ever."""

from __future__ import annotations

import errno
import hashlib
import time
from collections import Counter
from pathlib import Path

import pytest

from facemotion import settings, weights
from facemotion.errors import (
    AccessDenied,
    ChecksumMismatch,
    HubUnavailable,
    RevisionNotFound,
    StorageError,
    UnknownModel,
    WeightsError,
)
from facemotion.settings import Reference
from tests.support.hub.downloads import Faults, Hub

REPO = "you/faces"
CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64
FILES = {"model.safetensors": CONTENT, "config.json": b'{"labels": []}\n'}
TOKEN = "hf_secretsecretsecret"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def revision(hub: Hub) -> str:
    return hub.publish(REPO, FILES)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HUB_TIMEOUT_S", 1)


@pytest.mark.parametrize("filename", FILES)
def test_a_file_is_fetched_and_verified(hub: Hub, revision: str, filename: str) -> None:
    path = weights.resolve(Reference(REPO), filename)
    assert path.read_bytes() == FILES[filename]
    assert weights.pinned(Reference(REPO), path) == Reference(REPO, revision, weights.sha256(path))


def test_a_pinned_revision_in_the_cache_is_answered_without_a_request(hub: Hub, revision: str) -> None:
    reference = Reference(REPO, revision, SHA256)
    first = weights.resolve(reference, "model.safetensors")
    hub.requests.clear()
    hub.faults.hang = True
    assert weights.resolve(reference, "model.safetensors") == first
    assert hub.requests == []


def test_an_unpinned_one_in_the_cache_serves_while_the_hub_is_down(hub: Hub, revision: str, impatient: None) -> None:
    first = weights.resolve(Reference(REPO), "model.safetensors")
    hub.__exit__()
    assert weights.resolve(Reference(REPO), "model.safetensors") == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(hang=True), "within 1 seconds"),
        (Faults(status=Counter({429: 99})), "status 429"),
        (Faults(status=Counter({429: 99}), headers={"Retry-After": "600"}), "status 429"),
        (Faults(status=Counter({503: 99})), "status 503"),
        (Faults(pause_s=2), "within 1 seconds"),
    ],
    ids=["hangs", "429", "429 for ten minutes", "503", "body hangs"],
)
def test_no_answer_is_bounded_by_our_own_limit(
    hub: Hub, revision: str, impatient: None, faults: Faults, reason: str
) -> None:
    hub.faults = faults
    started = time.monotonic()
    with pytest.raises(HubUnavailable, match=reason):
        weights.resolve(Reference(REPO, revision), "model.safetensors")
    assert time.monotonic() - started < 4


@pytest.mark.slow
def test_a_body_that_crawls_but_moves_is_waited_for(hub: Hub, revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HUB_TIMEOUT_S", 3)
    hub.faults.pause_s = 0.6  # eight pieces: 4.8 seconds in all, with never three of silence
    assert weights.resolve(Reference(REPO, revision, SHA256), "model.safetensors").read_bytes() == CONTENT


def test_a_hub_that_is_down_is_named(hub: Hub, revision: str) -> None:
    hub.__exit__()
    started = time.monotonic()
    with pytest.raises(HubUnavailable, match=f"model.safetensors of {REPO}"):
        weights.resolve(Reference(REPO, revision), "model.safetensors")
    assert time.monotonic() - started < 2  # at once: a page may be waiting to start


def test_one_429_is_waited_out(hub: Hub, revision: str) -> None:
    hub.faults = Faults(status=Counter({429: 1}), headers={"Retry-After": "0"})
    assert weights.resolve(Reference(REPO, revision), "config.json").read_bytes() == FILES["config.json"]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {"X-Error-Code": "RepoNotFound"}),
        (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
        (403, {"X-Error-Code": "GatedRepo"}),
        (403, {"X-Error-Message": "Access to this resource is disabled."}),
        (403, {}),
        (404, {"X-Error-Code": "RepoNotFound"}),
    ],
)
def test_no_access_names_the_repository_and_never_the_token(
    hub: Hub, revision: str, monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.faults = Faults(status=Counter({status: 99}), headers=headers)
    with pytest.raises(AccessDenied) as caught:
        weights.resolve(Reference(REPO, revision), "model.safetensors")
    assert REPO in caught.value.message
    assert "HF_TOKEN" in caught.value.message
    assert not _mentions(caught.value, TOKEN)


def _mentions(error: BaseException | None, text: str) -> bool:
    """Whether the text stands in the error or in one that it came from, as a traceback would print them."""
    return error is not None and (text in f"{error} {error!r}" or _mentions(error.__cause__ or error.__context__, text))


@pytest.mark.parametrize(
    ("reference", "filename", "error", "named"),
    [
        (Reference("you/nothing"), "model.safetensors", AccessDenied, "you/nothing"),
        (Reference(REPO, "f" * 40), "model.safetensors", RevisionNotFound, "f" * 40),
        (Reference(REPO), "model.pt", RevisionNotFound, "model.pt"),
        (Reference("you/a--b"), "model.pt", UnknownModel, "you/a--b"),
    ],
)
def test_what_is_not_there_is_named(  # noqa: PLR0917
    hub: Hub, revision: str, reference: Reference, filename: str, error: type[WeightsError], named: str
) -> None:
    with pytest.raises(error, match=named):
        weights.resolve(reference, filename)


@pytest.mark.slow
def test_a_body_that_breaks_off_is_resumed(hub: Hub, revision: str) -> None:
    hub.faults.cut = 1
    assert weights.resolve(Reference(REPO, revision, SHA256), "model.safetensors").read_bytes() == CONTENT
    assert len(hub.ranges) == 1


@pytest.mark.parametrize("sha256", [SHA256, None])
@pytest.mark.parametrize("filename", FILES)
def test_wrong_bytes_are_fetched_once_more(hub: Hub, revision: str, filename: str, sha256: str | None) -> None:
    hub.faults.damage = 1
    sha256 = hashlib.sha256(FILES[filename]).hexdigest() if sha256 else None
    assert weights.resolve(Reference(REPO, revision, sha256), filename).read_bytes() == FILES[filename]


@pytest.mark.parametrize(("sha256", "damage"), [(SHA256, 9), (None, 9), (OTHER, 0)])
def test_wrong_bytes_again_are_an_error_and_deleted(
    hub: Hub, revision: str, tmp_path: Path, sha256: str | None, damage: int
) -> None:
    hub.faults.damage = damage
    with pytest.raises(ChecksumMismatch, match=f"model.safetensors of {REPO}"):
        weights.resolve(Reference(REPO, revision, sha256), "model.safetensors")
    assert sum(method == "GET" and path.startswith("/large") for method, path in hub.requests) == 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size == len(CONTENT)]


def test_a_file_damaged_in_the_cache_is_fetched_again(hub: Hub, revision: str) -> None:
    path = weights.resolve(Reference(REPO, revision), "model.safetensors")
    path.write_bytes(CONTENT[:-1] + b"x")
    assert weights.resolve(Reference(REPO, revision), "model.safetensors").read_bytes() == CONTENT


def test_content_kept_in_the_shared_store_is_verified_by_the_hubs_id(hub: Hub, revision: str, tmp_path: Path) -> None:
    """Files that came through Xet lie behind a second link, under a name that is not their SHA-256."""
    path = weights.resolve(Reference(REPO, revision), "model.safetensors")
    blob = path.parent / path.readlink()
    store = tmp_path / "hub-cache" / "blobs" / "aa" / ("a" * 64)
    store.parent.mkdir(parents=True)
    blob.rename(store)
    blob.symlink_to(store)
    hub.requests.clear()
    assert weights.resolve(Reference(REPO, revision), "model.safetensors").read_bytes() == CONTENT
    assert hub.requests == []
    store.write_bytes(CONTENT[:-1] + b"x")
    assert weights.resolve(Reference(REPO, revision), "model.safetensors").read_bytes() == CONTENT
    assert not store.exists()


def test_a_cache_folder_that_cannot_be_made_is_named(
    hub: Hub, revision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StorageError, match="file/cache"):
        weights.resolve(Reference(REPO, revision), "model.safetensors")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_full_or_read_only_disk_names_the_folder(
    hub: Hub, revision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", fail)
    with pytest.raises(StorageError, match="hub-cache"):
        weights.resolve(Reference(REPO, revision), "model.safetensors")


def test_embedded_weights_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.embedded("yunet").is_dir()
    monkeypatch.setattr("facemotion.weights.resources.files", lambda _: tmp_path)
    (tmp_path / "assets" / "net").mkdir(parents=True)
    file = tmp_path / "assets" / "net" / "model.onnx"
    file.write_bytes(CONTENT)
    (tmp_path / "assets" / weights.CHECKSUMS).write_text(f"{SHA256}  net/model.onnx\n")
    assert weights.embedded("net") == file.parent
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(ChecksumMismatch, match=r"net/model\.onnx"):
        weights.embedded("net")
    file.unlink()
    with pytest.raises(ChecksumMismatch, match=r"net/model\.onnx"):
        weights.embedded("net")
    with pytest.raises(UnknownModel, match="ne"):
        weights.embedded("ne")


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(CONTENT)
    before = weights._sha256.cache_info().misses
    assert weights.sha256(file) == weights.sha256(file) == SHA256
    assert weights._sha256.cache_info().misses == before + 1
    file.write_bytes(CONTENT + b"x")
    assert weights.sha256(file) == hashlib.sha256(CONTENT + b"x").hexdigest()
