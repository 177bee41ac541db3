"""The numbers of benchmarks/speed.py for people: a page of Markdown, and a chart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.timing import as_sentence

Numbers = dict[str, Any]
STAGES = ("whole", "detect", "classify", "decode JPEG", "draw", "encode JPEG")


def targets(found: Numbers) -> Iterator[tuple[str, float, float, str, bool]]:
    """(what, limit, measured, unit, whether less is better) of each target on speed, in the order of docs/speed.md."""
    stages, app = found["stages"], found["app"]
    frame = find_row(stages["pictures"], kind="frame", faces=1)["ms"]["whole"]["median"]
    photo = find_row(stages["pictures"], kind="photo", faces=5)["ms"]["whole"]["median"]
    auto, _, small = stages["large"]
    yield "camera frame 640 x 480, 1 face, fast", 15, frame, "ms", True
    yield "photo 1280 x 720, 5 faces, auto", 60, photo, "ms", True
    yield "12 megapixels, 30 faces, from JPEG to annotated JPEG, auto", 700, auto["ms"]["median"], "ms", True
    yield "the same with faces of 16 pixels, thorough", 3000, small["ms"]["median"], "ms", True
    yield "import facemotion", 0.3, stages["import"]["package_s"]["median"], "s", True
    yield "from starting the app to its first answer", 8, app["start_s"]["first answer"], "s", True
    if app["memory_mb"]["at most"]:
        yield "memory of the app, at most", 1000, app["memory_mb"]["at most"], "MB", True
    yield "batch of 32 photos, against one by one", 1.5, stages["batch"]["ratio"], "times", False
    for faces, limit in ((1, 2.5), (8, 12)):
        network = find_row(stages["networks"], network="emotionnet", faces=faces)
        yield f"EmotionNet, {faces} face{'s' * (faces > 1)}", limit, network["ms"]["median"], "ms", True


def find_row(rows: list[Numbers], **wanted: Any) -> Numbers:
    """The first row with these values."""
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


def as_markdown(found: Numbers) -> str:
    models = ", ".join(f"{part} {name}" for part, name in found["stages"]["models"].items())
    lines = [
        f"# Speed of facemotion {found['version']}",
        "",
        f"`make bench` on {as_sentence(found['machine'])}.",
        f"Models: {models}. Medians, with the 95th percentile in brackets.",
        "",
        "| what | target | measured | |",
        "|---|---|---|---|",
    ]
    for what, limit, value, unit, less in targets(found):
        met = value <= limit if less else value >= limit
        lines.append(f"| {what} | {limit:g} {unit} | {value:g} {unit} | {'met' if met else 'missed'} |")
    lines += ["", *_stages(found["stages"]), "", *_app(found["app"]), "", *_networks(found["stages"])]
    if "peers" in found:
        lines += ["", *_peers(found["peers"])]
    return "\n".join(lines)


def _ms(times: Numbers) -> str:
    return f"{times['median']:.3g} ({times['p95']:.3g})"


def _stages(stages: Numbers) -> Iterator[str]:
    yield f"| picture, milliseconds | faces found | {' | '.join(STAGES)} |"
    yield "|---" * (2 + len(STAGES)) + "|"
    for row in stages["pictures"]:
        name = f"{row['kind']} {row['size'][0]} x {row['size'][1]}, {row['detail']}"
        yield f"| {name} | {row['faces']} | {' | '.join(_ms(row['ms'][stage]) for stage in STAGES)} |"
    yield ""
    yield "“whole” is `Pipeline.analyze` of a decoded picture: detecting, cutting out, judging quality and classifying."
    yield ""
    yield "| 12 megapixels, from JPEG to annotated JPEG | faces found | milliseconds |"
    yield "|---|---|---|"
    for row in stages["large"]:
        yield f"| faces {row['face_width']} pixels wide, {row['detail']} | {row['faces']} of 30 | {_ms(row['ms'])} |"
    batch = stages["batch"]
    yield ""
    yield (
        f"{batch['photos']} photos of 1280 x 720 with {batch['faces']} faces, as JPEG, take "
        f"{_ms(batch['ms']['at once'])} ms as a batch; one by one {_ms(batch['ms']['one by one'])} ms, "
        f"{batch['ratio']:g} times as long."
    )


def _app(app: Numbers) -> Iterator[str]:
    memory = ", ".join(f"{value} MB {when}" for when, value in app["memory_mb"].items())
    yield (
        f"The app answers {app['start_s']['page']} s after its start, and gives its first annotated picture after "
        f"{app['start_s']['first answer']} s; the next ones take {_ms(app['warm_ms'])} ms over HTTP. It holds {memory}."
    )
    yield ""
    yield "| cameras at once, 640 x 480 | frames a second, all together | each |"
    yield "|---|---|---|"
    for row in app["viewers"]:
        rate = row["frames_a_second"]
        yield f"| {row['cameras']} | {rate:g} | {rate / row['cameras']:.1f} |"


def _networks(stages: Numbers) -> Iterator[str]:
    yield "| network alone | 1 face, ms | 8 faces, ms |"
    yield "|---|---|---|"
    for name in dict.fromkeys(row["network"] for row in stages["networks"]):
        cells = [_ms(find_row(stages["networks"], network=name, faces=faces)["ms"]) for faces in (1, 8)]
        yield f"| {name} | {' | '.join(cells)} |"
    package, loaded = stages["import"]["package_s"], stages["import"]["models_loaded_s"]
    yield ""
    yield f"`import facemotion` takes {package['median']:.2g} s, with both models loaded {loaded['median']:.2g} s."


def _peers(peers: Numbers) -> Iterator[str]:
    yield "## Beside others"
    yield ""
    yield peers["note"]
    yield ""
    kinds = list(next(iter(peers["rows"].values())))
    yield f"| in turn, milliseconds (faces found) | {' | '.join(kinds)} |"
    yield "|---" * (1 + len(kinds)) + "|"
    for name, row in peers["rows"].items():
        yield f"| {name} | {' | '.join(_peer_cell(row[kind]) for kind in kinds)} |"
    for name, reason in peers["missing"].items():
        yield f"| {name} | {reason} {'| ' * len(kinds)}"


def _peer_cell(cell: Numbers) -> str:
    return f"{_ms(cell['ms'])}, {cell['faces']} found"


def draw(found: Numbers, file: Path) -> None:
    """Each target as a share of its limit, and the frames a second of several cameras."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (a development package)

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(5, 2))
    rows = list(targets(found))
    shares = [100 * (value / limit if less else limit / value) for _, limit, value, _, less in rows]
    labels = [f"{what}\n{value:g} of {limit:g} {unit}" for what, limit, value, unit, _ in rows]
    left.barh(range(len(rows)), shares, color=["#3b5b92" if share <= 100 else "#bb3e0b" for share in shares])
    left.axvline(100, color="#666666", linestyle="--")
    left.set_yticks(range(len(rows)), labels, fontsize="x-small")
    left.invert_yaxis()
    left.set(xlabel="percent of the target; left of the line it is met", title=f"facemotion {found['version']}")
    viewers = found["app"]["viewers"]
    places = range(len(viewers))
    right.bar(places, [row["frames_a_second"] for row in viewers], color="#3b5b92")
    right.set_xticks(places, [str(row["cameras"]) for row in viewers])
    right.set(xlabel="cameras at once", title="frames a second")
    figure.savefig(file, dpi=120)
