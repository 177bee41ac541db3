"""What may be written down of an error that a visitor's request ran into: its kind and where, never what was sent."""

from __future__ import annotations

import logging
import traceback

from facemotion.errors import ModelFailure

logger = logging.getLogger(__name__)


def log(error: BaseException) -> None:
    """Writes down what kind of error it was and where, without its message, which may quote what the visitor sent."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("a request failed with %s at\n%s", type(error).__name__, frames)


def log_failure(error: BaseException) -> None:
    """`log` of what a model raised; other errors that are raised on purpose are the visitor's to mend."""
    if isinstance(error, ModelFailure):
        log(error.__cause__ or error)
