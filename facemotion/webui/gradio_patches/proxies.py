"""Requests of the server to itself, which no proxy can answer.

gradio asks its own server whether it is up, and calls it for each tool of MCP. httpx sends both to HTTP_PROXY and
ALL_PROXY (seen in gradio 6.31 with httpx 0.28), and raises where a proxy is of a kind that it does not know.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
"""As urllib and httpx read them, in capitals too."""

_own_hosts = {"localhost", "127.0.0.1", "::1"}


@contextmanager
def unset() -> Iterator[None]:
    """The environment without proxies: gradio makes a client while it is imported, which may refuse one."""
    names = [name for name in os.environ if name.lower() in VARIABLES]
    values = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(values)


class Direct:
    """The module httpx, whose requests to this server go straight there."""

    def __getattr__(self, name: str) -> Any:
        return getattr(httpx, name)

    def get(self, url: str, **options: Any) -> httpx.Response:
        """As in httpx."""
        return httpx.get(url, trust_env=not is_own(url), **options)

    def head(self, url: str, **options: Any) -> httpx.Response:
        """As in httpx."""
        return httpx.head(url, trust_env=not is_own(url), **options)


def is_own(url: str) -> bool:
    """Whether an address is one that this server listens on."""
    return httpx.URL(url).host in _own_hosts


def add_own(host: str) -> None:
    """Takes requests to that host for requests to this server from now on."""
    _own_hosts.add(host)


def install() -> None:
    """Puts `Direct` in the place of httpx where gradio launches, and lets the client behind MCP ask straight."""
    import gradio.blocks  # noqa: PLC0415 - this module is imported before gradio
    import gradio.mcp  # noqa: PLC0415
    import gradio.networking  # noqa: PLC0415
    from gradio_client import Client  # noqa: PLC0415

    def client(*args: Any, **kwargs: Any) -> Client:
        return Client(*args, httpx_kwargs={"trust_env": False}, **kwargs)

    gradio.blocks.httpx = gradio.networking.httpx = Direct()  # type: ignore[assignment,attr-defined]
    gradio.mcp.Client = client  # type: ignore[attr-defined]
