"""Models that raise or run out of memory: one request fails, with a sentence, and the next succeeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.visitors import Outcome, Visitor, photo, rest
from facemotion import images
from tests.support.media import crafted
from tests.support.servers import faults
from tests.support.servers.running import Server, grown

pytestmark = pytest.mark.slow

NAME = "holiday-with-grandmother.png"
LEVELS = sorted(faults.FAULTS)
IN_MODELS = [level for level in LEVELS if faults.FAULTS[level][0] != "drawing"]


@pytest.fixture
def server(strained: Server) -> Server:
    return strained


@pytest.fixture
def visitor(server: Server) -> Iterator[Visitor]:
    with Visitor(server.url) as one:
        yield one


@pytest.fixture(scope="module")
def face(examples: Path) -> NDArray[np.uint8]:
    return images.load(examples / "astronaut.png")


@pytest.fixture(scope="module")
def bad(face: NDArray[np.uint8]) -> dict[int, bytes]:
    """A photo with a face for every fault, as a PNG, by the level of its mark."""
    return {level: faults.png(faults.marked(face, level)) for level in LEVELS}


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


class Log:
    """What the server writes from now on."""

    def __init__(self, server: Server) -> None:
        self._file = server.log
        self._start = self._file.stat().st_size

    def failures(self) -> list[str]:
        """One text for each failure, having looked that nothing of the visitor's is in the log."""
        text = self._file.read_bytes()[self._start :].decode()
        for private in (Path(NAME).stem, faults.SECRET, "data:image", "base64"):
            assert private not in text
        assert "Traceback" not in text  # each is written once, by us, not again by gradio or uvicorn
        return re.findall(r"a request failed with \w+ at\n(?:  .*\n)*", text)


def assert_explained(outcome: Outcome, code: str = "model_failed") -> None:
    assert (outcome.kind, outcome.code) == ("error", code)
    assert outcome.sentence.endswith(".")
    assert faults.SECRET not in outcome.sentence and "/" not in outcome.sentence


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("endpoint", ["analyze", "annotate"])
def test_a_failing_model_fails_one_request(
    endpoint: str, level: int, server: Server, visitor: Visitor, bad: dict[int, bytes]
) -> None:
    if endpoint == "analyze" and level not in IN_MODELS:
        pytest.skip("/analyze draws nothing")
    number, log = visitor.endpoint(endpoint), Log(server)
    assert_explained(visitor.call(number, [visitor.upload(NAME, bad[level]), None, "auto"]))
    [written] = log.failures()
    assert "faults.py" in written  # the frame in which it was raised
    assert visitor.call(number, [visitor.upload("good.png", photo("astronaut.png")), None, "auto"]).kind == "complete"
    assert len(log.failures()) == 1


def test_rest_gets_the_same_words(server: Server, visitor: Visitor, bad: dict[int, bytes]) -> None:
    uploaded = visitor.upload(NAME, bad[100])
    assert rest(visitor.http, "analyze", [uploaded]) == visitor.call(
        visitor.endpoint("analyze"), [uploaded, None, "auto"]
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the client for MCP
def test_a_failing_model_fails_one_call_of_a_tool(server: Server, bad: dict[int, bytes]) -> None:
    """The last of the calls, with a good photo, succeeds."""
    pytest.importorskip("mcp", reason="gradio's extra is not installed: pip install 'gradio[mcp]'")
    from tests.web.server.test_mcp import converse, expressions

    pictures = [*(bad[level] for level in IN_MODELS), photo("astronaut.png")]
    _, [*failures, last] = converse(server.url, [{"picture": crafted.data_url(data)} for data in pictures])
    for answer in failures:
        assert answer.isError and answer.content[0].text.endswith(".")
        assert faults.SECRET not in answer.content[0].text and "/" not in answer.content[0].text
    assert expressions(last) == ["happy"]


def test_in_a_batch_only_the_failing_pictures_fail(server: Server, visitor: Visitor, bad: dict[int, bytes]) -> None:
    log, contents = Log(server), [photo("astronaut.png"), *(bad[level] for level in IN_MODELS), photo("fr_obama.jpg")]
    pictures = [visitor.upload(NAME, content) for content in contents]
    outcome = visitor.call(visitor.endpoint("analyze_batch"), [pictures, None, "auto"])
    [results] = outcome.data
    codes = [result["error"] and result["error"]["code"] for result in results]
    assert codes == [None, *["model_failed"] * len(IN_MODELS), None]
    assert [len(result["faces"]) for result in results] == [1, *[0] * len(IN_MODELS), 1]
    assert len(log.failures()) == len(IN_MODELS)


def test_a_gallery_names_the_failing_photos_and_does_the_rest(
    server: Server, visitor: Visitor, bad: dict[int, bytes]
) -> None:
    log, chosen = Log(server), [visitor.upload(NAME, bad[level]) for level in LEVELS]
    outcome = visitor.call(
        visitor.event("fm-gallery-run", "click"), [[*chosen, visitor.upload("good.png", photo("astronaut.png"))]]
    )
    assert outcome.kind == "complete"
    text = str(outcome.data)
    assert "1 face</b> in 1 photo" in text
    assert text.count("failed on this picture") == len(IN_MODELS)
    assert text.count("Memory ran out") == len(LEVELS) - len(IN_MODELS)
    assert len(log.failures()) == len(LEVELS)


def test_the_image_tab_says_what_happened(server: Server, visitor: Visitor, bad: dict[int, bytes]) -> None:
    log = Log(server)
    [look] = [one for one in visitor.config["dependencies"] if len(one["targets"]) == 3 and len(one["inputs"]) >= 4]
    rest_of_it = [0.6, "auto", True] + [None] * (len(look["inputs"]) - 4)
    for level in (40, 120, 180):
        assert_explained(visitor.call(look["id"], [visitor.upload(NAME, bad[level]), *rest_of_it]))
    good = visitor.upload("good.png", photo("astronaut.png"))
    assert visitor.call(look["id"], [good, *rest_of_it]).kind == "complete"
    assert len(log.failures()) == 3


def test_a_failing_frame_ends_a_stream_with_a_sentence_and_the_next_stream_runs(
    server: Server, visitor: Visitor, face: NDArray[np.uint8]
) -> None:
    log = Log(server)
    frames = [jpeg(face), jpeg(faults.marked(face, 120))]
    assert_explained(visitor.watch(iter(frames), lambda message: True))
    assert len(log.failures()) == 1
    assert visitor.watch(iter([jpeg(face)] * 3), counting(2)).kind == "complete"
    server.until(lambda numbers: numbers["cameras"] == 0)


def counting(most: int) -> Callable[[dict[str, Any]], bool]:
    """Goes on until so many frames are answered."""
    seen: list[bool] = []

    def each(message: dict[str, Any]) -> bool:
        seen.append(message["success"])
        return all(seen) and len(seen) < most

    return each


def test_failures_leave_nothing_behind(server: Server, bad: dict[int, bytes]) -> None:
    """A round of all faults, then the same again: no container, task, open file or temporary file more."""

    def everything_fails() -> None:
        with Visitor(server.url) as visitor:
            for level in LEVELS:
                uploaded = visitor.upload(NAME, bad[level])
                visitor.call(visitor.endpoint("annotate"), [uploaded, None, "auto"])
                rest(visitor.http, "analyze", [uploaded])

    everything_fails()
    before = server.settled()
    everything_fails()
    assert grown(before, server.settled(before)) == {}
