"""Handling of signals that end the program: Ctrl-C, `kill`, a closed terminal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals handled, of those that this system has."""

_DEFAULTS = (signal.default_int_handler, signal.SIG_DFL)


class Interrupted(KeyboardInterrupt):
    """The signal `number` asked the program to end."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number


def exit_status(stop: KeyboardInterrupt) -> int:
    """Exit status of a program ended by a signal: 128 plus the signal's number, as in shells."""
    return 128 + (stop.number if isinstance(stop, Interrupted) else signal.SIGINT)


class SignalHandler(list[int]):
    """The handler of the signals, and the list of those received, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._deferred = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Record a signal, and raise for the first one and for every Ctrl-C.

        A closing terminal sends its signal several times; only Ctrl-C is repeated on purpose.

        Raises:
            Interrupted: for the first signal, and for every Ctrl-C.
        """
        self.append(number)
        if not self._deferred and (len(self) == 1 or number == signal.SIGINT):
            raise Interrupted(number)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer the exception: nothing is raised inside, and the caller calls `raise_pending` afterwards."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def raise_pending(self) -> None:
        """Raise `Interrupted` if a signal was deferred, or its exception lost.

        Raises:
            Interrupted: there was a signal.
        """
        if self:
            raise Interrupted(self[0])


@contextmanager
def handle_signals() -> Iterator[SignalHandler]:
    """Raise `Interrupted` for signals inside the context, and yield the handler with those received.

    Python drops an exception raised in an object's destructor or a callback, so check the list as well.

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
