"""What one worker of `facemotion batch` does: rows, records, what cannot be read, what kills it, what has vanished."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from facemotion.batch import plan, storage, tries
from facemotion.batch.results import Results
from facemotion.batch.rows import SCHEMA
from facemotion.batch.sources import Item
from facemotion.errors import DestinationError, OtherRun
from facemotion.faces import EMOTIONS
from facemotion.pipeline import Pipeline
from tests.support.batch_runs import finish_all, rows, tiny_pictures, without_paths, worker
from tests.support.media.synthetic_videos import Recipe, write
from tests.support.servers.processes import ROOT


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, face: np.ndarray) -> Path:
    return tiny_pictures(tmp_path_factory.mktemp("batch") / "pictures", face, 20)


@pytest.fixture(scope="module")
def finished(pictures: Path) -> Path:
    """The results of `pictures`, made in this process."""
    out = pictures.parent / "finished"
    assert all("failed" not in record for record in finish_all(worker(out, pictures)))
    return out


def test_rows_are_what_the_pipeline_says(finished: Path, pictures: Path) -> None:
    found = rows(finished)
    assert {row["item"] for row in found} == set(range(20))
    pipeline = Pipeline.from_pretrained(detector="yunet")
    files = sorted(pictures.iterdir())
    for number, analysis in enumerate(pipeline.analyze_batch(files, detail="fast")):
        of_item = [row for row in found if row["item"] == number]
        assert {row["path"] for row in of_item} == {str(files[number])}
        if analysis.error is not None:
            assert [(row["error_code"], row["face"], row["width"]) for row in of_item] == [
                (analysis.error[0], None, None)
            ]
            continue
        assert [row["face"] for row in of_item] == [face.id for face in analysis.faces] or [None]
        assert {row["width"] for row in of_item} == {analysis.width}
        for row, one in zip(of_item, analysis.faces, strict=False):
            said = one.to_dict()
            assert [row[name] for name in ("x0", "y0", "x1", "y1")] == said["box"]
            assert {name: row[name] for name in EMOTIONS} == pytest.approx(said["probabilities"], abs=2e-4)
            assert (row["expression"], row["quality"]) == (said["expression"], said["quality"])
    assert sum(row["face"] is not None for row in found) >= 10
    assert {row["error_code"] for row in found} == {None, "not_an_image"}


def test_a_picture_without_faces_has_one_row_with_its_size(finished: Path) -> None:
    [blank] = [row for row in rows(finished) if row["item"] == 6]
    assert (blank["face"], blank["expression"], blank["error_code"], blank["width"]) == (None, None, None, 66)


def test_files_carry_the_schema_and_its_version(finished: Path) -> None:
    file = parquet.read_schema(finished / "part-000000.parquet")
    assert file.equals(SCHEMA)
    assert file.metadata[b"facemotion_schema"] == b"1"
    assert len(list(finished.glob("*.parquet"))) == 3  # of 8 pictures at most


def test_records_sum_up_the_parts(finished: Path) -> None:
    folder = finished / "_facemotion" / "done"
    records = [json.loads(file.read_text()) for file in sorted(folder.iterdir())]
    assert [record["items"] for record in records] == [8, 8, 4]
    assert sum(record["rows"] for record in records) == len(rows(finished))
    assert [record["errors"] for record in records] == [{}, {"not_an_image": 1}, {"not_an_image": 1}]
    assert records[0]["bytes"] == (finished / "part-000000.parquet").stat().st_size
    assert not list((finished / "_facemotion" / "tries").iterdir())


def test_a_finished_part_is_not_made_again(finished: Path, pictures: Path) -> None:
    before = (finished / "part-000001.parquet").stat().st_mtime_ns
    assert worker(finished, pictures).finish(1)["items"] == 8
    assert (finished / "part-000001.parquet").stat().st_mtime_ns == before


def test_a_part_that_is_made_again_is_the_same_file(finished: Path, pictures: Path, tmp_path: Path) -> None:
    finish_all(worker(tmp_path, pictures))
    for file in finished.glob("*.parquet"):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_a_record_counts_only_with_its_file_in_full(pictures: Path, tmp_path: Path) -> None:
    one = worker(tmp_path, pictures)
    finish_all(one)
    (tmp_path / "part-000000.parquet").write_bytes(b"half")
    (tmp_path / "part-000002.parquet").unlink()
    found = Results(storage.locate(str(tmp_path))).records(one._job.size.parts())
    assert [record["number"] for record in found] == [1]
    finish_all(one)
    assert [record["number"] for record in one._results.records(one._job.size.parts())] == [0, 1, 2]
    assert (tmp_path / "part-000002.parquet").is_file()


def test_bytes_in_a_parquet_file_give_the_same_rows(finished: Path, pictures: Path, tmp_path: Path) -> None:
    files = sorted(pictures.iterdir())
    table = pyarrow.table({"bytes": [file.read_bytes() for file in files] + [None]})
    parquet.write_table(table, tmp_path / "in.parquet", row_group_size=6)
    finish_all(worker(tmp_path / "out", tmp_path / "in.parquet"))
    found = rows(tmp_path / "out")
    assert found[-1]["path"] == f"{tmp_path}/in.parquet#20"
    assert found[-1]["error_code"] == "missing"
    unnamed = [{**row, "path": None} for row in found[:-1]]
    assert unnamed == [{**row, "path": None} for row in rows(finished)]


def test_nested_columns_as_hugging_face_writes_them(finished: Path, pictures: Path, tmp_path: Path) -> None:
    images = [{"bytes": file.read_bytes(), "path": file.name} for file in sorted(pictures.iterdir())]
    parquet.write_table(pyarrow.table({"image": [*images, None], "label": [0] * 21}), tmp_path / "in.parquet")
    finish_all(worker(tmp_path / "out", tmp_path / "in.parquet"))
    found = rows(tmp_path / "out")
    assert found[-1]["error_code"] == "missing"
    assert [{**row, "path": None} for row in found[:-1]] == [{**row, "path": None} for row in rows(finished)]
    (tmp_path / "000.png").write_bytes(images[0]["bytes"])
    finish_all(worker(tmp_path / "by path", tmp_path / "in.parquet", column="image.path"))
    assert [row["path"] for row in rows(tmp_path / "by path")][:2] == [f"{tmp_path}/000.png", f"{tmp_path}/001.png"]


def test_a_video_is_named_as_passed_over_or_analysed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "in" / "a.png")
    write(tmp_path / "in" / "b.mp4", recipe=Recipe(seconds=2.0))
    (tmp_path / "in" / "c.mp4").write_text("no video")
    finish_all(worker(tmp_path / "without", tmp_path / "in"))
    assert [row["error_code"] for row in rows(tmp_path / "without")] == [None, "video_skipped", "video_skipped"]
    records = finish_all(worker(tmp_path / "with", tmp_path / "in", videos=True, frames_per_s=2.0))
    found = [row for row in rows(tmp_path / "with") if row["path"].endswith("b.mp4")]
    times = sorted({row["time_s"] for row in found})
    assert times == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=0.06)
    assert all(row["face"] for row in found)
    assert records[-1]["frames"] == 4
    assert [row["error_code"] for row in rows(tmp_path / "with")][-1] == "not_a_video"


def test_whatever_lies_in_a_folder_becomes_a_row(tmp_path: Path) -> None:
    """Names with line breaks, spaces and letters that addresses use; what is no file, empty, or leads nowhere."""
    folder = tmp_path / "in"
    folder.mkdir()
    good = ["a\nb.png", "a b#1?x=1&y.png", "%41.png", "-o.png", "\N{SNOWMAN}.png", "'\"\t\\.png", "data:a.png", "*.png"]
    for name in good:
        Image.new("RGB", (40, 40)).save(folder / name, "png")
    os.mkfifo(folder / "pipe.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "gone.png").symlink_to("nowhere")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "folder.png").mkdir()
    records = finish_all(worker(tmp_path / "out", folder))
    assert all("failed" not in record for record in records)
    found = {row["path"].removeprefix(f"{folder}/"): row["error_code"] for row in rows(tmp_path / "out")}
    bad = {"pipe.png": "forbidden_source", "empty.png": "empty", "gone.png": "missing", "loop.png": "missing"}
    assert found == dict.fromkeys(good) | bad


def test_a_folder_that_could_not_be_searched_becomes_a_row(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("closed/x.png\n")
    one = worker(tmp_path / "out", tmp_path / "list.txt")
    plan.write(storage.locate(str(tmp_path / "out")).child("_facemotion").child("list"), [Item("picture", "/closed/")])
    assert one.finish(0)["errors"] == {"forbidden_source": 1}
    assert [row["path"] for row in rows(tmp_path / "out")] == ["/closed/"]


def test_a_source_that_vanishes_ends_the_run_and_a_missing_file_does_not(pictures: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for file in sorted(pictures.iterdir())[:4]:
        (source / file.name).write_bytes(file.read_bytes())
    one = worker(tmp_path / "out", source, step=2)
    (source / "001.png").unlink()
    assert one.finish(0)["errors"] == {"missing": 1}
    source.rename(tmp_path / "elsewhere")
    failed = one.finish(1)["failed"]
    assert failed[0] == "source_gone" and "--resume" in failed[1]
    assert not (tmp_path / "out" / "part-000001.parquet").exists()
    (tmp_path / "elsewhere").rename(source)
    assert one.finish(1)["items"] == 2


def test_rows_that_a_parquet_file_lost_end_the_run(pictures: Path, tmp_path: Path) -> None:
    data = [file.read_bytes() for file in sorted(pictures.iterdir())[:4]]
    source = tmp_path / "in.parquet"
    parquet.write_table(pyarrow.table({"bytes": data}), source)
    one = worker(tmp_path / "out", source, step=2)
    parquet.write_table(pyarrow.table({"bytes": data[:3]}), source)
    assert one.finish(0)["rows"] == 2
    failed = one.finish(1)["failed"]
    assert failed[0] == "source_gone" and "fewer rows" in failed[1]


def test_a_worker_with_other_models_makes_nothing(pictures: Path, tmp_path: Path) -> None:
    models = {"detector": "another", "classifier": "another"}
    failed = worker(tmp_path, pictures, models=models).finish(0)["failed"]
    assert failed[0] == "other_run" and "all machines" in failed[1]


def test_a_full_disk_ends_in_a_sentence_and_leaves_no_half_a_file(pictures: Path, tmp_path: Path) -> None:
    """A limit on the size of files is to a process what a full disk is; the kernel enforces both."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from facemotion.batch import storage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: storage.write(storage.locate(sys.argv[1]), bytes(5000))\n"
        "except Exception as error: print(error.code, error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "part")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("destination Results cannot be written") and "--resume" in result.stdout
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from facemotion import images
from facemotion.batch import results
from tests.support.batch_runs import finish_all, worker

load = images.load_picture
def killed_by_one(source):
    if str(source).endswith("003.png"):
        os.kill(os.getpid(), 9)  # as a native decoder may end the process that it runs in
    return load(source)
images.load_picture = killed_by_one
os.environ["OMP_NUM_THREADS"] = "1"
finish_all(worker(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.slow
def test_a_picture_that_kills_its_worker_becomes_a_row(pictures: Path, finished: Path, tmp_path: Path) -> None:
    for deaths in range(10):
        result = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), str(pictures)], cwd=ROOT, capture_output=True, check=False
        )
        if result.returncode == 0:
            assert deaths == 5  # two blind tries, one for the group, two for the picture
            break
        assert result.returncode == -9, result.stderr.decode()[-2000:]
    expected = [row for row in rows(finished) if row["item"] != 3]
    assert [row for row in rows(tmp_path) if row["item"] != 3] == expected
    [bad] = [row for row in rows(tmp_path) if row["item"] == 3]
    assert (bad["error_code"], bad["error"]) == (tries.CODE, tries.MESSAGE)


def test_a_folder_with_results_is_not_written_into(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "part-000000.parquet").write_bytes(b"")
    with pytest.raises(OtherRun, match="Parquet files already"):
        Results(storage.locate(str(tmp_path))).check_new()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError, match="is a file"):
        Results(storage.locate(str(tmp_path / "file"))).check_new()


def test_other_options_are_named_in_a_sentence(tmp_path: Path) -> None:
    results = Results(storage.locate(str(tmp_path)))
    begun = {"format": 1, "identity": {"detail": "auto", "detector": "yolo (embedded, 1)", "limit": None}}
    results.check_same(dict(begun["identity"]), begun)
    with pytest.raises(OtherRun, match=r"detail was auto, now fast; detector was yolo \(embedded, 1\), now yunet"):
        results.check_same({"detail": "fast", "detector": "yunet", "limit": None}, begun)


def test_what_killed_writers_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".part-000000.parquet.abc.part").write_bytes(b"half")
    (tmp_path / "_facemotion" / "done").mkdir(parents=True)
    (tmp_path / "_facemotion" / "done" / ".x.json.1.part").write_bytes(b"half")
    (tmp_path / "kept.parquet").write_bytes(b"")
    Results(storage.locate(str(tmp_path))).clean()
    left = [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()]
    assert left == ["kept.parquet"]


def test_a_second_start_may_sweep_while_the_first_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the temporary file of a process that still works for one that was left behind."""
    synced: list[int] = []
    sync = os.fsync

    def sweep(file: int) -> None:
        sync(file)
        if not synced:
            storage.remove_parts(storage.locate(str(tmp_path)))
        synced.append(file)

    monkeypatch.setattr(os, "fsync", sweep)
    storage.write(storage.locate(str(tmp_path / "part")), b"whole")
    assert ((tmp_path / "part").read_bytes(), len(synced)) == (b"whole", 2)


def test_sources_in_two_places_differ_by_their_paths_alone(finished: Path, pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "copy"
    other.mkdir()
    for file in pictures.iterdir():
        os.link(file, other / file.name)
    finish_all(worker(tmp_path / "out", other))
    assert without_paths(rows(tmp_path / "out")) == without_paths(rows(finished))
