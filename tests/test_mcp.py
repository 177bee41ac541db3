"""The same analysis as a tool for language models, through a real MCP client."""

from __future__ import annotations

import ast
import asyncio
import base64
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

mcp = pytest.importorskip("mcp", reason="gradio's extra is not installed: pip install 'gradio[mcp]'")


def converse(url: str, photo: str) -> tuple[list[Any], Any]:
    """The tools that the server offers, and what `analyze` answers to a picture."""
    from mcp.client.streamable_http import streamablehttp_client

    async def session() -> tuple[list[Any], Any]:
        async with AsyncExitStack() as stack:
            read, write, _ = await stack.enter_async_context(streamablehttp_client(f"{url}/gradio_api/mcp/"))
            client = await stack.enter_async_context(mcp.ClientSession(read, write))
            await client.initialize()
            tools = (await client.list_tools()).tools
            name = next(tool.name for tool in tools if tool.name.endswith("analyze"))
            return tools, await client.call_tool(name, {"picture": photo})

    return asyncio.run(session())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_tool_says_what_the_api_says(app_url: str, examples: Path) -> None:
    picture = base64.b64encode((examples / "astronaut.png").read_bytes()).decode()
    tools, answer = converse(app_url, f"data:image/png;base64,{picture}")
    assert [tool.name for tool in tools] == ["analyze", "annotate", "explain"]
    for tool in tools:
        assert tool.description
        assert "data: URL in base64" in tool.inputSchema["properties"]["picture"]["description"]
    assert not answer.isError, answer
    analysis = ast.literal_eval(answer.content[0].text)  # gradio hands out Python's form of a dict
    assert [face["expression"] for face in analysis["faces"]] == ["happy"]
