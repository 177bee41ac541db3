"""Allowed routes, and validation of request headers."""

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

# Routes that the page, Gradio's clients and MCP use. Gradio has more: it fetches web addresses, keeps session state
# in files, converts videos, reads component sources.
_OPEN_PATHS = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt|/(assets|static|svelte)/.*"
    rf"|{API}/(info/?|openapi\.json|app_id/?|startup-events|theme\.css|upload|upload_progress|queue/(join|data|status)"
    r"|(call|call/v2|run|api)/[^/]+/?|call/(v2/)?[^/]+/[^/]+|cancel|reset/?|heartbeat/[^/]+|stream/[^/]+(/close)?"
    r"|file=.*|mcp(/|/http/?|/schema)?)"
)
_REMOTE_FILE = re.compile(rf"{API}/file=\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # any URL scheme: Gradio fetches http(s)
_UNUSED_QUERIES = {"deep_link", "page"}  # session state in a file; further pages of multi-page apps
_MAX_NAME_BYTES = 255  # bytes of a file or session name; file systems allow no longer names
# Gradio writes these values into the page's URLs. Proxies join theirs with commas.
_HOST = r"(\[[0-9A-Fa-f:.]+\]|[\w.-]*)(:\d{1,5})?"
_HOST_HEADERS = {
    b"host": re.compile(_HOST),
    b"x-forwarded-host": re.compile(rf"{_HOST}(\s*,\s*{_HOST})*"),
    b"x-forwarded-proto": re.compile(r"https?(\s*,\s*https?)*", re.IGNORECASE),
}
_SINGLE_RANGE = re.compile(rb"\s*bytes\s*=\s*(\d{1,15}\s*-\s*(\d{1,15})?|-\s*\d{1,15})\s*")


def check(scope: Message) -> None:
    """Check the path, query and headers of a request.

    Raises:
        RequestError: there is nothing at the address for anybody, or a header cannot be what it should.
    """
    path, query = scope["path"], parse_qs(scope.get("query_string", b"").decode("latin-1"))
    too_long = any(len(part.encode(errors="replace")) > _MAX_NAME_BYTES for part in path.split("/"))
    if not _OPEN_PATHS.fullmatch(path) or too_long or _UNUSED_QUERIES & query.keys():
        raise for_status(404)
    if _REMOTE_FILE.match(path):
        raise for_status(403)
    for name, value in scope["headers"]:
        if name in _HOST_HEADERS and not _HOST_HEADERS[name].fullmatch(value.decode("latin-1")):
            raise for_status(400)


def without_invalid_ranges(scope: Message) -> Message:
    """Drop `Range` headers that are not a single range.

    A server may ignore any (RFC 9110, section 14.2), and Gradio fails on several.
    """
    headers = [(name, value) for name, value in scope["headers"] if name != b"range" or _SINGLE_RANGE.fullmatch(value)]
    return {**scope, "headers": headers}
