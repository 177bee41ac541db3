"""The benchmark of `facemotion batch`: its report says what was met, from any of its parts, and the docs follow it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import batch, batch_docs, batch_report, contender
from benchmarks.batch_watch import Watch
from benchmarks.timing import machine
from facemotion.images import load

ON = {"date": "2026-01-02", "machine": machine()}


def numbers(photos: int = 2000, **others: Any) -> dict[str, Any]:
    """A run of `facemotion batch`."""
    given = {
        "photos": photos,
        "faces": 5 * photos,
        "parts": 63,
        "photo_bytes": 200_000,
        "row_bytes": 90.0,
        "seconds": 110.0,
        "ms": 50.0,
        "processor_ms": 100.0,
        "all_processor_s": 20 + photos * 0.11,
        "first_rows_s": 9.0,
        "driver_mb": 300.0,
        "worker_mb": 400.0,
        "memory": [(0.5, 100.0, 0.0), (1.0, 300.0, 400.0)],
    }
    return given | others


def found() -> dict[str, Any]:
    one = {"photos": 2000, "faces": 10_000, "seconds": 100.0, "ms": 48.0, "processor_ms": 95.0}
    peer = {"photos": 100, "faces": 150, "ms": 250.0, "processor_ms": 400.0}
    return {
        "compare": {"on": ON, "one process": one, "batch": numbers()},
        "scale": {
            "on": ON,
            "fast": False,
            "sizes": [numbers(1000), numbers(20_000, processor_ms=120.0, driver_mb=600.0)],
        },
        "peers": {"on": ON, "rows": {"fer": peer}, "missing": {"deepface": "could not be installed"}},
    }


def test_the_report_says_what_was_met_and_what_was_missed() -> None:
    text = batch_report.as_markdown(found())
    of = "over that of one process, 2,000 photos"
    assert f"| processor time of a photo, {of} | 1.1 times | 1.053 times | met |" in text
    assert f"| time of the whole command by the clock, start included, {of} | 1.1 times | 1.1 times | met |" in text
    assert "| processor time of a photo at 20,000, over 1,000 | 1.1 times | 1.2 times | missed |" in text
    assert "| memory of the driver, at most | 500 MB | 600 MB | missed |" in text
    assert "| photos a second, over `fer` | at least 1 times | 5 times | met |" in text
    assert "110.0 ms of a processor for each further photo of 640 x 360, and 20 s for the start" in text
    assert "| DeepFace | could not be installed | | |" in text


@pytest.mark.parametrize("part", batch.PARTS)
def test_each_part_makes_a_report_and_a_chart_by_itself(part: str, tmp_path: Path) -> None:
    alone = {part: found()[part]}
    assert "missed" in batch_report.as_markdown(alone) or part != "scale"
    batch_report.draw(alone, tmp_path / "batch.png")
    with Image.open(tmp_path / "batch.png") as chart:
        assert chart.width > 500


def test_the_numbers_of_the_docs_follow_from_the_cost_of_a_photo() -> None:
    text = "\n".join(line for _, lines in batch_docs.passages(found()) for line in lines)
    prose = " ".join(text.split())
    assert "16 / 0.100 = 160 photos a second" in prose and "28 hours of a processor" in prose
    assert "| photos a second | 1,600 | 16,000 | 160,000 |" in text
    assert "| a billion photos | 7.2 days | 17 hours | 104 minutes |" in text
    assert "| read | 0.5 GB/s | 4.8 GB/s | 48.0 GB/s |" in text
    assert "| written | 0.7 MB/s | 7.2 MB/s | 72.0 MB/s |" in text
    assert "| prefixes that S3 needs for so many GET a second | 1 | 3 | 30 |" in text


def test_the_docs_have_the_numbers_of_the_report() -> None:
    report = json.loads(batch.REPORT.read_text("utf-8"))
    docs = batch_docs.DOCS.read_text("utf-8")
    for name, lines in batch_docs.passages(report):
        body = "\n".join(lines)
        assert f"<!-- measured: {name} -->\n\n{body}\n\n<!-- end of {name} -->" in docs, f"{name}: {batch_docs.__doc__}"
    assert batch.REPORT.with_suffix(".md").read_text("utf-8") == batch_report.as_markdown(report) + "\n"


def test_photos_have_the_size_and_are_different_ones_under_many_names(tmp_path: Path) -> None:
    size, faces, width = batch.SMALL
    folder = batch.make_photos(tmp_path / "in", 18, size, faces, width)
    assert len(list(folder.iterdir())) == 18
    assert load(folder / "000000.jpg").shape == (360, 640, 3)
    content = [(folder / f"{number:06d}.jpg").read_bytes() for number in (0, 1, 16)]
    assert content[0] == content[2] != content[1]


@pytest.mark.slow
def test_a_watch_sees_memory_and_processor_time() -> None:
    with Watch(os.getpid()) as watch:
        while len(watch.seen) < 2:
            sum(range(100_000))
    assert watch.driver_mb > 10 and watch.processor_s > 0 and watch.worker_mb == 0
    assert watch.thinned() == watch.seen


def test_a_contender_goes_through_files(examples: Path) -> None:
    said = contender.answer(contender.facemotion(), {"files": [str(examples / "group.jpg")] * 2})
    assert said["faces"] == 6 and said["seconds"] > 0
