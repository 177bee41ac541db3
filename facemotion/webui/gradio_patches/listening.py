"""Where the server listens: at GRADIO_SERVER_NAME and GRADIO_SERVER_PORT, or a sentence says why not.

gradio (seen in 6.31) tries every address as one of IPv4, takes the next port in silence where the wanted one is in use,
and ends with "cannot find empty port" whatever was in the way.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import threading
import time
from typing import Any

import uvicorn
from gradio import http_server
from gradio.exceptions import ServerFailedToStartError
from gradio.utils import get_space

from facemotion import settings
from facemotion.errors import BadOption
from facemotion.webui.gradio_patches import proxies

HOST, PORT = "127.0.0.1", 7860
PORTS = 100  # that are tried from `PORT` on, where none was named
_gradios_own = http_server.start_server


def install() -> None:
    """Puts `start` in the place of gradio's function, for everybody in the process."""
    http_server.start_server = start  # type: ignore[assignment]


def start(
    app: Any, server_name: str | None = None, server_port: int | None = None, **ssl: Any
) -> tuple[str, int, str, http_server.Server]:
    """As `gradio.http_server.start_server`, whose own serves on a Space and where gradio watches folders for changes.

    Raises:
        BadOption: the address or the port cannot be had.
    """
    if get_space() is not None or http_server.GRADIO_WATCH_DIRS:
        return _gradios_own(app, server_name, server_port, **ssl)
    host = (server_name or os.environ.get("GRADIO_SERVER_NAME") or HOST).strip().strip("[]")
    sockets, port = listen(host, server_port or settings.server_port())
    server = http_server.Server(config=uvicorn.Config(app, host=host, port=port, log_level="warning", **ssl))
    server.thread = threading.Thread(target=server.run, args=(sockets,), daemon=True)
    server.thread.start()
    while not server.started and server.thread.is_alive():
        time.sleep(0.005)
    if not server.started:
        raise ServerFailedToStartError("The server ended while it was starting; its log says why.")
    reached = "localhost" if _is_everywhere(host) else host
    proxies.add_own(reached)
    scheme = "https" if ssl.get("ssl_keyfile") else "http"
    return _in_url(host), port, f"{scheme}://{_in_url(reached)}:{port}/", server


def listen(host: str, port: int | None) -> tuple[list[socket.socket], int]:
    """Opens the port at every address of the host; without a port the first free one of `PORTS`.

    Returns:
        The sockets, and the port.

    Raises:
        BadOption: they cannot be had; the message says what to set instead.
    """
    for tried in range(PORT, PORT + PORTS) if port is None else [port]:
        try:
            return _bound(host, tried), tried
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            if port is not None or not taken:
                raise BadOption(_sentence(host, tried, error)) from error
    raise BadOption(f"The ports {PORT} to {PORT + PORTS - 1} are all in use. Set GRADIO_SERVER_PORT to another one.")


def _bound(host: str, port: int) -> list[socket.socket]:
    """A name such as localhost may stand for an address of IPv6 too, which this machine need not have."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        both = host == "::" and socket.has_dualstack_ipv6()
        try:
            sockets.append(socket.create_server(address, family=family, dualstack_ipv6=both))
            # Connections inherit it. asyncio sets it only on sockets made with the protocol's number, which these are
            # not; without it each part of an answer waits up to 40 ms for the other side to acknowledge the last.
            sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                for one in sockets:
                    one.close()
                raise
            missing = error
    if not sockets and missing is not None:
        raise missing
    return sockets


def _sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} at {host} is in use. End the program that listens there, or set GRADIO_SERVER_PORT."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"This user may not open port {port}. Set GRADIO_SERVER_PORT to one from 1024 on."
    return (
        f"This machine has no address {host!r}. Set GRADIO_SERVER_NAME to 127.0.0.1 or ::1 for this machine alone, to "
        "0.0.0.0 or :: for everybody, or to an address that it has."
    )


def _is_everywhere(host: str) -> bool:
    """Whether it stands for all addresses of this machine, none of which it is itself."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name
        return False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
