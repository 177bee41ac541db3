"""No address is ever opened for anybody, nor what it redirects to: proven with a listener that hears nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from facemotion import images
from facemotion.errors import InputError
from tests.support.media import crafted
from tests.support.media.bad_inputs import ADDRESSES, assert_helpful
from tests.support.servers.processes import ROOT
from tests.web.server.test_server import META, call

pytestmark = pytest.mark.slow


@pytest.fixture
def canary() -> Iterator[tuple[list[str], list[str]]]:
    """Addresses of a picture inside, direct and by redirects, and the requests that were made there."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302 if self.path == "/redirect" else 200)
            if self.path == "/redirect":
                self.send_header("location", "/photo.jpg")
            self.end_headers()
            self.wfile.write(crafted.jpeg())

        do_HEAD = do_GET  # noqa: N815
        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as inside:
        threading.Thread(target=inside.serve_forever, daemon=True).start()
        port = inside.server_port
        hosts = ("127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "0")
        yield [f"http://{host}:{port}/{path}" for host in hosts for path in ("photo.jpg", "redirect")], asked
        inside.shutdown()


def test_the_canary_sings(canary: tuple[list[str], list[str]]) -> None:
    addresses, asked = canary
    assert httpx.get(addresses[1], follow_redirects=True).content == crafted.jpeg()
    assert asked == ["/redirect", "/photo.jpg"]


def test_by_python(canary: tuple[list[str], list[str]]) -> None:
    addresses, asked = canary
    for address in (*addresses, *ADDRESSES):
        with pytest.raises(InputError) as caught:
            images.load(address)
        assert caught.value.code in ("forbidden_source", "missing")
        assert_helpful(caught.value)
    assert asked == []


def test_by_the_command_line(canary: tuple[list[str], list[str]]) -> None:
    addresses, asked = canary
    command = [sys.executable, "-m", "facemotion", *addresses]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 1
    assert done.stderr.count(": There is no such file.") + done.stderr.count("Addresses are not opened") == len(
        addresses
    )
    assert asked == []


@pytest.mark.parametrize("form", [{"path": ...}, {"path": ..., "url": ..., "meta": META}, {"url": ...}])
def test_by_rest(form: dict[str, Any], app_url: str, canary: tuple[list[str], list[str]]) -> None:
    addresses, asked = canary
    with httpx.Client(base_url=app_url, timeout=120) as http:
        for address in (*addresses, *ADDRESSES):
            sent = {key: address if value is ... else value for key, value in form.items()}
            event, answer = call(http, "analyze", [sent])
            assert event == "error"
            assert answer["title"] in ("forbidden_source", "missing"), address
            assert "/" not in answer["error"]
    assert asked == []


def test_by_gradio_client(app_url: str, canary: tuple[list[str], list[str]]) -> None:
    addresses, asked = canary
    client = Client(app_url, verbose=False)
    for address in (*addresses[:2], *ADDRESSES[:2]):
        with pytest.raises(AppError) as caught:
            client.predict({"path": address, "url": address, "meta": META, "is_stream": True}, api_name="/analyze")
        assert caught.value.title == "forbidden_source"
    client.close()
    assert asked == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_by_a_language_model(app_url: str, canary: tuple[list[str], list[str]]) -> None:
    pytest.importorskip("mcp", reason="gradio's extra is not installed: pip install 'gradio[mcp]'")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    addresses, asked = canary

    async def session() -> list[bool]:
        async with (
            streamablehttp_client(f"{app_url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as client,
        ):
            await client.initialize()
            name = next(one.name for one in (await client.list_tools()).tools if one.name.endswith("analyze"))
            sources = [*addresses[:2], *ADDRESSES[:2], "/etc/passwd", str(Path(__file__))]
            return [(await client.call_tool(name, {"picture": source})).isError or False for source in sources]

    assert all(asyncio.run(session()))
    assert asked == []
