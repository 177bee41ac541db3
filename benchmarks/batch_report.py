"""The numbers of benchmarks/batch.py for people: a page of Markdown, and a chart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.timing import as_sentence

Numbers = dict[str, Any]
NAMES = {"fer": "`fer`", "deepface": "DeepFace"}
PEERS_NOTE = (
    "`fer` and DeepFace run as their pages show it: one call for each file, in one process, with their defaults. "
    "DeepFace's weights come from a code host, which is not asked here; its network runs with random ones, on which "
    "its speed does not depend."
)
OURS, OTHERS, GREY = "#3b5b92", "#bb3e0b", "#888888"


def targets(found: Numbers) -> Iterator[tuple[str, float, float, str, bool]]:
    """(what, limit, measured, unit, whether less is better) of each promise of which the numbers are there."""
    if "compare" in found:
        one, batch = found["compare"]["one process"], found["compare"]["batch"]
        of = f"over that of one process, {batch['photos']:,} photos"
        yield f"processor time of a photo, {of}", 1.1, batch["processor_ms"] / one["processor_ms"], "times", True
        yield f"time of a photo by the clock, {of}", 1.1, batch["ms"] / one["ms"], "times", True
        whole = batch["seconds"] / one["seconds"]
        yield f"time of the whole command by the clock, start included, {of}", 1.1, whole, "times", True
    sizes = found.get("scale", {}).get("sizes", [])
    if len(sizes) > 1:
        few, many = sizes[0], sizes[-1]
        flat = many["processor_ms"] / few["processor_ms"]
        yield f"processor time of a photo at {many['photos']:,}, over {few['photos']:,}", 1.1, flat, "times", True
    if runs := all_runs(found):
        yield "memory of the driver, at most", 500, max(run["driver_mb"] for run in runs), "MB", True
        yield "memory of a worker, at most", 700, max(run["worker_mb"] for run in runs), "MB", True
        yield "from the start to the first rows, at most", 15, max(run["first_rows_s"] for run in runs), "s", True
    if "compare" in found:
        for name, row in found.get("peers", {}).get("rows", {}).items():
            times = row["ms"] / found["compare"]["batch"]["ms"]
            yield f"photos a second, over {NAMES[name]}", 1, times, "times", False


def all_runs(found: Numbers) -> list[Numbers]:
    """The numbers of all runs of `facemotion batch`."""
    compared = [found["compare"]["batch"]] if "compare" in found else []
    return [*compared, *found.get("scale", {}).get("sizes", [])]


def as_markdown(found: Numbers) -> str:
    """The report."""
    lines = ["# Many pictures", "", *_conditions(found), "", "| target | limit | measured | |", "|---|---|---|---|"]
    for what, limit, value, unit, less in targets(found):
        met = value <= limit if less else value >= limit
        least = "" if less else "at least "
        lines.append(f"| {what} | {least}{limit:g} {unit} | {value:.4g} {unit} | {'met' if met else 'missed'} |")
    lines += ["", *_table(found)]
    if "peers" in found:
        lines += ["", *_peers(found)]
    return "\n".join([*lines, "", "![Memory, the cost of a photo, and photos a second](batch.png)"])


def _conditions(found: Numbers) -> Iterator[str]:
    yield "`python -m benchmarks.batch`: `compare` and `peers` on JPEGs of 1280 x 720 with five faces, `scale` on"
    yield "smaller ones of 640 x 360 with one. Processor time of a photo is that of all threads of a worker, without"
    yield "its start; the time by the clock is that of all parts over the number of workers. Other programs on the"
    yield "machine stretch the latter."
    yield ""
    for part in ("compare", "scale", "peers"):
        if part in found:
            on = found[part]["on"]
            models = ", with YuNet and `--detail fast`" if found[part].get("fast") else ""
            yield f"- `{part}`{models}: {on['date']}, {as_sentence(on['machine'])}"


def _table(found: Numbers) -> Iterator[str]:
    columns = "ms a photo, clock | ms a photo, processor | whole command, s | first rows, s | driver, MB | worker, MB"
    yield f"| | photos | {columns} |"
    yield "|---|---|---|---|---|---|---|---|"
    if "compare" in found:
        one = found["compare"]["one process"]
        yield f"| `Pipeline.analyze_batch` in one process | {_times(one)} | | | |"
        yield f"| `facemotion batch`, the same photos | {_row(found['compare']['batch'])} |"
    sizes = found.get("scale", {}).get("sizes", [])
    yield from (f"| `facemotion batch`, 640 x 360 | {_row(row)} |" for row in sizes)
    if len(sizes) > 1:
        few, many = sizes[0], sizes[-1]
        more = (many["all_processor_s"] - few["all_processor_s"]) * 1e3 / (many["photos"] - few["photos"])
        start = max(0.0, few["all_processor_s"] - few["photos"] * more / 1e3)
        yield ""
        yield (
            f"All processes together, Ray's own included, take {more:.1f} ms of a processor for each further photo of "
            f"640 x 360, and {start:.0f} s for the start and the end."
        )


def _times(row: Numbers) -> str:
    return f"{row['photos']:,} | {row['ms']:.1f} | {row['processor_ms']:.1f} | {row['seconds']:.1f}"


def _row(row: Numbers) -> str:
    return f"{_times(row)} | {row['first_rows_s']:.1f} | {row['driver_mb']:.0f} | {row['worker_mb']:.0f}"


def _peers(found: Numbers) -> Iterator[str]:
    yield "| the same photos | photos a second | ms a photo, processor | faces found in a photo |"
    yield "|---|---|---|---|"
    yield from (
        f"| {name} | {1e3 / row['ms']:.1f} | {row['processor_ms']:.0f} | {row['faces'] / row['photos']:.1f} |"
        for name, row in rates(found)
    )
    yield from (f"| {NAMES[name]} | {reason} | | |" for name, reason in found["peers"]["missing"].items())
    yield ""
    yield PEERS_NOTE


def rates(found: Numbers) -> list[tuple[str, Numbers]]:
    """What was measured on photos of 1280 x 720, with a name each."""
    rows: list[tuple[str, Numbers]] = []
    if "compare" in found:
        rows = [("one process", found["compare"]["one process"]), ("`facemotion batch`", found["compare"]["batch"])]
    return [*rows, *((NAMES[name], row) for name, row in found.get("peers", {}).get("rows", {}).items())]


def draw(found: Numbers, file: Path) -> None:
    """Memory over the longest run, the cost of a photo by the number of photos, and photos a second of each."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (a development package)

    figure = Figure(figsize=(12, 3.5), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(4, 3, 3))
    if runs := all_runs(found):
        longest = max(runs, key=lambda run: run["photos"])
        seconds, driver, worker = zip(*longest["memory"], strict=True)
        left.plot(seconds, driver, label="driver", color=OURS)
        left.plot(seconds, worker, label="largest worker", color=OTHERS)
        left.set(xlabel="seconds", ylabel="MB resident", title=f"{longest['photos']:,} photos", ylim=(0, None))
        left.legend()
    sizes = found.get("scale", {}).get("sizes", [])
    middle.bar([f"{size['photos']:,}" for size in sizes], [size["processor_ms"] for size in sizes], color=OURS)
    middle.set(xlabel="photos of 640 x 360", ylabel="ms of a processor", title="cost of a photo")
    names = [name.replace("`", "") for name, _ in rates(found)]
    colors = [OURS if name == "facemotion batch" else GREY if name == "one process" else OTHERS for name in names]
    right.barh(names[::-1], [1e3 / row["ms"] for _, row in rates(found)][::-1], color=colors[::-1])
    right.set(xlabel="photos of 1280 x 720 a second")
    figure.savefig(file, dpi=110)
