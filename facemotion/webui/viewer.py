"""The viewers of the Webcam tab: one browser's stream each, from Start to Stop, and whose face is followed in it."""

from __future__ import annotations

import time
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from facemotion.faces import Analysis
from facemotion.images import Picture
from facemotion.output import draw
from facemotion.pipeline import Pipeline
from facemotion.tracking.live import LiveSession
from facemotion.webui import camera, live_words, pictures
from facemotion.webui.timeline import SPAN_S
from facemotion.webui.turns import Turns, processors

READOUT_EVERY_S = 0.25  # the numbers beside the picture; faster nobody can read
FRAME_SIDE = 960  # pixels; frames of a client that ignores what was asked for are reduced to this
OFFERED_S = 3.0  # a face not seen for so long can no longer be chosen
MOST_OFFERED = 8  # faces to choose among

Choice = tuple[tuple[int, ...], int | None]
"""The ids that can be chosen, and the one that is followed."""

Shown = tuple[NDArray[np.uint8], str | None, Choice | None]
"""A drawn frame, RGB uint8 [H, W, 3]; the readout as HTML when one is due; the choice when it has changed."""


class Viewer:
    """One browser's stream from Start to Stop, whose record outlasts it, and when its numbers were last shown."""

    def __init__(self, pipeline: Pipeline, turns: Turns | None = None) -> None:
        self.session = LiveSession(pipeline)
        self._turns = turns or Turns(processors())
        self._told_s = -READOUT_EVERY_S
        self._told: Choice = ((), None)
        self._wish: int | None = None  # whom the visitor chose
        self._seen: dict[int, float] = {}  # when each face of the last `SPAN_S` was last seen
        self._stopped = False
        self._lock = Lock()

    def stop(self) -> None:
        """Ends the stream at once: a frame still at work, and any that comes later, shows nothing."""
        self._stopped = True

    def leave(self) -> None:
        """Ends the stream and drops its record, after the frame that may be at work."""
        self.stop()
        with self._lock:
            self.session.forget()

    def choose(self, identity: int | None) -> None:
        """Follows that face from the next frame on, for as long as it stays; None: the one that came first."""
        self._wish = identity

    def look(self, picture: Picture, time_s: float | None = None) -> Shown | None:
        """The next frame; None when the stream was stopped. `time_s` is now unless given."""
        frame = pictures.reduce(picture.pixels, FRAME_SIDE)
        with self._lock, self._turns.turn():  # the time is taken inside: of two threads, none may go back in it
            shown = None if self._stopped else self._look(frame, time.monotonic() if time_s is None else time_s)
        return None if self._stopped else shown

    def _look(self, frame: NDArray[np.uint8], time_s: float) -> Shown:
        started = time.perf_counter()
        analysis = self.session.step(frame, time_s)
        self._seen |= {face.id: time_s for face in analysis.faces}
        followed = self._followed(analysis)
        drawn = draw.annotate(frame, analysis, selected=followed if len(analysis.faces) > 1 else None)
        if time_s - self._told_s < READOUT_EVERY_S:
            return drawn, None, None
        self._told_s = time_s
        self._seen = {one: seen_s for one, seen_s in self._seen.items() if 0 <= time_s - seen_s <= SPAN_S}
        rate = live_words.rate(self.session.fps, (time.perf_counter() - started) * 1e3)
        readout = live_words.readout(frame, analysis, followed, self.session.moments(), time_s)
        return drawn, rate + readout, self._news(followed, time_s)

    def _followed(self, analysis: Analysis) -> int | None:
        """The chosen face while it was seen lately, else the one in view that came first, else the last followed."""
        if self._wish in self._seen:
            return self._wish
        last = self._told[1] if self._told[1] in self._seen else None
        return min((face.id for face in analysis.faces), default=last)

    def _news(self, followed: int | None, time_s: float) -> Choice | None:
        """What can be chosen now, when that differs from what was told last."""
        there = sorted(one for one, seen_s in self._seen.items() if time_s - seen_s <= OFFERED_S or one == followed)
        choice = tuple(there[:MOST_OFFERED]), followed
        if choice == self._told:
            return None
        self._told = choice
        return choice


class Audience:
    """The latest viewer of each page, by the page's session; the page's state owns it, this only finds it. All of them
    take turns at the processor."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._turns = Turns(processors())
        self._viewers: WeakValueDictionary[str, Viewer] = WeakValueDictionary()

    def start(self, session: str) -> Viewer:
        """A new viewer; the page's previous one is stopped."""
        self.stop(session)
        viewer = self._viewers[session] = Viewer(self._pipeline, self._turns)
        return viewer

    def stop(self, session: str) -> Viewer | None:
        """Stops the page's viewer, whose record stays, and returns it."""
        one = self._viewers.get(session)
        if one is not None:
            one.stop()
        return one

    def choose(self, session: str, identity: int | None) -> None:
        """The page's visitor wants to follow that face."""
        if one := self._viewers.get(session):
            one.choose(identity)

    def leave(self, session: str) -> None:
        """Gradio keeps the state of a closed page for an hour; what it holds of faces goes at once."""
        if one := self._viewers.pop(session, None):
            one.leave()

    def step(self, frame: Picture | None, one: Viewer | None, session: str) -> list[Any]:
        """Values for the drawn frame, the state, the readout and the choice; a stopped viewer's frames change none."""
        if frame is None:
            return [gr.skip()] * 4
        one = one or self.start(session)
        if (shown := one.look(frame)) is None:
            return [gr.skip()] * 4
        drawn, text, choice = shown
        return [
            camera.answer(drawn),
            one,
            gr.skip() if text is None else text,
            gr.skip() if choice is None else choices(*choice),
        ]


def choices(offered: tuple[int, ...] = (), followed: int | None = None) -> gr.Radio:
    """The choice among faces as it should now look: hidden while there is nothing to choose."""
    named = [(f"Face {one}", one) for one in offered]
    return gr.Radio(choices=named, value=followed, visible=len(offered) > 1)
