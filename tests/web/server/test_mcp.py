"""The same analysis as a tool for language models, by a real MCP client: good pictures, bad ones, failing models."""

from __future__ import annotations

import ast
import asyncio
import base64
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from facemotion import images, settings
from facemotion.errors import InputError
from tests.support.media import crafted
from tests.support.media.bad_inputs import FILES, Case

mcp = pytest.importorskip("mcp", reason="gradio's extra is not installed: pip install 'gradio[mcp]'")
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.slow]

REFUSED = list({case.error: case for case in FILES if case.error and len(case.make()) < 1_000_000}.values())


def converse(url: str, calls: Sequence[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """The tools that the server offers, and what `analyze` answers to each of these arguments, one after the other."""
    from mcp.client.streamable_http import streamablehttp_client

    async def session() -> tuple[list[Any], list[Any]]:
        async with AsyncExitStack() as stack:
            read, write, _ = await stack.enter_async_context(streamablehttp_client(f"{url}/gradio_api/mcp/"))
            client = await stack.enter_async_context(mcp.ClientSession(read, write))
            await client.initialize()
            tools = (await client.list_tools()).tools
            name = next(tool.name for tool in tools if tool.name.endswith("analyze"))
            return tools, [await client.call_tool(name, arguments) for arguments in calls]

    return asyncio.run(session())


def expressions(answer: Any) -> list[str]:
    assert not answer.isError, answer
    analysis = ast.literal_eval(answer.content[0].text)  # gradio hands out Python's form of a dict
    return [face["expression"] for face in analysis["faces"]]


def test_the_tool_says_what_the_api_says(app_url: str, examples: Path) -> None:
    picture = crafted.data_url((examples / "astronaut.png").read_bytes())
    tools, [answer] = converse(app_url, [{"picture": picture}])
    assert [tool.name for tool in tools] == ["analyze", "annotate", "explain"]
    for tool in tools:
        assert tool.description
        assert "data: URL in base64" in tool.inputSchema["properties"]["picture"]["description"]
    assert expressions(answer) == ["happy"]


def test_pictures_in_base64_as_models_write_it(app_url: str, examples: Path) -> None:
    padded = next(one for one in (examples / "astronaut.png", examples / "fr_obama.jpg") if one.stat().st_size % 3)
    whole = base64.b64encode(padded.read_bytes()).decode()
    lines = "\n".join(whole[start : start + 76] for start in range(0, len(whole), 76))
    bare = whole.rstrip("=")
    assert bare != whole
    pictures = [whole, bare, lines, f"data:image/png;base64,{bare}", f" DATA:;base64,{lines}\n"]
    _, answers = converse(app_url, [{"picture": picture} for picture in pictures])
    assert [expressions(answer) for answer in answers] == [["happy"]] * len(pictures)


def test_what_is_no_picture_is_told_what_is(app_url: str) -> None:
    """And of no upload, which MCP does not have; nor what a decoder of base64 says."""
    damaged = ["data:image/png;base64,iVBORw0KG!!!", "data:image/png;base64,iVBORw0KG"]
    others = [
        "aGVsbG8gdGhlcmU=",
        "/etc/passwd",
        "http://127.0.0.1/a.png",
        "data:image/png,hello",
        "data:",
        "",
        "A" * 5000,
    ]
    _, answers = converse(app_url, [{"picture": text} for text in [*damaged, *others]])
    texts = [answer.content[0].text for answer in answers if answer.isError]
    assert len(texts) == len(answers)
    assert all("The base64 of this picture is damaged." in text for text in texts[:2])
    assert all("comes here as a data: URL in base64" in text for text in texts[2:])
    assert not any("pload" in text or "padding" in text for text in texts)


def said(case: Case) -> str:
    """The decoder's sentence for this file."""
    with pytest.raises(InputError) as caught:
        images.load(case.make())
    return caught.value.message


def test_bad_pictures_and_options_are_refused_with_a_sentence(app_url: str, examples: Path) -> None:
    good = crafted.data_url((examples / "astronaut.png").read_bytes())
    sentences = [said(case) for case in REFUSED]
    bad = [{"picture": crafted.data_url(case.make())} for case in REFUSED]
    addresses = [{"picture": word} for word in ("/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/a.png")]
    options = [{"picture": good, "threshold": 2}, {"picture": good, "detail": "everything"}]
    _, answers = converse(app_url, [*bad, *addresses, *options, {"picture": good}])
    *refusals, last = answers
    for answer in refusals:
        print(answer)
        assert answer.isError
        assert "Traceback" not in answer.content[0].text and "site-packages" not in answer.content[0].text
    for answer, sentence in zip(refusals, sentences, strict=False):
        assert sentence in answer.content[0].text
    assert expressions(last) == ["happy"]


def test_a_picture_that_is_too_large_for_it(app_url: str) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"picture": "A" * settings.MAX_MCP_BYTES}}
    answer = httpx.post(
        f"{app_url}/gradio_api/mcp/", json=call, headers={"accept": "application/json, text/event-stream"}
    )
    assert (answer.status_code, answer.json()["title"]) == (413, "file_too_large")
    assert "at most 3.146 MB" in answer.json()["error"]
