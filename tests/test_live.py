"""One viewer's stream: lasting ids, the rate, the bounded record, and what of it the page shows."""

import csv
import io
import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facemotion import EMOTIONS, Analysis, Box, Face, LiveSession
from facemotion.errors import BadOption, CorruptImage, MissingInput
from facemotion.images import Picture
from facemotion.live import TIMELINE_MOMENTS, TIMELINE_SECONDS, Moment, timeline_csv
from facemotion.webui import camera, webcam_tab
from facemotion.webui.timeline import MAX_PEOPLE, strips

FRAME = np.full((480, 640, 3), 120, np.uint8)
SCORES = {name: tuple(0.7 if one == name else 0.05 for one in EMOTIONS) for name in EMOTIONS}


class Scene:
    """A pipeline that finds the given faces, or raises the given error, and remembers what it was asked for."""

    def __init__(self, expression: str = "happy", people: int = 1) -> None:
        self.expression, self.people = expression, people
        self.error: Exception | None = None
        self.details: list[str] = []

    def analyze(self, source, *, detail="auto", threshold=None):
        self.details.append(detail)
        if self.error is not None:
            raise self.error
        faces = tuple(
            Face(index + 1, Box(10 + 100 * index, 10, 90 + 100 * index, 110), 0.9, SCORES[self.expression])
            for index in range(self.people)
        )
        return Analysis(640, 480, (640, 480), faces)


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


def test_the_record_is_bounded_in_time_and_in_number():
    session = LiveSession(Scene(people=5))
    run(session, TIMELINE_SECONDS + 20, fps=4)
    times = [moment.time_s for moment in session.moments()]
    assert times[-1] - times[0] <= TIMELINE_SECONDS
    run(session, 20, fps=80, start=200)
    assert len(session.moments()) == TIMELINE_MOMENTS


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
    rows = list(csv.DictReader(io.StringIO(timeline_csv(session.moments()))))
    assert len(rows) == 10
    assert (rows[3]["time_s"], rows[3]["id"], rows[3]["expression"]) == ("0.30", "1", "surprise")
    assert sum(float(rows[0][name]) for name in EMOTIONS) == pytest.approx(1)


@pytest.fixture
def eager_switching():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_the_record_can_be_read_while_frames_come(eager_switching):
    session = LiveSession(Scene(people=6))
    run(session, TIMELINE_SECONDS, fps=10)
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: [timeline_csv(session.moments()) for _ in iter(done.is_set, True)])
        run(session, 20, fps=10, start=TIMELINE_SECONDS)
        done.set()
        assert all(text.startswith("time_s,id") for text in reading.result())


class Turnstile(Scene):
    """A scene that counts how many frames are in it at once."""

    inside = most = 0

    def analyze(self, source, **more):
        self.inside += 1
        self.most = max(self.most, self.inside)
        threading.Event().wait(0.002)
        self.inside -= 1
        return super().analyze(source, **more)


def test_two_threads_in_one_session_take_turns():
    scene = Turnstile()
    session = LiveSession(scene)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: session.step(FRAME, 1.0), range(20)))
    assert scene.most == 1
    assert {face.id for analysis in found for face in analysis.faces} == {1}
    assert len(session.moments()) == 20


def test_two_streams_of_one_viewer_never_go_back_in_time():
    viewer = webcam_tab.Viewer(Turnstile())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: viewer.look(Picture(FRAME, (640, 480))), range(40)))
    times = [moment.time_s for moment in viewer.session.moments()]
    assert len(times) == 40 and times == sorted(times)


def moments(identity: int, expression: str, start: float, end: float) -> list[Moment]:
    return [Moment(float(t), identity, SCORES[expression]) for t in np.arange(start, end, 0.1)]


def test_strips_name_the_expressions_in_their_order():
    html = strips(moments(1, "happy", 0, 8) + moments(1, "sad", 8, 16), now_s=16)
    assert html.count('class="fm-strip"') == 1
    assert html.index(">happy<") < html.index(">sad<")


def test_strips_leave_a_gap_where_nobody_was():
    html = strips(moments(1, "happy", 0, 4) + moments(1, "happy", 10, 16), now_s=16)
    assert html.count("title=") == 2


def test_strips_show_the_people_seen_last():
    crowd = [moment for one in range(1, 8) for moment in moments(one, "happy", one, one + 1)]
    html = strips(crowd, now_s=10)
    assert html.count('class="fm-strip"') == MAX_PEOPLE
    assert "Face 7" in html and "Face 1<" not in html
    assert strips([], now_s=10) == ""


@pytest.mark.parametrize(
    ("level", "people", "words"), [(120, 0, "No face in view"), (10, 0, "too dark"), (10, 2, "2 faces")]
)
def test_the_readout_says_what_is_the_matter(level, people, words):
    viewer = webcam_tab.Viewer(Scene(people=people))
    drawn, text = viewer.look(Picture(np.full((480, 640, 3), level, np.uint8), (640, 480)), 0.0)
    assert words in text and "frames a second" in text
    assert drawn.shape == (480, 640, 3)
    assert viewer.look(Picture(FRAME, (640, 480)), 0.05)[1] is None  # nobody reads twenty numbers a second


def test_a_frame_larger_than_asked_for_is_reduced():
    huge = Picture(np.zeros((2000, 3000, 3), np.uint8), (3000, 2000))
    drawn, _ = webcam_tab.Viewer(Scene(people=0)).look(huge, 0.0)
    assert max(drawn.shape) == webcam_tab.FRAME_SIDE


class SlowScene(Scene):
    """A scene whose frames are done when the test says so."""

    def __init__(self):
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def analyze(self, source, **more):
        self.entered.set()
        assert self.go_on.wait(10)
        return super().analyze(source, **more)


def skipped(values) -> list[bool]:
    return [isinstance(value, dict) and value.get("__type__") == "update" for value in values]


@pytest.mark.parametrize("known", [True, False])
def test_a_slow_last_frame_shows_nothing_after_stop(known):
    scene = SlowScene()
    audience = webcam_tab.Audience(scene)
    viewer = webcam_tab._started("", audience, "page")[0] if known else None
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(audience.step, Picture(FRAME, (640, 480)), viewer, "page")
        assert scene.entered.wait(10)
        assert webcam_tab._stopped(audience, "page")[:2] == [None, webcam_tab._OFF]
        scene.go_on.set()
        assert skipped(late.result()) == [True] * 3


def test_the_record_can_be_downloaded_after_stop_until_the_next_start(tmp_path):
    audience = webcam_tab.Audience(Scene())
    picture = Picture(FRAME, (640, 480))
    first = webcam_tab._started("", audience, "page")[0]
    assert skipped(audience.step(picture, first, "page"))[1:] == [False, False]
    webcam_tab._stopped(audience, "page")
    assert skipped(audience.step(picture, first, "page")) == [True] * 3
    saved = Path(webcam_tab._timeline_file(first, str(tmp_path))).read_text(encoding="utf-8")
    assert len(list(csv.DictReader(io.StringIO(saved)))) == 1
    assert skipped(webcam_tab._started("NotFoundError", audience, "page"))[0]  # a refused start keeps the record
    second = webcam_tab._started("", audience, "page")[0]
    for nothing in (second, None):
        with pytest.raises(MissingInput, match="no face was seen"):
            webcam_tab._timeline_file(nothing, str(tmp_path))
    assert audience.step(picture, second, "page")[1] is second


def test_leaving_drops_the_record_of_a_stopped_camera_too():
    audience = webcam_tab.Audience(Scene())
    viewer = webcam_tab._started("", audience, "page")[0]
    audience.step(Picture(FRAME, (640, 480)), viewer, "page")
    webcam_tab._stopped(audience, "page")
    audience.leave("page")
    audience.step(Picture(FRAME, (640, 480)), viewer, "page")
    assert viewer.session.moments() == ()


def test_frames_come_and_go_without_files(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    component = camera.build("Camera")
    shown = component.postprocess(FRAME)
    assert shown.url.startswith("data:image/jpeg;base64,") and shown.path is None
    back = component.preprocess(shown)
    assert back.pixels.shape == FRAME.shape
    assert abs(int(back.pixels.mean()) - 120) <= 2
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize("reason", ["NotAllowedError", "NotFoundError", "NotReadableError", "Insecure", "whatever"])
def test_every_refusal_of_the_browser_has_its_sentence(reason):
    assert camera.refusal(reason).endswith(".")
    assert camera.refusal("") is None
