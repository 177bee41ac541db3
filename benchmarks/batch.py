"""How `facemotion batch` does: beside one process and other packages, its memory, and its cost when photos get more.

    python -m benchmarks.batch --photos 40 --sizes 40 120                # a try, some minutes
    python -m benchmarks.batch --only compare --photos 2000 --write      # 2,000 photos in one process, then in a batch
    python -m benchmarks.batch --only scale --sizes 1000 20000 --write   # memory, and the cost of a photo
    python -m benchmarks.batch --only scale --sizes 1000 20000 --fast    # the same with YuNet, in a quarter of the time
    python -m benchmarks.batch --only peers --write                      # `fer` and DeepFace, one call for each file

Each part, and each size, is kept as soon as it is measured: with --write, a run that broke off goes on with the parts
that `--only` names, and the report has all that are there. `compare` and `peers` take JPEGs of 1280 x 720 with five
faces, `scale` smaller ones of 640 x 360 with one: memory and what Ray adds do not depend on a photo's size. --fast
makes the photos cheaper still, so that what Ray adds weighs more. Sixteen different photos stand under many names.
Processor time suffers less from other programs than the time by the clock.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import batch_docs, batch_report, peers, pictures
from benchmarks.batch_watch import Watch
from benchmarks.timing import PACKAGES, machine
from facemotion.runtime import cores

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "benchmarks" / "reports" / "batch.json"
PARTS = ("compare", "scale", "peers")
DIFFERENT = 16
LARGE, SMALL = (pictures.PHOTO, 5, 130), ((640, 360), 1, 120)
"""Width and height, faces, and a face's width, all in pixels: of `compare` and `peers`, and of `scale`."""
FAST = ("--detector", "yunet", "--detail", "fast")

ONE_PROCESS = """
import sys, time
from pathlib import Path
from facemotion import Pipeline

files = sorted(Path(sys.argv[1]).iterdir())
pipeline = Pipeline.from_pretrained()
pipeline.analyze_batch(files[:4])
started, processor = time.perf_counter(), time.process_time()
faces = sum(len(analysis.faces) for analysis in pipeline.analyze_batch(files))
print(time.perf_counter() - started, time.process_time() - processor, faces)
"""


def main() -> None:
    options = parse()
    found = json.loads(REPORT.read_text("utf-8")) if options.write and REPORT.exists() else {}
    with tempfile.TemporaryDirectory(prefix="facemotion-batch-") as temporary:
        for part in options.only:
            PART_OF[part](Path(temporary), options, found)
            keep(found, options.write)
    print(batch_report.as_markdown(found))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS[:2]), help="(default: compare scale)")
    parser.add_argument("--photos", type=int, default=200, help="of `compare`")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 1000], help="of `scale`")
    parser.add_argument("--fast", action="store_true", help="`scale` with YuNet and --detail fast")
    parser.add_argument("--peer-photos", type=int, default=100, help="of `peers`")
    parser.add_argument("--peers", action="store_true", help="the part `peers` too; it installs both packages")
    parser.add_argument("--write", action="store_true", help="keep the report in benchmarks/reports, and fill the docs")
    options = parser.parse_args()
    options.only += ["peers"] * (options.peers and "peers" not in options.only)
    return options


def keep(found: dict[str, Any], write: bool) -> None:
    """Writes what has been measured so far: the numbers, the report, the chart, and the passage of docs/batch.md."""
    if not write:
        return
    REPORT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    REPORT.with_suffix(".md").write_text(batch_report.as_markdown(found) + "\n", encoding="utf-8")
    batch_report.draw(found, REPORT.with_suffix(".png"))
    batch_docs.fill(found)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def compare(folder: Path, options: argparse.Namespace, found: dict[str, Any]) -> None:
    photos = make_photos(folder / "large", options.photos, *LARGE)
    say(f"{options.photos} photos of 1280 x 720 in one process")
    one = one_process(photos)
    say(f"{one['ms']:.0f} ms a photo; the same in a batch")
    batch = run(photos, folder / "out-large")
    say(f"{batch['ms']:.0f} ms a photo")
    found["compare"] = {"on": conditions(), "one process": one, "batch": batch}


def scale(folder: Path, options: argparse.Namespace, found: dict[str, Any]) -> None:
    before = found.get("scale", {})
    rows = before["sizes"] if before.get("fast") == options.fast else []
    for size in options.sizes:
        say(f"a batch of {size} photos of 640 x 360")
        photos = make_photos(folder / f"in-{size}", size, *SMALL)
        measured = run(photos, folder / f"out-{size}", *(FAST if options.fast else ()))
        say(f"{measured['seconds']:.0f} s")
        rows = sorted([*(row for row in rows if row["photos"] != size), measured], key=lambda row: row["photos"])
        found["scale"] = {"on": conditions(), "fast": options.fast, "sizes": rows}
        keep(found, options.write)


def beside(folder: Path, options: argparse.Namespace, found: dict[str, Any]) -> None:
    photos = make_photos(folder / "peers", options.peer_photos, *LARGE)
    rows, missing = {}, {}
    for name in peers.OTHERS:
        say(f"{name}, {options.peer_photos} photos, one call for each")
        try:
            rows[name] = one_call_each(name, sorted(photos.iterdir()))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            missing[name] = f"could not be installed or started: {error}"
    found["peers"] = {"on": conditions(), "rows": rows, "missing": missing}


PART_OF = {"compare": compare, "scale": scale, "peers": beside}


def conditions() -> dict[str, Any]:
    return {"date": date.today().isoformat(), "machine": machine((*PACKAGES, "ray", "pyarrow"))}


def make_photos(folder: Path, count: int, size: tuple[int, int], faces: int, face_width: int) -> Path:
    """A folder of `count` names for `DIFFERENT` photos."""
    folder.mkdir()
    for index in range(count):
        target = folder / f"{index:06d}.jpg"
        if index < DIFFERENT:
            target.write_bytes(pictures.jpeg(pictures.crowd(size, faces, face_width, seed=index)))
        else:
            target.hardlink_to(folder / f"{index % DIFFERENT:06d}.jpg")
    return folder


def one_process(photos: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", ONE_PROCESS, str(photos)]
    started = time.perf_counter()
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    whole, (seconds, processor, faces) = time.perf_counter() - started, map(float, output.split())
    count = len(list(photos.iterdir()))
    return {
        "photos": count,
        "faces": int(faces),
        "seconds": whole,
        "ms": seconds * 1e3 / count,
        "processor_ms": processor * 1e3 / count,
    }


def run(photos: Path, out: Path, *more: str) -> dict[str, Any]:
    """The command: what a photo takes, with and without the start, and the memory."""
    command = [sys.executable, "-m", "facemotion", "batch", str(photos), "--out", str(out), "--json", *more]
    started, began = time.time(), time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with Watch(process.pid) as watch:
        report = json.loads(process.communicate()[0])
    whole = time.perf_counter() - began
    times = sorted(file.stat().st_mtime for file in out.glob("*.parquet"))
    count = report["items"]
    records = [json.loads(file.read_text("utf-8")) for file in (out / "_facemotion" / "done").iterdir()]
    workers = min(cores(), report["parts"])
    return {
        "photos": count,
        "faces": report["faces"],
        "parts": report["parts"],
        "photo_bytes": round(sum(file.stat().st_size for file in photos.iterdir()) / count),
        "row_bytes": round(sum(file.stat().st_size for file in out.glob("*.parquet")) / report["rows"], 1),
        "seconds": whole,
        "ms": sum(record["seconds"] for record in records) * 1e3 / count / workers,
        "processor_ms": sum(record["processor_s"] for record in records) * 1e3 / count,
        "all_processor_s": watch.processor_s,
        "first_rows_s": times[0] - started,
        "driver_mb": watch.driver_mb,
        "worker_mb": watch.worker_mb,
        "memory": watch.thinned(),
    }


def one_call_each(name: str, files: list[Path]) -> dict[str, Any]:
    """A package as its page shows it: one call for each file, in one process of its own environment."""
    command = [str(peers.environment(name)), str(ROOT / "benchmarks" / "contender.py"), name]
    with peers.contender(command, ROOT) as process:
        said = peers.ask(process, {"files": [str(file) for file in files]})
    count = len(files)
    return {
        "photos": count,
        "faces": said["faces"],
        "ms": said["seconds"] * 1e3 / count,
        "processor_ms": said["processor_s"] * 1e3 / count,
    }


if __name__ == "__main__":
    main()
