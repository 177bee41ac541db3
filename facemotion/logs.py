"""Error logging without user data: only the type of an error and its traceback are logged."""

from __future__ import annotations

import logging
import traceback

from facemotion.errors import ModelFailure

logger = logging.getLogger(__name__)


def log(error: BaseException) -> None:
    """Log the type and traceback of an error; its message may quote what the user sent."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("a request failed with %s at\n%s", type(error).__name__, frames)


def log_failure(error: BaseException) -> None:
    """Log an error raised by a model; other errors raised on purpose are caused by the input."""
    if isinstance(error, ModelFailure):
        log(error.__cause__ or error)
