"""A run from end to end: list, share out, collect, report."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from facemotion import __version__, settings
from facemotion.batch import cluster, storage
from facemotion.detectors import FaceDetector
from facemotion.errors import (
    BadOption,
    BatchError,
    DestinationError,
    FacemotionError,
    MissingInput,
    OtherRun,
    SourceGone,
)

_SLOWEST = 10
_LIMITS = ("MAX_FILE_BYTES", "MAX_PIXELS", "MAX_SIDE", "MAX_FACES", "MAX_VIDEO_BYTES", "MAX_VIDEO_SECONDS")
_FAILURES: dict[str, type[FacemotionError]] = {kind.code: kind for kind in (SourceGone, DestinationError, OtherRun)}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: items (pictures and videos) done and in all, and faces and errors so far."""

    done: int
    total: int
    faces: int
    errors: int


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run, earlier starts included.

    `errors` counts rows by error code, `slowest` holds (milliseconds, path); `seconds` is the time of this start alone,
    `pictures_per_s` its rate.
    """

    out: str
    items: int
    rows: int
    faces: int
    frames: int
    parts: int
    parts_before: int
    errors: dict[str, int]
    slowest: list[tuple[float, str]]
    seconds: float
    pictures_per_s: float
    models: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Options:
    """What decides the rows of a run; see `run`."""

    sources: list[str]
    detail: str = "auto"
    threshold: float | None = None
    detector: str = "default"
    classifier: str = "default"
    videos: bool = False
    frames_per_s: float = 1.0
    column: str | None = None
    limit: int | None = None
    part_pictures: int | None = None

    def check(self) -> None:
        """Raises BadOption where an option is outside its range."""
        FaceDetector.check_options(self.detail, self.threshold)
        if not all(self.sources or [""]):
            raise MissingInput("There is no source. Name folders, globs, a list of paths or a Parquet file.")
        if not 0 < self.frames_per_s <= 120:
            raise BadOption(
                f"The frames of a second of video must be above 0 and at most 120, not {self.frames_per_s}."
            )
        for name in ("limit", "part_pictures"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadOption(f"{name} must be 1 or more, but is {value}.")

    def identity(self, models: Mapping[str, str]) -> dict[str, Any]:
        """All that two starts must have in common for their rows to fit together."""
        from facemotion.batch.rows import SCHEMA_VERSION  # noqa: PLC0415

        given = asdict(self)
        given["sources"] = [str(storage.locate(source)) for source in self.sources]
        given |= {name: models[name] for name in ("detector", "classifier")}
        limits = {f"FACEMOTION_{name}": getattr(settings, name) for name in _LIMITS}
        return given | limits | {"schema": SCHEMA_VERSION, "version": __version__}


@dataclass(slots=True)
class _Tally:
    """The sums over the records of parts."""

    total: int
    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, str]] = field(default_factory=list)

    def add(self, record: Mapping[str, Any]) -> None:
        for name in ("items", "rows", "faces", "frames"):
            self.counts[name] += record[name]
        self.errors.update(record["errors"])
        self.slowest += [(ms, path) for ms, path in record["slowest"]]
        self.slowest = sorted(self.slowest, reverse=True)[:_SLOWEST]

    @property
    def progress(self) -> Progress:
        return Progress(self.counts["items"], self.total, self.counts["faces"], self.errors.total())


def run(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    detail: str = "auto",
    threshold: float | None = None,
    detector: str = "default",
    classifier: str = "default",
    videos: bool = False,
    frames_per_s: float = 1.0,
    column: str | None = None,
    limit: int | None = None,
    part_pictures: int | None = None,
    resume: bool = False,
    address: str | None = None,
    concurrency: int | None = None,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Analyses any number of pictures into a folder of Parquet files, on this machine or on a Ray cluster.

    Args:
        sources: folders, globs, text files with a path in each line, Parquet files with a column of paths or bytes;
            each a path, or an address such as `s3://bucket/folder`.
        out: the folder of the results, a path or an address; workers write there.
        detail: as for `Pipeline.analyze`.
        threshold: as for `Pipeline.analyze`.
        detector: as for `Pipeline.from_pretrained`.
        classifier: as for `Pipeline.from_pretrained`.
        videos: whether to analyse videos too; else each has one row that says it was passed over.
        frames_per_s: how many frames of each second of a video are analysed.
        column: of Parquet sources; needed where they have several that could be meant.
        limit: how many items to take at most.
        part_pictures: in one file of results; None takes 32 to 4096, for about a thousand files.
        resume: whether to go on where an earlier run with the same options ended.
        address: of a Ray cluster, "auto" or `ray://host:10001`; None starts Ray on this machine, for this run.
        concurrency: how many workers; None takes as many as there are processors for.
        threads: processors for each worker.
        progress: called after each part.

    Raises:
        BatchError: Ray is missing or gave up, the destination belongs to another run or cannot be written, or the
            source has vanished.
        InputError: a source is not there, or an option is outside its range.
        WeightsError: a model that was named cannot be had.
    """
    cluster.check_installed()
    given = [sources] if isinstance(sources, (str, Path)) else list(sources)
    options = Options(
        [str(source) for source in given], detail, threshold, detector, classifier,
        videos, frames_per_s, column, limit, part_pictures,
    )  # fmt: skip
    options.check()
    if not str(out):
        raise BadOption("There is no destination. Name a folder for the results.")
    if threads < 1 or (concurrency is not None and concurrency < 1):
        raise BadOption("Workers and their threads must be 1 or more each.")
    try:
        return _Run(options, str(out), resume).go(address, concurrency, threads, progress)
    except ConnectionError as error:
        raise BatchError(str(error)) from error


class _Run:
    def __init__(self, options: Options, out: str, resume: bool) -> None:
        from facemotion.batch.results import Results  # noqa: PLC0415
        from facemotion.pipeline import Pipeline  # noqa: PLC0415

        self._started = time.perf_counter()
        self._options = options
        place = storage.locate(out)
        self._out = f"{place}{storage.options_of(out)}"
        self._results = Results(place)
        begun = self._results.begun()
        if begun is None or not resume:
            self._results.check_new()
        self._models = Pipeline.from_pretrained(options.detector, options.classifier).models
        identity = options.identity(self._models)
        if begun is None:
            self._list(identity)
        else:
            self._results.check_same(identity, begun)
            self._read(begun)
        self._results.clean()

    def _list(self, identity: dict[str, Any]) -> None:
        from facemotion.batch import plan  # noqa: PLC0415
        from facemotion.batch.sources import Listing  # noqa: PLC0415

        options = self._options
        listing = Listing(options.sources, options.column)
        listed = self._results.list_folder
        self._size = plan.write(listed, listing, options.limit, options.part_pictures, options.videos)
        if not self._size.items:
            raise MissingInput("There is no picture in what was given. Name a folder with photos in it, or a glob.")
        self._roots = listing.roots
        self._results.begin(identity, self._size, self._roots)

    def _read(self, begun: Mapping[str, Any]) -> None:
        from facemotion.batch.plan import Size  # noqa: PLC0415

        self._size, self._roots = Size(**begun["size"]), begun["roots"]

    def go(
        self,
        address: str | None,
        concurrency: int | None,
        threads: int,
        progress: Callable[[Progress], None] | None,
    ) -> Report:
        from facemotion.batch.results import in_manifest  # noqa: PLC0415

        finished: dict[int, dict[str, Any]] = {}
        tally = _Tally(self._size.items)
        for record in self._results.records(self._size.parts()):
            finished[record["number"]] = in_manifest(record)
            tally.add(record)
        before, done_before = len(finished), tally.counts["items"]
        if progress is not None:
            progress(tally.progress)
        pending = [number for number in range(self._size.count) if number not in finished]
        for record in self._make(pending, address, concurrency, threads) if pending else ():
            finished[record["number"]] = in_manifest(record)
            tally.add(record)
            if progress is not None:
                progress(tally.progress)
        report = self._report(tally, before, tally.counts["items"] - done_before)
        self._results.finish(report.to_dict(), finished)
        return report

    def _make(
        self, numbers: list[int], address: str | None, concurrency: int | None, threads: int
    ) -> Iterable[dict[str, Any]]:
        from facemotion.batch.worker import Job, PartWorker  # noqa: PLC0415
        from facemotion.runtime import cores  # noqa: PLC0415

        options = self._options
        job = Job(
            self._out, self._size, self._roots, self._models, options.detector, options.classifier,
            options.detail, options.threshold, options.column, options.videos, options.frames_per_s,
            home=None if address else os.environ.get("HOME"),
        )  # fmt: skip
        alone = address is None and not cluster.is_connected()
        here = min(concurrency or max(1, cores() // threads), len(numbers))
        if alone:
            cluster.check_memory(here, cores())
        with cluster.started(address, here * threads) as ray:
            fixed = cluster.Workers(here, here, here)
            workers = fixed if alone else cluster.workers(ray, len(numbers), concurrency, threads)
            for text in cluster.stream(PartWorker, job, numbers, workers, threads):
                record = json.loads(text)
                if "failed" in record:
                    code, message = record["failed"]
                    raise _FAILURES.get(code, BatchError)(message)
                yield record

    def _report(self, tally: _Tally, before: int, done_now: int) -> Report:
        seconds = time.perf_counter() - self._started
        counts = {name: tally.counts[name] for name in ("items", "rows", "faces", "frames")}
        return Report(
            str(self._results.folder),
            **counts,
            parts=self._size.count,
            parts_before=before,
            errors=dict(sorted(tally.errors.items())),
            slowest=tally.slowest,
            seconds=round(seconds, 2),
            pictures_per_s=round(done_now / seconds, 2),
            models=self._models,
        )
