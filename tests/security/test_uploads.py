"""The folder of uploads: private, one for each server, and gone afterwards."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from pathlib import Path

import pytest

from facemotion.webui.server import upload_folder as uploads


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What GRADIO_TEMP_DIR names; the test's own folders in it need no deletion when Python ends."""
    monkeypatch.setattr(uploads.atexit, "register", lambda *_: None)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "named"))
    return (tmp_path / "named").resolve()


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_each_server_has_a_folder_of_its_own(parent: Path) -> None:
    first = uploads.use_own_folder()
    assert first.parent == parent
    assert os.environ["GRADIO_TEMP_DIR"] == str(first)
    os.environ["GRADIO_TEMP_DIR"] = str(parent)
    assert uploads.use_own_folder() != first


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such mode")
def test_nobody_else_may_open_it(parent: Path) -> None:
    assert stat.S_IMODE(uploads.use_own_folder().stat().st_mode) == 0o700


def test_unless_one_is_named_it_lies_among_the_temporary_files(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert uploads.use_own_folder().parent == tmp_path.resolve()


def test_only_what_killed_servers_left_is_deleted_at_start(parent: Path) -> None:
    parent.mkdir()
    names = ("facemotion-uploads-dead", "facemotion-uploads-alive", "gradio")
    dead, alive, other = folders = [parent / name for name in names]
    for folder in folders:
        (folder / "hash").mkdir(parents=True)
        (folder / "hash" / "photo.jpg").write_bytes(b"photo")
    aged(dead, 3700)
    aged(alive, 400)
    aged(other, 9000)
    (parent / "facemotion-uploads-link").symlink_to(other, target_is_directory=True)
    uploads.use_own_folder()
    assert [folder.exists() for folder in folders] == [False, True, True]
    assert (other / "hash" / "photo.jpg").exists()


@pytest.mark.parametrize(("later_s", "remains"), [(0, True), (2900, True), (3100, False)])
def test_files_go_after_fifty_minutes(
    later_s: float, remains: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("example.jpg", "upload.jpg"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"photo")
    kept = tmp_path / "example.jpg" / "example.jpg"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + later_s)
    uploads.delete_old(tmp_path, frozenset([kept]))
    assert kept.exists()
    assert (tmp_path / "upload.jpg" / "upload.jpg").exists() is remains


def test_folders_go_when_they_have_been_empty_as_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gradio makes one for each upload and leaves it there: millions, in time."""
    for name in ("empty", "full"):
        (tmp_path / name / "inner").mkdir(parents=True)
    (tmp_path / "full" / "inner" / "example.jpg").write_bytes(b"photo")
    kept = frozenset(uploads.files(tmp_path))
    now = time.time()
    uploads.delete_old(tmp_path, kept)
    assert (tmp_path / "empty" / "inner").exists()
    for later_s in (3100, 6200):  # a folder has changed when the one inside it went
        monkeypatch.setattr(time, "time", lambda: now + later_s)  # noqa: B023 - called at once
        uploads.delete_old(tmp_path, kept)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["full", "inner", "example.jpg"]


def test_empty_files_take_room_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    for index in range(10):
        (tmp_path / f"{index}.jpg").touch()
    (tmp_path / "large.jpg").write_bytes(bytes(1_000_000))
    assert uploads.used_bytes() == 10 * uploads.LEAST_BYTES + 1_000_000


def test_a_file_that_gradio_just_deleted_is_no_error(tmp_path: Path) -> None:
    assert uploads.age_s(tmp_path / "gone") == 0
