"""Tools for language models (MCP), held to what is offered.

gradio's own server also calls functions that it does not list, does not look at their arguments, and uploads to itself
whatever files of this machine those name: with it, a stranger could read any file that the server can.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from pathlib import Path
from typing import Any

import gradio.mcp

from facemotion.errors import InputError, UnsupportedFormat
from facemotion.images import sniff, sources
from facemotion.webui.errors import BAD_VALUE

_PLAIN = (str, int, float, type(None))  # what an argument may be; a file is a mapping
_UNKNOWN = "There is no such tool here. Ask for the list of tools."
_NO_PICTURE = (
    "A picture comes here as a data: URL in base64 (data:image/jpeg;base64,...). No web address and no file is opened."
)
_LONGEST_HEAD = 256  # characters in front of the comma of a data: URL
_SNIFFED = 4096  # characters of bare base64 by which a picture is told from a path
_UNUSED = ("ListResources", "ReadResource", "ListResourceTemplates", "ListPrompts", "GetPrompt")


def install() -> None:
    """Puts the server below in the place of gradio's own, for everybody in the process, and quiets the libraries that
    quote in the log what a caller sent."""
    gradio.mcp.GradioMCPServer = ToolServer  # type: ignore[misc]
    for name in ("mcp", "python_multipart"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_of_mcp)


def _is_not_of_mcp(record: logging.LogRecord) -> bool:
    """Some of that library writes through the root logger."""
    return "mcp" not in Path(record.pathname).parts


class ToolServer(gradio.mcp.GradioMCPServer):
    """gradio's server, of which nothing but the listed tools can be called, with plain arguments."""

    def create_mcp_server(self) -> Any:
        """As in gradio, without resources and prompts: there are none, and gradio would call a tool instead."""
        server = super().create_mcp_server()
        for name in _UNUSED:
            server.request_handlers.pop(getattr(self.types, f"{name}Request"), None)
        return server

    def get_tool_to_endpoint(self) -> dict[str, str]:
        """As in gradio, without what is marked as no tool."""
        return {name: path for name, path in super().get_tool_to_endpoint().items() if self._is_tool(path)}

    def _is_tool(self, endpoint: str) -> bool:
        function = self.get_block_fn_from_endpoint_name(endpoint)
        return function is not None and getattr(function.fn, "_mcp_type", "tool") == "tool"

    def _prepare_tool_call_args(self, name: str, arguments: dict[str, Any]) -> Any:
        """As in gradio.

        Raises:
            ValueError: there is no such tool, or an argument is none that a tool takes; the caller gets its text.
        """
        if name not in self.tool_to_endpoint:
            raise ValueError(_UNKNOWN)
        pictures = {path[0] for path in self.get_input_schema(name)[1]}
        for value in arguments.values():
            if not isinstance(value, _PLAIN) or not _can_be_sent(value):
                raise ValueError(BAD_VALUE)
        whole = {key: _data_url(value) if key in pictures else value for key, value in arguments.items()}
        return super()._prepare_tool_call_args(name, whole)

    async def _execute_tool_without_progress(self, job: Any) -> list[Any]:
        """As in gradio, which holds a thread for each caller who waits: forty of them were all that the server has for
        uploads, those of these very calls among them."""
        return [await asyncio.wrap_future(job.future)]


def _data_url(value: Any) -> str:
    """The picture as a whole `data:` URL, which gradio decodes; models send bare base64 too, and leave off padding.

    Raises:
        ValueError: it is an address, a path, or nothing that can be decoded.
    """
    text = str(value).strip()
    head, comma, body = text[:_LONGEST_HEAD].lower().partition(",")
    if head.startswith("data:") and comma:
        body = text[len(head) + 1 :]
    elif _is_picture(text):
        head, body = "data:application/octet-stream;base64", text
    else:
        raise ValueError(_NO_PICTURE)
    try:
        if not head.endswith(";base64"):
            raise ValueError(_NO_PICTURE)
        return f"{head},{base64.b64encode(sources.from_base64(body)).decode()}"
    except InputError as error:
        raise ValueError(error.message) from None


def _is_picture(text: str) -> bool:
    """Whether a text is the base64 of a picture; letters of a path may be base64 as well."""
    start = "".join(text[:_SNIFFED].split())
    try:
        sniff.sniff(sources.from_base64(start[: len(start) // 4 * 4]))
    except UnsupportedFormat:  # which the decoder says better
        return True
    except InputError:
        return False
    return True


def _can_be_sent(value: Any) -> bool:
    """Whether a text is whole: half a character has no bytes."""
    return not isinstance(value, str) or value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value)
