"""Fills the passages of docs/batch.md that stand between `<!-- measured: NAME -->` and `<!-- end of NAME -->`.

python -m benchmarks.batch_docs     # from benchmarks/reports/batch.json; benchmarks.batch --write does it too
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.batch_report import all_runs
from facemotion.batch.plan import pictures_in_part

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "batch.md"
REPORT = ROOT / "benchmarks" / "reports" / "batch.json"

BILLION = 1_000_000_000
NODES = (10, 100, 1000)
PROCESSORS = 16  # of a node
PHOTO_BYTES = 300_000  # of a photo of 1280 x 720 from a camera; ours, of drawn walls, may be smaller or larger
DOLLARS_AN_HOUR = 0.04  # of a processor, an assumption
GET_DOLLARS = 0.40  # a million GET requests at S3's list price
GETS = 5500  # for each prefix, promised by S3


def fill(found: dict[str, Any]) -> None:
    """Writes the passages for which the numbers are there."""
    text = DOCS.read_text("utf-8")
    for name, lines in passages(found):
        marked = re.compile(rf"(<!-- measured: {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        body = "\n".join(["", *lines, "", ""])
        text = marked.sub(lambda match, body=body: match[1] + body + match[2], text)  # type: ignore[misc]
    DOCS.write_text(text, "utf-8")


def passages(found: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """(name, lines of Markdown) of each passage."""
    if "compare" in found:
        yield "one machine", list(_one_machine(found))
        yield "cost", list(_cost(found["compare"]["batch"]["processor_ms"]))
        yield "paper", list(_paper(found["compare"]["batch"]))


def _one_machine(found: dict[str, Any]) -> Iterator[str]:
    one, batch, runs = found["compare"]["one process"], found["compare"]["batch"], all_runs(found)
    most = {name: max(run[name] for run in runs) for name in ("photos", "first_rows_s", "driver_mb", "worker_mb")}
    yield _paragraph(
        f"Measured on {batch['photos']:,} photos of 1280 x 720 with five faces: a photo takes "
        f"{batch['processor_ms']:.1f} ms of a processor in a worker, against {one['processor_ms']:.1f} ms in "
        f"`Pipeline.analyze_batch` in one process. The first rows were there after {most['first_rows_s']:.0f} s. "
        f"In runs of up to {most['photos']:,} photos, the driver took {most['driver_mb']:.0f} MB at most, and a worker "
        f"{most['worker_mb']:.0f} MB. [The report](../benchmarks/reports/batch.md) has each target, and other packages "
        "beside it; `python -m benchmarks.batch` measures it again."
    )


def _cost(ms: float) -> Iterator[str]:
    a_second, hours = PROCESSORS / ms * 1e3, ms * 1e6 / 3.6e6
    yield _paragraph(
        f"**Size.** 700 MB and one processor for each worker, 4 GB for the head. A node with {PROCESSORS} processors "
        f"analyses {PROCESSORS} / {ms / 1e3:#.3g} = {a_second:.0f} photos a second: at 300 kB each, it reads "
        f"{a_second * PHOTO_BYTES / 1e6:.0f} MB/s."
    )
    yield ""
    yield _paragraph(
        f"**Cost.** A photo of 1280 x 720 with five faces takes {ms:.0f} ms of one processor, so a million take "
        f"{hours:.0f} hours of a processor. At {DOLLARS_AN_HOUR} US dollars for such an hour (an assumption; put in "
        f"your price) that is {hours * DOLLARS_AN_HOUR:.1f} dollars, plus {GET_DOLLARS:.2f} for a million GET "
        "requests at S3's list price."
    )


def _paper(batch: dict[str, Any]) -> Iterator[str]:
    ms, in_part = batch["processor_ms"], pictures_in_part(BILLION)
    rates = [nodes * PROCESSORS / ms * 1e3 for nodes in NODES]
    results = batch["faces"] / batch["photos"] * batch["row_bytes"]
    yield _paragraph(
        f"Nodes of {PROCESSORS} processors, {ms:.0f} ms and 300 kB a photo, {results:.0f} bytes of results for it, "
        f"parts of {in_part} pictures ({-(-BILLION // in_part):,} of them):"
    )
    yield ""
    yield f"| | {' | '.join(f'{nodes:,} nodes' for nodes in NODES)} |"
    yield "|---|---|---|---|"
    yield _line("photos a second", (f"{rate:,.0f}" for rate in rates))
    yield _line("a billion photos", (_duration(BILLION / rate) for rate in rates))
    yield _line("read", (f"{rate * PHOTO_BYTES / 1e9:.1f} GB/s" for rate in rates))
    yield _line("written", (f"{rate * results / 1e6:.1f} MB/s" for rate in rates))
    yield _line("prefixes that S3 needs for so many GET a second", (f"{-(-rate // GETS):.0f}" for rate in rates))
    yield _line("parts finished a second", (f"{rate / in_part:.2g}" for rate in rates))
    yield _line("workers, one a processor", (f"{nodes * PROCESSORS:,}" for nodes in NODES))


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 130, break_long_words=False, break_on_hyphens=False)


def _line(what: str, values: Iterator[str]) -> str:
    return f"| {what} | {' | '.join(values)} |"


def _duration(seconds: float) -> str:
    if seconds > 2 * 86400:
        return f"{seconds / 86400:.1f} days"
    return f"{seconds / 3600:.0f} hours" if seconds > 2 * 3600 else f"{seconds / 60:.0f} minutes"


if __name__ == "__main__":
    fill(json.loads(REPORT.read_text("utf-8")))
