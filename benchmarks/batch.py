"""How `facemotion batch` does: beside one process, its memory, and the cost of a picture when there are more of them.

    python -m benchmarks.batch                                  # 200 photos, then 200 and 1,000: some minutes
    python -m benchmarks.batch --photos 2000 --sizes 1000 20000 --write      # the targets: hours on two cores
    python -m benchmarks.batch --peers --write                  # also beside `fer`, one call for each file

Photos are JPEGs of 1280 x 720 with five faces, sixteen different ones under many names. Processor time suffers less
from other programs than the time by the clock.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks import batch_report, peers, pictures
from benchmarks.timing import PACKAGES, machine
from facemotion.runtime import cores

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "benchmarks" / "reports" / "batch.json"
DIFFERENT = 16
EVERY_S = 0.5

ONE_PROCESS = """
import sys, time
from pathlib import Path
from facemotion import Pipeline

files = sorted(Path(sys.argv[1]).iterdir())
pipeline = Pipeline.from_pretrained()
pipeline.analyze_batch(files[:4])
started, processor = time.perf_counter(), time.process_time()
pipeline.analyze_batch(files)
print(time.perf_counter() - started, time.process_time() - processor)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200, help="for the comparison with one process")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[200, 1000], help="numbers of photos, to see it stay flat"
    )
    parser.add_argument("--peers", action="store_true", help="install `fer` and measure it too")
    parser.add_argument("--write", action="store_true", help="keep the report in benchmarks/reports")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facemotion-batch-") as temporary:
        found = measure(Path(temporary), options)
    text = batch_report.as_markdown(found)
    print(text)
    if options.write:
        REPORT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        REPORT.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        batch_report.draw(found, REPORT.with_suffix(".png"))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {"machine": machine((*PACKAGES, "ray", "pyarrow"))}
    photos = make_photos(folder / "photos", options.photos)
    found["one process"] = one_process(photos)
    found["batch"] = run(photos, folder / "same")
    found["sizes"] = [run(make_photos(folder / f"in-{size}", size), folder / f"out-{size}") for size in options.sizes]
    if options.peers:
        found["fer"] = fer(photos, min(options.photos, 100))
    return found


def make_photos(folder: Path, count: int) -> Path:
    """A folder of `count` names for `DIFFERENT` photos."""
    folder.mkdir()
    for index in range(count):
        target = folder / f"{index:06d}.jpg"
        if index < DIFFERENT:
            target.write_bytes(pictures.jpeg(pictures.crowd(pictures.PHOTO, 5, 130, seed=index)))
        else:
            target.hardlink_to(folder / f"{index % DIFFERENT:06d}.jpg")
    return folder


def one_process(photos: Path) -> dict[str, float]:
    command = [sys.executable, "-c", ONE_PROCESS, str(photos)]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    seconds, processor = map(float, output.split())
    count = len(list(photos.iterdir()))
    return {"photos": count, "seconds": seconds, "ms": seconds * 1e3 / count, "processor_ms": processor * 1e3 / count}


def run(photos: Path, out: Path) -> dict[str, Any]:
    """The command with its defaults: time of a photo without the start, memory of the driver and of the workers."""
    command = [sys.executable, "-m", "facemotion", "batch", str(photos), "--out", str(out), "--json"]
    started = time.time()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    watch = Watch(process.pid)
    report = json.loads(process.communicate()[0])
    watch.stop()
    times = sorted(file.stat().st_mtime for file in out.glob("*.parquet"))
    count = report["items"]
    records = [json.loads(file.read_text("utf-8")) for file in (out / "_facemotion" / "done").iterdir()]
    workers = min(cores(), report["parts"])
    return {
        "photos": count,
        "seconds": report["seconds"],
        "ms": sum(record["seconds"] for record in records) * 1e3 / count / workers,  # without the start of Ray
        "processor_ms": sum(record["processor_s"] for record in records) * 1e3 / count,
        "first_rows_s": times[0] - started,
        "driver_mb": watch.driver_mb,
        "worker_mb": watch.worker_mb,
        "memory": watch.seen,
    }


class Watch:
    """What a driver and the processes below it use, looked at twice a second until `stop`."""

    def __init__(self, process: int) -> None:
        self._driver = psutil.Process(process)
        self.seen: list[tuple[float, float, float]] = []
        """Seconds, and megabytes of the driver and of its largest worker."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def driver_mb(self) -> float:
        return max(driver for _, driver, _ in self.seen)

    @property
    def worker_mb(self) -> float:
        return max(worker for _, _, worker in self.seen)

    def _look(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(EVERY_S):
            try:
                driver = self._driver.memory_info().rss / 1e6
                workers = [self._worker_mb(one) for one in self._driver.children(recursive=True)]
            except psutil.Error:
                continue
            self.seen.append((round(time.monotonic() - started, 1), round(driver, 1), max(workers, default=0.0)))

    @staticmethod
    def _worker_mb(one: psutil.Process) -> float:
        """Resident megabytes of a worker; 0 for any other process."""
        try:
            is_worker = "MapWorker" in " ".join(one.cmdline())
            return round(one.memory_info().rss / 1e6, 1) if is_worker else 0.0
        except psutil.Error:
            return 0.0


def fer(photos: Path, count: int) -> dict[str, Any]:
    """`fer` as its page shows it: one call for each file, in one process of its own environment."""
    python = peers.environment()
    command = [str(python), str(ROOT / "benchmarks" / "contender.py"), "fer"]
    with peers.contender(command, ROOT) as process:
        times = [sum(peers.ask(process, file)["ms"]) / peers.COUNT for file in sorted(photos.iterdir())[:count]]
    return {"photos": count, "ms": sum(times) / len(times)}


if __name__ == "__main__":
    main()
