"""Maps exceptions to what users see: a stable code as the title, and a message.

Handlers simply raise.
"""

from __future__ import annotations

import errno

import gradio as gr
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from pydantic import ValidationError

from facemotion.errors import BadOption, FacemotionError, ForbiddenSource, ModelFailure, StorageError
from facemotion.logs import log

OUTSIDE = "This server opens no web addresses and no files of its own for a visitor. Upload the picture instead."
_MEMORY = "Memory ran out on this request. Try again in a moment, or with a smaller picture."
UNEXPECTED = "Something went wrong here, not with your picture. Try again; if it stays, please report it."
FULL = "The server has no room for more files at the moment. Try again later: they are deleted within the hour."
_NO_TITLE = "Error"
BAD_VALUE = "An argument is not of the type that this endpoint takes. “Use via API” on the page lists them."


def as_gradio_error(error: BaseException) -> gr.Error:
    """Convert an exception to the error that a user sees.

    Unexpected exceptions are logged, and get a general message.
    """
    if isinstance(error, gr.Error):  # our errors have a code as title; Gradio's quote an invalid choice
        return error if error.title != _NO_TITLE else _shown(BadOption.code, BAD_VALUE)
    known = _known(error)
    if known is None:
        log(error)
        return _shown("internal", UNEXPECTED)
    if isinstance(known, (ModelFailure, StorageError)):  # for the operator of the server
        log(known.__cause__ or error)
    return _shown(known.code, known.message)


def _known(error: BaseException) -> FacemotionError | None:
    if isinstance(error, ComponentProcessingError) and error.__cause__ is not None:
        return _known(error.__cause__) or BadOption(BAD_VALUE)
    if isinstance(error, FacemotionError):
        return error
    meanings: list[tuple[bool, type[FacemotionError], str]] = [
        (isinstance(error, MemoryError), ModelFailure, _MEMORY),
        (is_disk_full(error), StorageError, FULL),
        (isinstance(error, InvalidPathError), ForbiddenSource, OUTSIDE),
        (isinstance(error, ValidationError), BadOption, BAD_VALUE),
    ]
    return next((kind(sentence) for applies, kind, sentence in meanings if applies), None)


def is_disk_full(error: BaseException) -> bool:
    """Whether a write failed because the disk is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _shown(code: str, message: str) -> gr.Error:
    return gr.Error(message, title=code, print_exception=False)
