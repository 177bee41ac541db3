"""Time limit of a request, checked between tiles and batches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from facemotion.errors import TookTooLong

_deadline: ContextVar[tuple[float, float] | None] = ContextVar("_deadline", default=None)  # end, limit


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Limit the work inside the context to that many seconds, in this thread and in those that inherit its context.

    Inside another limit, the one that ends first counts.
    """
    outer, end = _deadline.get(), time.monotonic() + seconds
    token = _deadline.set(outer if outer is not None and outer[0] <= end else (end, seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def check() -> None:
    """Raise if the time limit has passed; call it between steps of long work. Without a limit it does nothing.

    Raises:
        TookTooLong: the time is over.
    """
    limit = _deadline.get()
    if limit is not None and time.monotonic() > limit[0]:
        raise TookTooLong(
            f"This took longer than {limit[1]:g} seconds and was stopped. Send fewer or smaller pictures, or search "
            "them less closely than “thorough”."
        )
