"""MCP server that runs only the listed tools, with validated arguments.

Gradio 6.31.0 also calls functions that it does not list, does not check their arguments, and uploads any file of this
machine that those name: a stranger could read every file that the server can.
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
from facemotion.webui.server.error_messages import BAD_VALUE

_PLAIN = (str, int, float, type(None))  # types of arguments; a file would be a mapping
_UNKNOWN = "There is no such tool here. Ask for the list of tools."
_NO_PICTURE = (
    "A picture comes here as a data: URL in base64 (data:image/jpeg;base64,...). No web address and no file is opened."
)
_LONGEST_HEAD = 256  # characters in front of the comma of a data: URL
_SNIFFED = 4096  # characters of bare base64 by which a picture is told from a path
_UNUSED = ("ListResources", "ReadResource", "ListResourceTemplates", "ListPrompts", "GetPrompt")


def install() -> None:
    """Replace Gradio's MCP server class globally, and silence log messages that quote what a caller sent."""
    gradio.mcp.GradioMCPServer = PublicMCPServer  # type: ignore[misc]
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_of_mcp)


def _is_not_of_mcp(record: logging.LogRecord) -> bool:
    """Whether a log record is from another library; some messages of `mcp` use the root logger."""
    return "mcp" not in Path(record.pathname).parts


def exclude(function: Any) -> None:
    """Do not offer an endpoint as a tool: Gradio lists only functions of the type "tool"."""
    function._mcp_type = "none"


class PublicMCPServer(gradio.mcp.GradioMCPServer):
    """Gradio's MCP server restricted to the listed tools with plain arguments."""

    def create_mcp_server(self) -> Any:
        """Remove resources and prompts: there are none, and Gradio would call a tool instead."""
        server = super().create_mcp_server()
        for name in _UNUSED:
            server.request_handlers.pop(getattr(self.types, f"{name}Request"), None)
        return server

    def get_tool_to_endpoint(self) -> dict[str, str]:
        """The tools without endpoints that are excluded."""
        return {name: path for name, path in super().get_tool_to_endpoint().items() if self._is_tool(path)}

    def _is_tool(self, endpoint: str) -> bool:
        function = self.get_block_fn_from_endpoint_name(endpoint)
        return function is not None and getattr(function.fn, "_mcp_type", "tool") == "tool"

    def _prepare_tool_call_args(self, name: str, arguments: dict[str, Any]) -> Any:
        """Check the tool and its arguments.

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
        """Await the result.

        Gradio holds a thread for each waiting caller: forty of them occupied all threads, which the uploads of these
        very calls need.
        """
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
    """Whether a string has no lone surrogate, which cannot be encoded."""
    return not isinstance(value, str) or value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
