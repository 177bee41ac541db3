"""Tools for language models (MCP), held to what is offered.

gradio's own server also calls functions that it does not list, does not look at their arguments, and uploads to itself
whatever files of this machine those name: with it, a stranger could read any file that the server can.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import gradio.mcp

from facemotion.webui.server.error_messages import BAD_VALUE, OUTSIDE

_PLAIN = (str, int, float, type(None))  # what an argument may be; a file is a mapping
_UNKNOWN = "There is no such tool here. Ask for the list of tools."
_UNUSED = ("ListResources", "ReadResource", "ListResourceTemplates", "ListPrompts", "GetPrompt")


def install() -> None:
    """Puts the server below in the place of gradio's own, for everybody in the process, and quiets the libraries that
    quote in the log what a caller sent."""
    gradio.mcp.GradioMCPServer = PublicMCPServer  # type: ignore[misc]
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_of_mcp)


def _is_not_of_mcp(record: logging.LogRecord) -> bool:
    """Some of that library writes through the root logger."""
    return "mcp" not in Path(record.pathname).parts


def exclude(function: Any) -> None:
    """Keeps an endpoint from being a tool: Gradio offers only functions of the type "tool"."""
    function._mcp_type = "none"


class PublicMCPServer(gradio.mcp.GradioMCPServer):
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
        for key, value in arguments.items():
            if not isinstance(value, _PLAIN) or not _can_be_sent(value):
                raise ValueError(BAD_VALUE)
            if key in pictures and not str(value).startswith("data:"):
                raise ValueError(OUTSIDE)
        return super()._prepare_tool_call_args(name, arguments)

    async def _execute_tool_without_progress(self, job: Any) -> list[Any]:
        """As in gradio, which holds a thread for each caller who waits: forty of them were all that the server has for
        uploads, those of these very calls among them."""
        return [await asyncio.wrap_future(job.future)]


def _can_be_sent(value: Any) -> bool:
    """Whether a text is whole: half a character has no bytes."""
    return not isinstance(value, str) or value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value)
