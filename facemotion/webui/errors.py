"""The one place where errors become what the page, gradio_client and REST show: a title, which is the stable code, and
a sentence. Handlers simply raise."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from gradio_client.utils import is_file_obj, is_http_url_like, traverse

from facemotion.errors import BadOption, FacemotionError, ForbiddenSource, ModelFailure

logger = logging.getLogger(__name__)

_OUTSIDE = "This server opens no web addresses and no files of its own for a visitor. Upload the picture instead."
_MEMORY = "Memory ran out on this request. Try again in a moment, or with a smaller picture."
_UNEXPECTED = "Something went wrong here, not with your picture. Try again; if it stays, please report it."
_BAD_VALUE = "An argument is not of the type that this endpoint takes. The page's API section lists them."


class GuardedBlocks(gr.Blocks):
    """Blocks whose every event, the preparation of its inputs included, ends in a result or a `gr.Error` made by
    `explain`, and which never opens a web address that a visitor names."""

    async def process_api(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As in `gr.Blocks`.

        Raises:
            gr.Error: for everything that goes wrong.
        """
        try:
            refuse_addresses(inputs)
            return await super().process_api(block_fn, inputs, *args, **kwargs)
        except Exception as error:
            raise explain(error) from error


def refuse_addresses(inputs: Any) -> None:
    """Looks through the values of a request.

    Raises:
        ForbiddenSource: a file in it is given by a web address, which gradio would fetch.
    """

    def check(file: dict[str, Any]) -> dict[str, Any]:
        if is_http_url_like(str(file["path"])):
            raise ForbiddenSource(_OUTSIDE)
        return file

    traverse(inputs, check, is_file_obj)


def explain(error: BaseException) -> gr.Error:
    """The error as a visitor may see it; what was not raised on purpose is logged and named only in general words."""
    if isinstance(error, gr.Error):
        return error
    known = _known(error)
    if known is None:
        logger.error("a request failed unexpectedly", exc_info=error)
        return _shown("internal", _UNEXPECTED)
    if known.__cause__ is not None and isinstance(known, ModelFailure):
        logger.error("a model failed", exc_info=known)
    return _shown(known.code, known.message)


def _known(error: BaseException) -> FacemotionError | None:
    if isinstance(error, ComponentProcessingError) and error.__cause__ is not None:
        return _known(error.__cause__) or BadOption(_BAD_VALUE)
    if isinstance(error, FacemotionError):
        return error
    if isinstance(error, MemoryError):
        return ModelFailure(_MEMORY)
    if isinstance(error, InvalidPathError):
        return ForbiddenSource(_OUTSIDE)
    return None


def _shown(code: str, message: str) -> gr.Error:
    return gr.Error(message, title=code, print_exception=False)
