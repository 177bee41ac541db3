"""MCP spoken by somebody who keeps to no schema: only the listed tools, no file of this machine, no thread held."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio.to_thread
import httpx
import pytest

from facemotion.webui.gradio_patches.mcp_server import PublicMCPServer
from facemotion.webui.server import upload_folder as uploads
from tests.support.media import crafted
from tests.web.server.test_server import META

pytestmark = pytest.mark.slow

pytest.importorskip("mcp", reason="gradio's extra is not installed: pip install 'gradio[mcp]'")

MCP = "/gradio_api/mcp/"
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
GOOD = crafted.data_url(crafted.jpeg())
SECRET = "Zanzibar"  # pragma: allowlist secret


def ask(url: str, method: str, params: Any) -> str:
    """What the server answers to one message, as it comes."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(f"{url}{MCP}", content=json.dumps(message), headers=HEADERS, timeout=60).text


def named(path: str) -> dict[str, Any]:
    """A file of the server's, as gradio's own client would upload it."""
    return {"path": path, "meta": META, "orig_name": "photo.jpg"}


def held(folder: Path) -> set[Path]:
    return set(uploads.files(folder / "uploads"))


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("analyze_batch", lambda path: {"pictures": [named(path)]}),
        ("analyze_batch", lambda path: {"pictures": [], "detail": named(path)}),
        ("analyze_video", lambda path: {"video": named(path)}),
        ("analyze", lambda path: {"picture": named(path)}),
        ("analyze", lambda path: {"picture": GOOD, "detail": named(path)}),
        ("analyze", lambda path: {"picture": GOOD, "threshold": named(path)}),
        ("annotate", lambda path: {"picture": [named(path)]}),
        ("explain", lambda path: {"picture": GOOD, "face": {"deep": [named(path)]}}),
        ("analyze", lambda path: {"picture": GOOD, "more": named(path)}),
        ("analyze", lambda path: {"picture": path}),
        ("no_such_tool", lambda path: {"picture": named(path)}),
    ],
)
def test_no_file_of_the_server_can_be_named(tool: str, arguments: Any, app_url: str, server_folder: Path) -> None:
    """gradio would upload it to itself, and say where: anybody could then fetch it."""
    before = held(server_folder)
    for path in (__file__, "/etc/passwd"):
        answer = ask(app_url, "tools/call", {"name": tool, "arguments": arguments(path)})
        assert '"isError":true' in answer
        assert str(server_folder) not in answer and "root:" not in answer
    assert not {file.name for file in held(server_folder) - before} & {Path(__file__).name, "passwd", "photo.jpg"}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("prompts/get", {"name": "x", "arguments": {"picture": GOOD}}),
        ("prompts/list", {}),
        ("resources/read", {"uri": "file:///etc/passwd"}),
        ("resources/templates/list", {}),
    ],
)
def test_there_is_nothing_but_tools(method: str, params: dict[str, Any], app_url: str) -> None:
    assert "Method not found" in ask(app_url, method, params)


@pytest.mark.parametrize("path", ["sse", "messages/", "messages/?session_id=0", "http/x", "../mcp/sse"])
def test_other_transports_are_shut(path: str, app_url: str) -> None:
    answer = httpx.get(f"{app_url}{MCP}{path}", timeout=20)
    assert (answer.status_code, answer.json()["title"]) == (404, "not_found")


def test_half_a_character_is_an_argument_that_no_tool_takes(app_url: str) -> None:
    answer = ask(app_url, "tools/call", {"name": "analyze", "arguments": {"picture": GOOD, "detail": "\ud800"}})
    assert "not of the type that this endpoint takes" in answer


def test_nothing_that_is_sent_stands_in_the_log(app_url: str, server_folder: Path) -> None:
    ask(app_url, "tools/call", {"name": "analyze", "arguments": SECRET})
    ask(app_url, "tools/call", {"name": SECRET, "arguments": {"picture": SECRET}})
    ask(app_url, SECRET, {SECRET: SECRET})
    httpx.post(f"{app_url}{MCP}", content=SECRET, headers=HEADERS | {"content-type": SECRET})
    assert SECRET not in (server_folder / "log.txt").read_text()


def test_other_libraries_may_still_write_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    from facemotion.webui.gradio_patches import mcp_server

    mcp_server.install()
    logging.getLogger().warning("a disk is nearly full")
    assert "nearly full" in caplog.text


def test_callers_who_wait_hold_no_thread() -> None:
    """More than anyio has threads; each waits for a request to this server, whose upload needs one."""

    async def serve() -> list[Any]:
        futures: list[Future[str]] = [Future() for _ in range(60)]
        wait = PublicMCPServer._execute_tool_without_progress
        calls = [
            asyncio.create_task(wait(SimpleNamespace(), SimpleNamespace(future=one, result=one.result)))  # type: ignore[arg-type]
            for one in futures
        ]
        await asyncio.sleep(0.1)
        with anyio.fail_after(5):
            done = await anyio.to_thread.run_sync(lambda: "uploaded", abandon_on_cancel=True)
        for one in futures:
            one.set_result(done)
        return list(await asyncio.gather(*calls))

    assert asyncio.run(serve()) == [["uploaded"]] * 60
