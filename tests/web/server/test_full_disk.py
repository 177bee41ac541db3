"""A full disk beneath the server and the command line: a sentence, and nothing half-written is left."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.visitors import API, Visitor, photo, rest
from facemotion.webui.gradio_patches import atomic_files
from tests.support.servers import running
from tests.support.servers.running import Server
from tests.unit.cli.test_cli import run
from tests.unit.cli.test_cli_delivery import pipeline  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

SIZE = 6_000_000  # of the disk; the example photos of the page take 1.6 MB of it
TELLING = "no room"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of `SIZE` bytes, where this user may mount one."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system; ENOSPC is tested at the one write")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


@pytest.fixture(scope="module")
def server(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running.server(tmp_path_factory.mktemp("server"), GRADIO_TEMP_DIR=str(disk)) as started:
        yield started


@pytest.fixture
def fill(disk: Path) -> Iterator[Callable[[int], None]]:
    """Leaves so many bytes free, until the test ends."""
    filler = disk / "filler"

    def until(free: int) -> None:
        filler.unlink(missing_ok=True)
        filler.write_bytes(bytes(max(0, room(disk) - free)))

    yield until
    filler.unlink(missing_ok=True)


def room(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def contents(disk: Path) -> dict[Path, int]:
    """Every file and its size, and every folder but those that gradio made for an upload that then failed."""
    return {path: path.stat().st_size for path in disk.rglob("*") if path.is_file()}


def test_an_upload_that_does_not_fit_is_refused_and_deleted(
    server: Server, disk: Path, fill: Callable[[int], None]
) -> None:
    fill(400_000)
    before = contents(disk)
    with Visitor(server.url) as visitor:
        answer = visitor.http.post(f"{API}/upload", files={"files": ("large.jpg", bytes(1_000_000))})
        assert (answer.status_code, answer.json()["title"]) == (507, "storage")
        assert TELLING in answer.json()["error"]
        assert contents(disk) == before
        assert visitor.upload("small.jpg", photo("fr_obama.jpg"))


def test_a_result_that_does_not_fit_is_an_error_and_the_next_one_that_fits_is_not(
    server: Server, disk: Path, fill: Callable[[int], None]
) -> None:
    with Visitor(server.url) as visitor:
        picture = visitor.upload("small.jpg", photo("fr_obama.jpg"))
        fill(8192)
        before = contents(disk)
        find = visitor.event("fm-gallery-run", "click")
        for outcome in (
            visitor.call(visitor.endpoint("annotate"), [picture, None, "auto"]),
            rest(visitor.http, "annotate", [picture]),
            visitor.call(find, [[picture]]),
        ):
            assert (outcome.kind, outcome.code) == ("error", "storage")
            assert TELLING in outcome.sentence
            assert contents(disk) == before
        assert visitor.call(visitor.endpoint("analyze"), [picture, None, "auto"]).kind == "complete"  # writes nothing
        fill(2_000_000)
        assert visitor.call(visitor.endpoint("annotate"), [picture, None, "auto"]).kind == "complete"
        assert visitor.call(find, [[picture]]).kind == "complete"
    assert server.log.read_text().count("a request failed with") >= 3  # whoever runs the server is told


@pytest.mark.usefixtures("pipeline")
def test_the_command_line_says_what_it_could_not_write(
    disk: Path, fill: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fill(0)
    before = contents(disk)
    assert run("a.jpg", "--csv", str(disk / "out.csv"), "--annotate", str(disk)) == 1
    said = capsys.readouterr()
    assert said.err.count("No space left on device") == 2
    assert "a.jpg" in said.out  # the results are there
    assert contents(disk) == before


def test_the_one_write_of_results_is_whole_or_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))  # writing more fails as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            atomic_files.save_bytes(bytes(1_000_001), "result.csv", str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    path = Path(atomic_files.save_bytes(b"result", "result.csv", str(tmp_path)))
    assert (path.name, path.read_bytes()) == ("result.csv", b"result")
    assert atomic_files.save_bytes(b"result", "result.csv", str(tmp_path)) == str(path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
