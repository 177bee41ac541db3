"""Where the server listens, and that a proxy does not keep it from itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from facemotion import settings
from facemotion.errors import BadOption
from facemotion.webui.gradio_patches import listening, proxies
from tests.support.media import crafted
from tests.support.servers import running
from tests.support.servers.processes import ROOT, free_port, server_environment

pytestmark = pytest.mark.slow

DEAD = "127.0.0.1:9"  # where nobody listens
PROXIES = {"HTTP_PROXY": f"http://{DEAD}", "ALL_PROXY": f"socks5://{DEAD}", "NO_PROXY": "", "no_proxy": ""}


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def reaches(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "reached", "not_reached"),
    [
        ("127.0.0.1", ["127.0.0.1"], ["::1"]),
        ("0.0.0.0", ["127.0.0.1"], ["::1"]),
        pytest.param("::1", ["::1"], ["127.0.0.1"], marks=needs_ipv6),
        pytest.param("::", ["::1", "127.0.0.1"], [], marks=needs_ipv6),
        ("localhost", ["localhost"], []),
    ],
)
def test_listens_at_every_kind_of_address(host: str, reached: list[str], not_reached: list[str]) -> None:
    sockets, port = listening.listen(host, free_port())
    try:
        assert all(reaches(one, port) for one in reached)
        assert not any(reaches(one, port) for one in not_reached)
    finally:
        for one in sockets:
            one.close()


def test_answers_do_not_wait_to_be_acknowledged() -> None:
    sockets, port = listening.listen("127.0.0.1", free_port())
    with sockets[0], socket.create_connection(("127.0.0.1", port)), sockets[0].accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_was_named_is_not_replaced(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadOption, match=f"Port {taken} at 127.0.0.1 is in use"):
        listening.listen("127.0.0.1", taken)
    monkeypatch.setattr(listening, "PORT", taken)
    sockets, port = listening.listen("127.0.0.1", None)  # nobody asked for this one
    for one in sockets:
        one.close()
    assert taken < port < taken + listening.PORTS
    monkeypatch.setattr(listening, "PORTS", 1)
    with pytest.raises(BadOption, match="are all in use"):
        listening.listen("127.0.0.1", None)


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::7", "no.such.host.invalid", "300.1.1.1"])
def test_an_address_of_another_machine_is_a_sentence(host: str) -> None:
    with pytest.raises(BadOption, match="This machine has no address") as caught:
        listening.listen(host, free_port())
    assert host in caught.value.message and "GRADIO_SERVER_NAME" in caught.value.message


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "65536", "1e3", "80.0"])
def test_what_is_no_port_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_PORT", text)
    with pytest.raises(BadOption, match="GRADIO_SERVER_PORT must be a port"):
        settings.server_port()
    monkeypatch.setenv("GRADIO_SERVER_PORT", " 8080 ")
    assert settings.server_port() == 8080
    monkeypatch.delenv("GRADIO_SERVER_PORT")
    assert settings.server_port() is None


@pytest.mark.parametrize("port", ["taken", "no number"])
def test_the_app_ends_with_a_sentence(port: str, taken: int, tmp_path: Path) -> None:
    environment = server_environment(taken, tmp_path) | ({} if port == "taken" else {"GRADIO_SERVER_PORT": "x"})
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    sentence = f"Port {taken} at 127.0.0.1 is in use." if port == "taken" else "GRADIO_SERVER_PORT must be a port"
    assert done.returncode == 1
    assert f"facemotion: {sentence}" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("facemotion-uploads-*"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the client for MCP
def test_the_page_and_its_tools_work_where_a_proxy_is_set(tmp_path: Path, examples: Path) -> None:
    host = "::" if has_ipv6() else "0.0.0.0"
    with running.server(tmp_path, GRADIO_SERVER_NAME=host, **PROXIES) as server:
        port = httpx.URL(server.url).port
        for name in ("127.0.0.1", "[::1]") if has_ipv6() else ("127.0.0.1",):
            assert "facemotion" in httpx.get(f"http://{name}:{port}/", trust_env=False).text
        assert f"http://{'[::]' if has_ipv6() else host}:{port}" in server.log.read_text()
        pytest.importorskip("mcp", reason="gradio's extra is not installed: pip install 'gradio[mcp]'")
        from tests.web.server.test_mcp import converse, expressions

        picture = crafted.data_url((examples / "astronaut.png").read_bytes())
        _, [answer] = converse(server.url, [{"picture": picture}])
        assert expressions(answer) == ["happy"]


def test_only_requests_to_this_server_pass_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*proxies.VARIABLES, *map(str.upper, proxies.VARIABLES), "no_proxy", "NO_PROXY"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://{DEAD}")
    assert proxies.is_own("http://[::1]:7860/") and not proxies.is_own("http://example.org/")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(httpx.ReadTimeout):  # it was reached
            proxies.Direct().head(f"http://127.0.0.1:{port}/", timeout=0.2)
    with pytest.raises(httpx.ConnectError):  # the proxy was asked
        proxies.Direct().get("http://192.0.2.1/", timeout=5)
    with proxies.unset():
        assert "HTTP_PROXY" not in os.environ
    assert os.environ["HTTP_PROXY"] == f"http://{DEAD}"
