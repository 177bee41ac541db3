"""The limit in seconds: looked at between steps of work, in the thread that does it."""

from __future__ import annotations

import contextvars
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from facemotion import Pipeline, deadline, runtime
from facemotion.errors import TookTooLong

PICTURE = np.full((600, 800, 3), 128, np.uint8)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in its one element; each look at it lets a second pass."""
    now = [100.0]

    def look() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=look))
    return now


def test_without_a_limit_nothing_is_stopped(clock: list[float]) -> None:
    clock[0] = 1e9
    deadline.check()


def test_work_is_stopped_at_the_first_look_after_the_limit(clock: list[float]) -> None:
    with deadline.within(3):
        deadline.check()
        deadline.check()
        deadline.check()
        with pytest.raises(TookTooLong, match="longer than 3 seconds and was stopped") as caught:
            deadline.check()
    assert caught.value.code == "too_slow"
    deadline.check()


def test_of_two_limits_the_earlier_counts(clock: list[float]) -> None:
    with deadline.within(2), deadline.within(1000):
        clock[0] += 5
        with pytest.raises(TookTooLong, match="2 seconds"):
            deadline.check()


def test_a_thread_that_inherits_the_context_inherits_the_limit() -> None:
    outcome: list[type[BaseException] | None] = []

    def work() -> None:
        try:
            deadline.check()
        except TookTooLong as error:
            outcome.append(type(error))

    with deadline.within(-1):
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
        thread.join()
    assert outcome == [TookTooLong]


@pytest.mark.slow
def test_detection_stops_between_tiles(pipeline: Pipeline, clock: list[float]) -> None:
    large = np.full((3000, 4000, 3), 128, np.uint8)
    started = time.perf_counter()
    with deadline.within(4), pytest.raises(TookTooLong):
        pipeline.detector.detect(large, detail="thorough")
    assert time.perf_counter() - started < 30


def test_classification_stops_between_batches(pipeline: Pipeline, clock: list[float]) -> None:
    faces = [PICTURE[:48, :48]] * 100
    with deadline.within(3), pytest.raises(TookTooLong):
        pipeline.classifier.classify(faces)


def test_of_a_batch_what_was_done_in_time_is_kept(
    pipeline: Pipeline, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "cores", lambda: 1)  # one picture after the other: else chance decides which is done
    with deadline.within(7):
        analyses = pipeline.analyze_batch([PICTURE] * 5)
    codes = [analysis.error and analysis.error[0] for analysis in analyses]
    assert codes[0] is None
    assert codes[-1] == "too_slow"
