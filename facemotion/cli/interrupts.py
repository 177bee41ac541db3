"""Signals that ask the program to end: Ctrl-C, `kill`, a terminal that is closed. None is lost, none loses results."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that are remembered, of those that this system has."""

_DEFAULTS = (signal.default_int_handler, signal.SIG_DFL)


class Interrupted(KeyboardInterrupt):
    """The program was asked to end by the signal `number`."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number


def exit_status(stop: KeyboardInterrupt) -> int:
    """The exit status that shells give a program that a signal ended: 128 and the signal's number."""
    return 128 + (stop.number if isinstance(stop, Interrupted) else signal.SIGINT)


class SignalHandler(list[int]):
    """The numbers of the signals that came, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._deferred = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler. A terminal that closes sends its signal more than once, and only Ctrl-C repeats a wish.

        Raises:
            Stopped: for the first signal, and for every Ctrl-C.
        """
        self.append(number)
        if not self._deferred and (len(self) == 1 or number == signal.SIGINT):
            raise Interrupted(number)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Nothing is raised inside; the caller looks at the list afterwards."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def raise_pending(self) -> None:
        """Raises what was held back, or lost.

        Raises:
            Stopped: there was a signal.
        """
        if self:
            raise Interrupted(self[0])


@contextmanager
def handle_signals() -> Iterator[SignalHandler]:
    """The signals so far, each raised as `Interrupted` where the program is at work. Python drops an exception that comes
    in an object's end or a callback, so look at the list as well.

    It stays empty outside the main thread. A signal that is ignored, as under nohup, or that the program has a handler
    for, is left alone.
    """
    signals = SignalHandler()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: handler for number in SIGNALS if (handler := signal.getsignal(number)) in _DEFAULTS}
    for number in before:
        signal.signal(number, signals.handle)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
