"""Which addresses of the server are open, and what a request may say of itself in its headers."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs

from facemotion.webui.server.error_responses import for_status

Message = MutableMapping[str, Any]

API = "/gradio_api"
UPLOAD = f"{API}/upload"
MCP = f"{API}/mcp"

# What the page, gradio's clients and MCP use. gradio opens more: it fetches web addresses, keeps the state of a session
# as a file, converts videos, reads component sources.
_OPEN = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt|/(assets|static|svelte)/.*"
    rf"|{API}/(info/?|openapi\.json|app_id/?|startup-events|theme\.css|upload|upload_progress|queue/(join|data|status)"
    r"|(call|call/v2|run|api)/[^/]+/?|call/(v2/)?[^/]+/[^/]+|cancel|reset/?|heartbeat/[^/]+|stream/[^/]+(/close)?"
    r"|file=.*|mcp(/|/http/?|/schema)?)"
)
_FILE_ELSEWHERE = re.compile(rf"{API}/file=\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # any scheme: gradio fetches http(s)
_UNUSED_QUERIES = {"deep_link", "page"}  # the state of a session as a file; the other pages of an app that has some
_LONGEST_NAME = 255  # bytes, of a file or a session; no file system here holds a longer one
# gradio writes what these say into the page's addresses. Proxies join theirs with commas.
_HOST = r"(\[[0-9A-Fa-f:.]+\]|[\w.-]*)(:\d{1,5})?"
_SAYS_WHERE = {
    b"host": re.compile(_HOST),
    b"x-forwarded-host": re.compile(rf"{_HOST}(\s*,\s*{_HOST})*"),
    b"x-forwarded-proto": re.compile(r"https?(\s*,\s*https?)*", re.IGNORECASE),
}
_ONE_RANGE = re.compile(rb"\s*bytes\s*=\s*(\d{1,15}\s*-\s*(\d{1,15})?|-\s*\d{1,15})\s*")


def check(scope: Message) -> None:
    """Holds a request's address and headers against the above.

    Raises:
        Refusal: there is nothing at the address for anybody, or a header cannot be what it should.
    """
    path, query = scope["path"], parse_qs(scope.get("query_string", b"").decode("latin-1"))
    too_long = any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in path.split("/"))
    if not _OPEN.fullmatch(path) or too_long or _UNUSED_QUERIES & query.keys():
        raise for_status(404)
    if _FILE_ELSEWHERE.match(path):
        raise for_status(403)
    for name, value in scope["headers"]:
        if name in _SAYS_WHERE and not _SAYS_WHERE[name].fullmatch(value.decode("latin-1")):
            raise for_status(400)


def without_odd_ranges(scope: Message) -> Message:
    """The request without a `Range` that is not one range of a file: a server may pass over any (RFC 9110, section
    14.2), and gradio trips over several."""
    headers = [one for one in scope["headers"] if one[0] != b"range" or _ONE_RANGE.fullmatch(one[1])]
    return {**scope, "headers": headers}
