"""One viewer's stream: lasting ids, the rate, the bounded record, the timeline of the whole."""

import csv
import io
import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from facemotion import EMOTIONS, LiveSession
from facemotion.errors import BadOption, CorruptImage
from facemotion.tracking.live import HISTORY_MOMENTS, HISTORY_SECONDS, moments_csv
from facemotion.tracking.timeline import GAP_S, MAX_PEOPLE, people_csv
from tests.support.models.scenes import FRAME, Scene, Turnstile


def run(session: LiveSession, seconds: float, fps: float = 10, start: float = 0) -> None:
    for index in range(int(seconds * fps)):
        session.step(FRAME, start + index / fps)


def test_uses_the_fast_pass_and_keeps_ids():
    scene = Scene()
    session = LiveSession(scene)
    ids = [session.step(FRAME, index / 10).faces[0].id for index in range(5)]
    assert ids == [1] * 5
    assert set(scene.details) == {"fast"}


@pytest.mark.parametrize("fps", [4, 10, 25])
def test_the_rate_is_that_of_the_frames(fps):
    session = LiveSession(Scene())
    assert session.fps == 0
    run(session, 4, fps)
    assert session.fps == pytest.approx(fps, rel=0.05)


def test_the_rate_starts_again_after_a_pause():
    session = LiveSession(Scene())
    run(session, 2)
    session.step(FRAME, 100)
    assert session.fps == 0


@pytest.mark.slow
def test_the_record_is_bounded_in_time_and_in_number():
    session = LiveSession(Scene(people=5))
    run(session, HISTORY_SECONDS + 20, fps=4)
    times = [moment.time_s for moment in session.moments()]
    assert times[-1] - times[0] <= HISTORY_SECONDS
    run(session, 20, fps=80, start=200)
    assert len(session.moments()) == HISTORY_MOMENTS


def test_a_frame_that_fails_does_not_end_the_session():
    scene = Scene()
    session = LiveSession(scene)
    session.step(FRAME, 0)
    scene.error = CorruptImage("The picture breaks off.")
    with pytest.raises(CorruptImage):
        session.step(FRAME, 0.1)
    scene.error = None
    assert session.step(FRAME, 0.2).faces[0].id == 1


def test_refuses_a_time_that_is_none():
    with pytest.raises(BadOption):
        LiveSession(Scene()).step(FRAME, math.nan)


def test_time_going_back_starts_the_record_again():
    session = LiveSession(Scene())
    run(session, 2, start=100)
    session.step(FRAME, 5)
    assert [moment.time_s for moment in session.moments()] == [5]


def test_forgetting_leaves_nothing_of_the_faces():
    session = LiveSession(Scene())
    run(session, 1)
    session.forget()
    assert not session.moments()
    assert session.step(FRAME, 1).faces[0].id == 2


def test_sessions_share_nothing():
    first, second = LiveSession(Scene()), LiveSession(Scene("sad"))
    for index in range(5):
        assert first.step(FRAME, index / 10).faces[0].expression == "happy"
        assert second.step(FRAME, index / 10).faces[0].expression == "sad"
    assert len(first.moments()) == len(second.moments()) == 5


def test_the_record_as_csv():
    session = LiveSession(Scene("surprise"))
    run(session, 1, start=50)
    rows = list(csv.DictReader(io.StringIO(moments_csv(session.moments()))))
    assert len(rows) == 10
    assert (rows[3]["time_s"], rows[3]["id"], rows[3]["expression"]) == ("0.30", "1", "surprise")
    assert sum(float(rows[0][name]) for name in EMOTIONS) == pytest.approx(1)


@pytest.fixture
def eager_switching():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
def test_the_record_can_be_read_while_frames_come(eager_switching):
    session = LiveSession(Scene(people=6))
    run(session, HISTORY_SECONDS, fps=10)
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: [moments_csv(session.moments()) for _ in iter(done.is_set, True)])
        run(session, 20, fps=10, start=HISTORY_SECONDS)
        done.set()
        assert all(text.startswith("time_s,id") for text in reading.result())


def test_two_threads_in_one_session_take_turns():
    scene = Turnstile()
    session = LiveSession(scene)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: session.step(FRAME, 1.0), range(20)))
    assert scene.most == 1
    assert {face.id for analysis in found for face in analysis.faces} == {1}
    assert len(session.moments()) == 20


def test_the_timeline_knows_how_long_who_showed_what():
    scene = Scene("happy", people=2)
    session = LiveSession(scene)
    run(session, 3)
    scene.expression, scene.people = "sad", 1
    run(session, 4, start=3)
    first, second = session.people()
    assert first.in_view_s == pytest.approx(6.9)
    assert first.seconds["happy"] == pytest.approx(3.4, abs=0.3)  # labels change after a moment's doubt
    assert first.seconds["happy"] + first.seconds["sad"] == pytest.approx(6.9)
    assert second.seconds["happy"] == pytest.approx(2.9)
    assert session.duration_s == pytest.approx(6.9)


def test_pauses_count_for_nothing():
    session = LiveSession(Scene())
    run(session, 2)
    run(session, 2, start=2 + GAP_S)
    assert session.duration_s == pytest.approx(3.8)
    assert sum(one.in_view_s for one in session.people()) == pytest.approx(3.8)


def test_the_timeline_is_bounded():
    session = LiveSession(Scene())
    for start in range(0, 3 * (MAX_PEOPLE + 10), 3):  # after each gap the face is another person
        session.step(FRAME, start)
    assert len(session.people()) == MAX_PEOPLE


def test_the_timeline_goes_back_beyond_the_record_and_is_forgotten_with_it():
    session = LiveSession(Scene())
    run(session, 2 * HISTORY_SECONDS, fps=4)
    assert session.people()[0].in_view_s == pytest.approx(2 * HISTORY_SECONDS, abs=0.5)
    session.forget()
    assert (session.people(), session.duration_s) == ((), 0)


def test_the_timeline_as_csv():
    session = LiveSession(Scene("surprise"))
    run(session, 2)
    [row] = csv.DictReader(io.StringIO(people_csv(session.people())))
    assert (row["id"], row["in_view_s"], row["surprise"], row["happy"]) == ("1", "1.90", "1.0000", "0.0000")
