"""`facemotion batch` from and to a real S3 server, moto's on loopback: the same rows as from a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs, parquet

from facemotion.batch import storage
from facemotion.batch.results import Results
from facemotion.batch.sources import Listing
from tests.support.batch_runs import finish_all, rows, tiny_pictures, without_paths, worker
from tests.support.batch_session import KEYS, Session

# moto's own, in a thread of its own, at the end of the process
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[Any, str]]:
    """An S3 with the bucket "archive": its file system, and the options with which an address reaches it."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in KEYS.items():
            environment.setenv(name, value)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        options = f"?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        s3 = fs.S3FileSystem(
            endpoint_override=f"{host}:{port}", scheme="http", region="us-east-1", allow_bucket_creation=True
        )
        s3.create_dir("archive")
        yield s3, options
        storage._store.cache_clear()
        server.stop()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, face: np.ndarray) -> Path:
    return tiny_pictures(tmp_path_factory.mktemp("batch") / "pictures", face, 20)


@pytest.fixture(scope="module")
def local_rows(pictures: Path) -> list[dict[str, Any]]:
    finish_all(worker(pictures.parent / "local", pictures))
    return without_paths(rows(pictures.parent / "local"))


@pytest.fixture
def source(store: tuple[Any, str], pictures: Path, request: pytest.FixtureRequest) -> str:
    """The pictures as objects below a prefix of this test's own: its address without options."""
    prefix = f"archive/{request.node.name}/in"
    for file in pictures.iterdir():
        with store[0].open_output_stream(f"{prefix}/2020/{file.name}") as target:
            target.write(file.read_bytes())
    return f"s3://{prefix}"


def fetched(store: tuple[Any, str], out: str, folder: Path) -> list[dict[str, Any]]:
    """All rows of results in the store."""
    folder.mkdir()
    for info in store[0].get_file_info(fs.FileSelector(out.removeprefix("s3://"))):
        if info.path.endswith(".parquet"):
            parquet.write_table(parquet.read_table(info.path, filesystem=store[0]), folder / info.base_name)
    return rows(folder)


def test_a_bucket_gives_the_rows_of_a_folder(
    store: tuple[Any, str], source: str, local_rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = source.replace("/in", "/out")
    records = finish_all(worker(out + store[1], source + store[1]))
    assert all("failed" not in record for record in records)
    found = fetched(store, out, tmp_path / "fetched")
    assert found[0]["path"] == f"{source}/2020/000.png"  # without the store's options
    assert without_paths(found) == local_rows


def test_globs_and_lists_of_objects(store: tuple[Any, str], source: str, tmp_path: Path) -> None:
    listing = Listing([f"{source}/*/00[12].png{store[1]}"])
    assert [item.address for item in listing] == [f"{source}/2020/00{n}.png{store[1]}" for n in (1, 2)]
    with store[0].open_output_stream(f"{source.removeprefix('s3://')}/list.txt") as target:
        target.write(b"2020/003.png\n2020/gone.png\n")
    finish_all(worker(tmp_path, f"{source}/list.txt{store[1]}"))
    assert [row["error_code"] for row in rows(tmp_path)] == [None, "missing"]


def test_a_video_of_a_store_is_one_also_with_options(store: tuple[Any, str], source: str) -> None:
    with store[0].open_output_stream(f"{source.removeprefix('s3://')}/films/clip.mp4") as target:
        target.write(b"any")
    kinds = [item.kind for item in Listing([f"{source}/films{store[1]}"])]
    store[0].delete_file(f"{source.removeprefix('s3://')}/films/clip.mp4")
    assert store[1] and kinds == ["video"]


def test_a_bucket_that_vanishes_ends_the_run_and_a_missing_object_does_not(
    store: tuple[Any, str], source: str, tmp_path: Path
) -> None:
    one = worker(tmp_path, source + store[1], step=5)
    inside = source.removeprefix("s3://")
    store[0].delete_file(f"{inside}/2020/001.png")
    assert one.finish(0)["errors"] == {"missing": 1}
    store[0].delete_dir(inside)
    failed = one.finish(1)["failed"]
    assert failed[0] == "source_gone" and "--resume" in failed[1]
    assert not (tmp_path / "part-000001.parquet").exists()


def test_a_record_in_a_bucket_counts_only_with_its_file(store: tuple[Any, str], source: str) -> None:
    out = source.replace("/in", "/out")
    one = worker(out + store[1], source + store[1])
    finish_all(one)
    store[0].delete_file(f"{out.removeprefix('s3://')}/part-000001.parquet")
    results = Results(storage.locate(out + store[1]))
    assert [record["number"] for record in results.records(one._job.size.parts())] == [0, 2]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_command_goes_from_bucket_to_bucket_and_goes_on(
    one_ray: Session, store: tuple[Any, str], source: str, local_rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = source.replace("/in", "/out")
    given = [source + store[1], "--out", out + store[1], "--part-pictures", "5", "--concurrency", "1"]
    assert "20 pictures" in one_ray.finish(*given)
    store[0].delete_file(f"{out.removeprefix('s3://')}/_facemotion/done/part-000002.json")
    assert "3 of the files were there already" in one_ray.finish(*given, "--resume")
    assert without_paths(fetched(store, out, tmp_path / "fetched")) == local_rows
