"""The one place where errors become what the page, gradio_client and REST show: a title, which is the stable code, and
a sentence. Handlers simply raise."""

from __future__ import annotations

import logging
import traceback

import gradio as gr
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from pydantic import ValidationError

from facemotion.errors import BadOption, FacemotionError, ForbiddenSource, ModelFailure

logger = logging.getLogger(__name__)

OUTSIDE = "This server opens no web addresses and no files of its own for a visitor. Upload the picture instead."
_MEMORY = "Memory ran out on this request. Try again in a moment, or with a smaller picture."
UNEXPECTED = "Something went wrong here, not with your picture. Try again; if it stays, please report it."
BAD_VALUE = "An argument is not of the type that this endpoint takes. “Use via API” on the page lists them."


def explain(error: BaseException) -> gr.Error:
    """The error as a visitor may see it; what was not raised on purpose is named only in general words, and logged."""
    if isinstance(error, gr.Error):
        return error
    known = _known(error)
    if known is None:
        log(error)
        return _shown("internal", UNEXPECTED)
    if isinstance(known, ModelFailure):
        log(known.__cause__ or error)
    return _shown(known.code, known.message)


def _known(error: BaseException) -> FacemotionError | None:
    if isinstance(error, ComponentProcessingError) and error.__cause__ is not None:
        return _known(error.__cause__) or BadOption(BAD_VALUE)
    if isinstance(error, FacemotionError):
        return error
    if isinstance(error, MemoryError):
        return ModelFailure(_MEMORY)
    if isinstance(error, InvalidPathError):
        return ForbiddenSource(OUTSIDE)
    if isinstance(error, ValidationError):
        return BadOption(BAD_VALUE)
    return None


def log(error: BaseException) -> None:
    """Writes down what kind of error it was and where, without its message, which may quote what the visitor sent."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("a request failed with %s at\n%s", type(error).__name__, frames)


def _shown(code: str, message: str) -> gr.Error:
    return gr.Error(message, title=code, print_exception=False)
