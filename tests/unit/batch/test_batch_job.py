"""What `facemotion.batch.run` refuses before Ray starts, how many workers it takes, and what the command prints."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from facemotion import batch
from facemotion.batch import cluster, command
from facemotion.batch.cluster import Workers
from facemotion.batch.job import Progress, Report
from facemotion.errors import BadOption, MissingInput, OtherRun


def test_resume_does_not_go_on_into_a_folder_that_somebody_else_filled(tmp_path: Path) -> None:
    (tmp_path / "part-000000.parquet").write_bytes(b"not ours")
    with pytest.raises(OtherRun, match="Parquet files already"):
        batch.run(".", tmp_path, resume=True)
    assert (tmp_path / "part-000000.parquet").read_bytes() == b"not ours"


def test_an_empty_name_is_not_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell leaves it of a variable that is not set."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingInput, match="no source"):
        batch.run([""], "out")
    with pytest.raises(BadOption, match="no destination"):
        batch.run(".", "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_pictures_is_an_error_not_an_empty_result(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    with pytest.raises(MissingInput, match="no picture in what was given"):
        batch.run(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("processors", "wanted", "threads", "expected"),
    [
        (0, None, 1, Workers(1, 1, 100)),  # no machine has joined yet
        (8, None, 1, Workers(1, 8, 100)),  # more may join
        (8, None, 3, Workers(1, 2, 100)),
        (8, 3, 1, Workers(1, 3, 3)),
        (200, None, 1, Workers(1, 100, 100)),  # there is no more to do
    ],
)
def test_a_cluster_may_grow_beyond_what_it_has_at_the_start(
    processors: int, wanted: int | None, threads: int, expected: Workers
) -> None:
    ray = SimpleNamespace(cluster_resources=lambda: {"CPU": float(processors)} if processors else {})
    assert cluster.workers(ray, 100, wanted, threads) == expected


def test_more_workers_than_the_memory_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(cluster, "_MEMORY_LIMIT", limit)
    limit.write_text("8000000000\n")
    with pytest.raises(BadOption, match=r"99 workers take up to 69 GB .*Name 11 or fewer"):
        cluster.check_memory(99, usual=2)
    cluster.check_memory(11, usual=2)
    limit.write_text("1000000000\n")
    cluster.check_memory(2, usual=2)  # as many as without the option
    limit.write_text("max\n")
    with pytest.raises(BadOption):
        cluster.check_memory(10**6, usual=2)


def test_they_are_refused_before_ray_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would start a process for each of them."""
    limit = tmp_path / "memory.max"
    limit.write_text("1000000000\n")
    monkeypatch.setattr(cluster, "_MEMORY_LIMIT", limit)
    monkeypatch.setattr(cluster, "started", None)
    for number in range(99):
        Image.new("RGB", (20, 20)).save(tmp_path / f"{number}.png")
    with pytest.raises(BadOption, match=r"99 workers take up to 69 GB"):
        batch.run(tmp_path, tmp_path / "out", concurrency=200, part_pictures=1)


def test_the_report_prints_no_letter_that_moves_the_cursor() -> None:
    report = Report("out", 2, 2, 1, 0, 1, 0, {}, [(9.0, "a\x1b[2Jb\n.jpg"), (8.0, "caf\udce9.jpg")], 1.0, 2.0, {})
    *_, last = command._lines(report)
    assert last.replace("\N{REPLACEMENT CHARACTER}", "!") == "slowest: 9 ms a![2Jb!.jpg, 8 ms caf!.jpg"


def test_the_time_in_which_ray_starts_does_not_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(command.time, "monotonic", lambda: clock[0])
    with command._shown() as show:
        for clock[0], done in ((1000.0, 0), (1100.0, 10), (1140.0, 50)):
            show(Progress(done, 100, 0, 0))
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(";")[0] for line in said] == [
        "facemotion: 0 of 100 pictures",
        "facemotion: 10 of 100 pictures",
        "facemotion: 50 of 100 pictures, 1.0 a second, about 50 s left",
    ]


def test_progress_has_the_rate_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.time, "monotonic", lambda: 110.0)
    line = command._line(Progress(60, 100, 7, 1), started=100.0, before=40)
    assert line == "facemotion: 60 of 100 pictures, 2.0 a second, about 20 s left; 7 faces, 1 errors"
