"""What one worker process does: parts of the list -> files of rows."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from facemotion.batch import plan, reading, rows, storage, tries, videos
from facemotion.batch.plan import Part, Size
from facemotion.batch.reading import Loaded
from facemotion.batch.results import Results
from facemotion.batch.rows import Writer
from facemotion.batch.sources import VIDEO, Item
from facemotion.errors import BatchError, FacemotionError, MissingInput, OtherRun
from facemotion.faces import Analysis
from facemotion.pipeline import Pipeline

SKIPPED = "video_skipped"
_SLOWEST = 5  # of each part
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker needs to know; it travels to other machines, and holds no secret.

    `home` is the user's home folder where all run on one machine: Ray's processes have another; see `cluster._home`.
    """

    out: str
    size: Size
    roots: list[str]
    models: dict[str, str]
    detector: str
    classifier: str
    detail: str
    threshold: float | None
    column: str | None
    videos: bool
    frames_per_s: float
    home: str | None = None


@dataclass(slots=True)
class _Sum:
    """The record of a part in the making."""

    writer: Writer = field(default_factory=Writer)
    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, str]] = field(default_factory=list)

    def add(self, number: int, item: Item, analysis: Analysis, time_s: float | None = None) -> None:
        path = item.address.removesuffix(storage.options_of(item.address))
        if item.row >= 0:
            path += f"#{item.row}"
        self.writer.add(rows.of(number, path, analysis, time_s))
        self.counts["faces"] += len(analysis.faces)
        if analysis.error is not None:
            self.errors[analysis.error[0]] += 1
        taken = (round(analysis.timings_ms.get("total", 0.0), 1), path)
        self.slowest = sorted([*self.slowest, taken], reverse=True)[:_SLOWEST]


class PartWorker:
    """Loads the models once, then turns parts into files; Ray keeps it for the whole run."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._results = Results(storage.locate(job.out))
        self._failure: FacemotionError | None = None
        if job.home:
            os.environ["HOME"] = job.home
        try:
            self._pipeline = Pipeline.from_pretrained(job.detector, job.classifier)
            self._check_models()
        except FacemotionError as error:  # one raised here would be tried again and again
            self._failure = error

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Ray Data's call: the numbers of parts in the column "item" -> their records as JSON."""
        return {"record": [json.dumps(self.finish(int(number))) for number in batch["item"]]}

    def finish(self, number: int) -> dict[str, Any]:
        """The record of a part that is in place now, or {"failed": [code, message]}."""
        part = self._job.size.part(number)
        try:
            if self._failure is not None:
                raise self._failure
            return self._results.record(part) or self._make(part)
        except FacemotionError as error:
            return {"number": number, "failed": [error.code, error.message]}
        except Exception as error:
            _LOG.exception("part %d", number)
            sentence = f"A worker failed with {type(error).__name__}: {error}. Its log is in Ray's folder of logs."
            return {"number": number, "failed": [BatchError.code, sentence]}

    def _check_models(self) -> None:
        if self._pipeline.models != self._job.models:
            raise OtherRun(
                f"A worker's models are {self._pipeline.models}, but the run's are {self._job.models}. Install the "
                "same version, and the same weights, on all machines."
            )

    def _make(self, part: Part) -> dict[str, Any]:
        started, processor = time.perf_counter(), time.process_time()
        items = plan.read(self._results.list_folder, part)
        total = _Sum()
        notes = tries.Tries(self._results.tries(part))
        if part.listed == "videos":
            self._add_videos(total, part, items, notes)
        else:
            self._add_pictures(total, part, items, notes)
        record = {
            "number": part.number,
            "items": len(items),
            "rows": total.writer.count,
            "faces": total.counts["faces"],
            "frames": total.counts["frames"],
            "errors": dict(total.errors),
            "slowest": total.slowest,
            "seconds": round(time.perf_counter() - started, 3),
            "processor_s": round(time.process_time() - processor, 3),
        }
        return self._results.finish_part(part, total.writer.finish(), record)

    def _add_pictures(self, total: _Sum, part: Part, items: list[Item], notes: tries.Tries) -> None:
        at = 0
        for group in reading.groups(reading.load(items, self._job.roots, self._job.column)):
            alone = notes.apart(at, at + len(group))
            for offset, some in enumerate([one] for one in group) if alone else [(0, group)]:
                first = at + offset
                for index, (one, analysis) in enumerate(self._analyses(first, some, notes)):
                    total.add(part.start + first + index, one.item, analysis)
            at += len(group)

    def _analyses(self, first: int, group: list[Loaded], notes: tries.Tries) -> Iterator[tuple[Loaded, Analysis]]:
        """The analyses of a group whose first picture is number `first` of the part."""
        if len(group) == 1 and notes.is_bad(first):
            yield group[0], self._failed(tries.CODE, tries.MESSAGE)
            return
        notes.begin(first, first + len(group))
        readable = [one for one in group if one.failure is None and one.item.kind != VIDEO]
        job = self._job
        found = iter(
            self._pipeline.analyze_batch([one.source for one in readable], detail=job.detail, threshold=job.threshold)  # type: ignore[misc]
        )
        for one in group:
            if one.item.kind == VIDEO:
                yield one, self._failed(SKIPPED, "This is a video, and was passed over. --videos analyses them too.")
            elif one.failure is not None:
                yield one, self._failed(*one.failure)
            else:
                yield one, self._present(one, next(found))

    def _present(self, one: Loaded, analysis: Analysis) -> Analysis:
        """The analysis, unless the file is missing because all of its source is."""
        if analysis.error is not None and analysis.error[0] == MissingInput.code and isinstance(one.source, str):
            self._check_source(one.item)
        return analysis

    def _check_source(self, item: Item) -> None:
        if (vanished := reading.gone(item, self._job.roots)) is not None:
            raise vanished

    def _failed(self, code: str, message: str) -> Analysis:
        return Analysis(0, 0, (0, 0), models=self._pipeline.models, error=(code, message))

    def _add_videos(self, total: _Sum, part: Part, items: list[Item], notes: tries.Tries) -> None:
        for index, item in enumerate(items):
            if notes.is_bad(index):
                total.add(part.start + index, item, self._failed(tries.CODE, tries.MESSAGE))
                continue
            notes.begin(index, index + 1)
            for analysis, time_s in self._of_video(item):
                total.counts["frames"] += time_s is not None
                total.add(part.start + index, item, analysis, time_s)

    def _of_video(self, item: Item) -> Iterator[tuple[Analysis, float | None]]:
        job = self._job
        try:
            for analysis, time_s in videos.analyses(
                self._pipeline, item.address, job.frames_per_s, job.detail, job.threshold
            ):
                if analysis.error is not None and analysis.error[0] == MissingInput.code:
                    self._check_source(item)
                yield analysis, time_s
        except OSError:
            self._check_source(item)
            yield self._failed(MissingInput.code, "This video cannot be read. Please check its name."), None
