"""The viewers of the Webcam tab: what one sees, whose face is followed, what is left after Stop, whose turn it is."""

import csv
import io
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gradio.data_classes import ImageData

from facemotion.errors import MissingInput
from facemotion.images import Picture
from facemotion.tracking.live import Moment
from facemotion.webui.components import camera
from facemotion.webui.html import webcam as webcam_html
from facemotion.webui.html.probability_chart import curve
from facemotion.webui.html.timeline import MAX_PEOPLE, SPAN_S, strips
from facemotion.webui.sessions import webcam
from facemotion.webui.sessions.fair_semaphore import FairSemaphore
from facemotion.webui.tabs import webcam as webcam_tab
from tests.support.models.scenes import FRAME, SCORES, Scene, Turnstile

PICTURE = Picture(FRAME, (640, 480))


def test_two_streams_of_one_viewer_never_go_back_in_time():
    one = webcam.WebcamSession(Turnstile())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: one.process(Picture(FRAME, (640, 480))), range(40)))
    times = [moment.time_s for moment in one.live.moments()]
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
    one = webcam.WebcamSession(Scene(people=people))
    drawn, text, _ = one.process(Picture(np.full((480, 640, 3), level, np.uint8), (640, 480)), 0.0)
    assert words in text and "frames a second" in text
    assert drawn.shape == (480, 640, 3)
    assert one.process(PICTURE, 0.05)[1] is None  # nobody reads twenty numbers a second


def test_a_frame_larger_than_asked_for_is_reduced():
    huge = Picture(np.zeros((2000, 3000, 3), np.uint8), (3000, 2000))
    drawn = webcam.WebcamSession(Scene(people=0)).process(huge, 0.0)[0]
    assert max(drawn.shape) == webcam.FRAME_SIDE


def polygons(svg: str) -> list[list[tuple[float, float]]]:
    points = [pair.split(",") for found in re.findall(r'points="([^"]+)"', svg) for pair in [*found.split(" "), ","]]
    shapes: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if x:
            shapes[-1].append((float(x), float(y)))
        else:
            shapes.append([])
    return shapes[:-1]


def test_the_curve_moves_to_the_left_and_fills_the_height():
    seen = moments(1, "happy", 0, 8) + moments(1, "sad", 8, 16)
    first, second = (polygons(curve(seen, 1, now_s, SPAN_S)) for now_s in (16.0, 18.0))
    assert len(first) == 7
    assert {y for _, y in first[0]} >= {0.0} and max(y for _, y in first[-1]) == 100
    moved = {
        round(a[0] - b[0], 1) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True)
    }
    assert moved == {8.0}  # of 80 across in 20 seconds


def test_the_curve_is_of_one_face_and_has_gaps_where_it_was_away():
    seen = moments(1, "happy", 0, 4) + moments(1, "happy", 10, 16) + moments(2, "sad", 0, 16)
    assert len(polygons(curve(seen, 1, 16.0, SPAN_S))) == 2 * len(polygons(curve(seen, 2, 16.0, SPAN_S)))
    assert curve(seen, 3, 16.0, SPAN_S) == "" == curve(seen, 1, 60.0, SPAN_S)


def follow(one: webcam.WebcamSession, start: float, end: float) -> list[webcam.Choice]:
    """What could be chosen meanwhile, each time it changed."""
    shown = [one.process(PICTURE, float(t)) for t in np.arange(start, end, 0.1)]
    return [choice for _, _, choice in shown if choice is not None]


def test_a_chosen_face_is_followed_until_it_is_gone():
    scene = Scene(people=2)
    one = webcam.WebcamSession(scene)
    assert follow(one, 0, 2) == [((1, 2), 1)]
    one.choose(2)
    assert follow(one, 2, 4) == [((1, 2), 2)]
    text = one.process(PICTURE, 4.3)[1]
    assert "Face 2 shows" in text and 'aria-label="Expressions of face 2' in text
    scene.people = 1
    follow(one, 4.4, 8)
    text = one.process(PICTURE, 8.3)[1]
    assert "Face 2 is out of view" in text and "1 face in view" in text
    assert follow(one, 8.4, 26)[-1] == ((1,), 1)


def test_the_followed_of_several_faces_is_emphasised():
    one, other = (webcam.WebcamSession(Scene(people=2)) for _ in range(2))
    other.choose(2)
    follow(one, 0, 1), follow(other, 0, 1)
    assert (one.process(PICTURE, 1.0)[0] != other.process(PICTURE, 1.0)[0]).any()


def test_the_choice_is_hidden_while_there_is_nothing_to_choose():
    assert webcam.choices((1,), 1).visible is False
    several = webcam.choices((1, 4), 4)
    assert (several.visible, several.value, several.choices) == (True, 4, [("Face 1", 1), ("Face 4", 4)])


def test_first_come_first_served():
    turns, order = FairSemaphore(1), []

    def wait(number: int) -> None:
        with turns.permit():
            order.append(number)
            time.sleep(0.001)

    with ThreadPoolExecutor(8) as pool, turns.permit():
        for number in range(8):
            pool.submit(wait, number)
            until(lambda number=number: len(turns._waiting) == number + 1)
    assert order == list(range(8))


def test_as_many_at_once_as_there_are_places():
    turns, inside, most = FairSemaphore(2), [], []

    def work(number: int) -> None:
        for _ in range(20):
            with turns.permit():
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.001)
                inside.remove(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert max(most) == 2


def test_a_turn_that_fails_is_given_on():
    turns = FairSemaphore(1)
    for _ in range(2):
        with pytest.raises(ValueError), turns.permit():
            raise ValueError
    with turns.permit():
        pass


def test_viewers_that_are_always_there_get_the_same_share():
    """Eight at a processor for one, each with its next frame ready before the current frame is done."""
    scene = TurnByTurn()
    audience = webcam.WebcamSessions(scene)
    audience._semaphore = FairSemaphore(1)
    turns: list[int] = []
    done = threading.Event()

    def watch(page: int) -> None:
        one = audience.start(str(page))
        while not done.is_set():
            one.process(Picture(np.full((48, 64, 3), page, np.uint8), (64, 48)))

    with ThreadPoolExecutor(8) as pool:
        watching = [pool.submit(watch, page) for page in range(8)]
        try:
            for _ in range(80):
                until(lambda: len(audience._semaphore._waiting) == 7 and scene.current is not None)
                turns.append(scene.current)
                scene.finish()
        finally:
            done.set()
            until(lambda: scene.finish() or all(one.done() for one in watching))
    assert [turns.count(page) for page in range(8)] == [10] * 8
    assert turns == turns[:8] * 10


def until(true) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class TurnByTurn(Scene):
    """A scene whose current frame, named by its first pixel, is done at `finish`."""

    def __init__(self):
        super().__init__(people=0)
        self.current: int | None = None
        self._finish = threading.Event()

    def analyze(self, source, **more):
        self.current = int(source[0, 0, 0])
        assert self._finish.wait(60)
        self._finish.clear()
        return super().analyze(source, **more)

    def finish(self) -> None:
        self.current = None
        self._finish.set()


class SlowScene(Scene):
    """A scene whose frames are done when the test says so."""

    def __init__(self):
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def analyze(self, source, **more):
        self.entered.set()
        assert self.go_on.wait(60)
        return super().analyze(source, **more)


def skipped(values) -> list[bool]:
    return [isinstance(value, dict) and value.get("__type__") == "update" for value in values]


def start(audience: webcam.WebcamSessions, reason: str = ""):
    """The state after the button was clicked; a skip when the browser refused."""
    return webcam_tab._started(reason, audience, "page")[0]


def stop(audience: webcam.WebcamSessions, reason: str = ""):
    """Values for the picture and the readout."""
    picture, _, text, *_ = webcam_tab._stopped(reason, audience, "page")
    return picture, text


@pytest.mark.parametrize("known", [True, False])
def test_a_slow_last_frame_shows_nothing_after_stop(known):
    scene = SlowScene()
    audience = webcam.WebcamSessions(scene)
    one = start(audience) if known else None
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(audience.step, PICTURE, one, "page")
        assert scene.entered.wait(60)
        assert stop(audience) == ("", webcam_html.OFF)
        scene.go_on.set()
        assert skipped(late.result()) == [True] * 4


def test_the_record_can_be_downloaded_after_stop_until_the_next_start(tmp_path):
    audience = webcam.WebcamSessions(Scene())
    first = start(audience)
    assert skipped(audience.step(PICTURE, first, "page"))[1:3] == [False, False]
    stop(audience)
    assert skipped(audience.step(PICTURE, first, "page")) == [True] * 4
    for write in (webcam_tab._minute_file, webcam_tab._summary_file):
        saved = Path(write(first, str(tmp_path))).read_text(encoding="utf-8")
        assert saved.startswith("\ufeff") and len(list(csv.DictReader(io.StringIO(saved)))) == 1
        assert skipped([start(webcam.WebcamSessions(Scene()), "NotFoundError")]) == [
            True
        ]  # a refused start keeps the record
        for nothing in (start(webcam.WebcamSessions(Scene())), None):
            with pytest.raises(MissingInput, match="no face was seen"):
                write(nothing, str(tmp_path))
    second = start(audience)
    assert audience.step(PICTURE, second, "page")[1] is second


def test_the_summary_after_stop():
    scene = Scene(people=2)
    audience = webcam.WebcamSessions(scene)
    one = start(audience)
    follow(one, 0, 8)
    scene.people = 1
    follow(one, 8, 24)
    scene.people = 3  # a reflection
    follow(one, 24, 24.25)
    text = stop(audience)[1]
    assert webcam_html.OFF in text and "24.2 seconds" in text and "2 faces seen" in text
    rows = re.findall(r'scope="row">(\d+)</th><td>([\d.]+) s</td>', text)
    assert rows == [("1", "24.2"), ("2", "7.9")] and text.count("happy 100 %") == 2
    assert "Summary" not in stop(webcam.WebcamSessions(Scene()))[1]


def test_what_ended_the_camera_is_said():
    audience = webcam.WebcamSessions(Scene())
    follow(one := start(audience), 0, 2)
    text = stop(audience, "Ended")[1]
    assert "unplugged" in text and 'role="alert"' in text and "1 face seen" in text
    assert one.process(PICTURE) is None


def test_leaving_drops_the_record_of_a_stopped_camera_too():
    audience = webcam.WebcamSessions(Scene())
    one = start(audience)
    follow(one, 0, 1)
    stop(audience)
    audience.close("page")
    audience.step(PICTURE, one, "page")
    assert (one.live.moments(), one.live.people()) == ((), ())


def test_frames_come_and_go_without_files(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    component = camera.build("Camera")
    url = camera.encode_frame(FRAME).split('"')[1]
    assert url.startswith("data:image/jpeg;base64,")
    back = component.preprocess(ImageData(url=url))
    assert back.pixels.shape == FRAME.shape
    assert abs(int(back.pixels.mean()) - 120) <= 2
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize("reason", ["NotAllowedError", "NotFoundError", "NotReadableError", "Insecure", "Ended", "?"])
def test_every_refusal_of_the_browser_has_its_sentence(reason):
    assert camera.error_text(reason).endswith(".")
    assert camera.error_text("") is None
