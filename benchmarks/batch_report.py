"""The numbers of benchmarks/batch.py for people: a page of Markdown, and a chart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.timing import as_sentence

Numbers = dict[str, Any]
DEEPFACE = (
    "DeepFace is not measured: it downloads its weights from a code host at its first call, which this benchmark does "
    "not do."
)


def targets(found: Numbers) -> Iterator[tuple[str, float, float, str]]:
    """(what, limit, measured, unit) of each promise."""
    one, batch, sizes = found["one process"], found["batch"], found["sizes"]
    costs = [size["processor_ms"] for size in sizes]
    yield (
        "processor time of a picture, over that of one process",
        1.1,
        batch["processor_ms"] / one["processor_ms"],
        "times",
    )
    yield "time of a picture by the clock, over that of one process", 1.1, batch["ms"] / one["ms"], "times"
    yield (
        f"processor time of a picture at {sizes[-1]['photos']:,}, over {sizes[0]['photos']:,}",
        1.1,
        costs[-1] / costs[0],
        "times",
    )
    yield "memory of the driver, at most", 500, max(size["driver_mb"] for size in [batch, *sizes]), "MB"
    yield "memory of a worker, at most", 700, max(size["worker_mb"] for size in [batch, *sizes]), "MB"
    yield "from the start to the first rows", 15, min(size["first_rows_s"] for size in [batch, *sizes]), "s"


def as_markdown(found: Numbers) -> str:
    """The report."""
    return "\n".join(
        [
            "# Many pictures",
            "",
            f"`python -m benchmarks.batch` on {as_sentence(found['machine'])}. JPEGs of 1280 x 720, five faces each.",
            "Processor time is that of all threads of a worker, without its start; the time by the clock is that "
            "of all parts over the number of workers. Other programs on the machine stretch the latter.",
            "",
            "| target | limit | measured | |",
            "|---|---|---|---|",
            *(
                f"| {what} | {limit:g} {unit} | {value:.3g} {unit} | {'met' if value <= limit else 'missed'} |"
                for what, limit, value, unit in targets(found)
            ),
            "",
            "| | photos | ms a photo, clock | ms a photo, processor | first rows, s | driver, MB | worker, MB |",
            "|---|---|---|---|---|---|---|",
            *_rows(found),
            "",
            *([f"`fer`, one call a file: {found['fer']['ms']:.0f} ms a photo."] if "fer" in found else []),
            DEEPFACE,
            "",
            "![Memory of the driver and of the largest worker in the longest run](batch.png)",
        ]
    )


def _rows(found: Numbers) -> Iterator[str]:
    one = found["one process"]
    numbers = f"{one['photos']:,} | {one['ms']:.1f} | {one['processor_ms']:.1f}"
    yield f"| `Pipeline.analyze_batch` in one process | {numbers} | | | |"
    for name, row in [("the same photos", found["batch"]), *(("batch", size) for size in found["sizes"])]:
        numbers = f"{row['photos']:,} | {row['ms']:.1f} | {row['processor_ms']:.1f} | {row['first_rows_s']:.1f}"
        yield f"| `facemotion batch`, {name} | {numbers} | {row['driver_mb']:.0f} | {row['worker_mb']:.0f} |"


def draw(found: Numbers, file: Path) -> None:
    """Memory over the longest run, and the cost of a picture by the number of pictures."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (a development package)

    figure = Figure(figsize=(10, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    longest = max(found["sizes"], key=lambda size: size["photos"])
    seconds, driver, worker = zip(*longest["memory"], strict=True)
    left.plot(seconds, driver, label="driver", color="#3b5b92")
    left.plot(seconds, worker, label="largest worker", color="#bb3e0b")
    left.set(xlabel="seconds", ylabel="MB resident", title=f"{longest['photos']:,} photos", ylim=(0, None))
    left.legend()
    labels = ["one process", *(f"{size['photos']:,}" for size in found["sizes"])]
    costs = [found["one process"]["processor_ms"], *(size["processor_ms"] for size in found["sizes"])]
    right.bar(labels, costs, color=["#888888", *["#3b5b92"] * len(found["sizes"])])
    right.set(ylabel="ms of a processor", title="a photo of 1280 x 720")
    figure.savefig(file, dpi=110)
