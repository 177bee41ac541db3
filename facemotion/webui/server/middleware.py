"""ASGI middleware that checks requests and unifies error responses.

Errors have the form `{"title": code, "error": message, ...}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from facemotion.logs import log
from facemotion.webui.server import routes
from facemotion.webui.server.error_messages import is_disk_full
from facemotion.webui.server.error_responses import RequestError, for_status
from facemotion.webui.server.request_limits import DiskSpace, LimitedBody, Receive
from facemotion.webui.server.routes import API, MCP, Message

Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_ENDPOINTS = tuple(f"{API}/{name}" for name in ("call/", "run/", "api/", "queue/join"))
_EVENT_ERROR = re.compile(rb'event: error\ndata: "(\d{3})?.*', re.DOTALL)  # Gradio sends the text of any exception
_MAX_ERROR_BYTES = 1_000_000  # bytes of an error body that are parsed; a longer body is replaced

# With this policy the browser contacts no other server.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


class GuardMiddleware:
    """ASGI middleware around Gradio's application. Unexpected errors are logged without the data that was sent."""

    def __init__(self, app: App, unknown_endpoint: type[Exception] = KeyError) -> None:
        """`unknown_endpoint` is what the application raises, beside KeyError, where it should answer with 404."""
        self.app = app
        self._unknown_endpoint = unknown_endpoint
        self._disk_space = DiskSpace()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve or refuse a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        response = _Response(scope, send)
        try:
            routes.check(scope)
            body = response.to = LimitedBody(scope, receive, self._disk_space)
            await body.check()
            await self.app(routes.without_invalid_ranges(scope), body.receive, response.send)
        except RequestError as error:
            await response.refuse(error)
        except Exception as error:
            known = self._known_error(scope, error)
            if known is None:
                log(error)
            await response.refuse(known or for_status(507 if is_disk_full(error) else 500))

    def _known_error(self, scope: Message, error: Exception) -> RequestError | None:
        """The response to a client error that Gradio does not handle; None for any other error."""
        if isinstance(error, ClientDisconnect):  # during the upload; the response is not read
            return for_status(400)
        if isinstance(error.__cause__, HTTPException):  # raised by an event stream, which has told the client already
            return for_status(error.__cause__.status_code)
        if not scope["path"].startswith(_ENDPOINTS):
            return None
        if isinstance(error, (self._unknown_endpoint, KeyError)):
            return for_status(404)
        return for_status(422) if isinstance(error, TypeError) else None


class _Response:
    """Response with our headers, and with Gradio's errors converted to our form.

    The head is held back until the body begins, so that an error can still replace it.
    """

    def __init__(self, scope: Message, send: Send) -> None:
        self._send = send
        self._head = scope["method"] == "HEAD"
        self._translate = not scope["path"].startswith(MCP)
        self._start: Message = {}
        self._body = b""
        self._started = False
        self.to: LimitedBody | None = None  # the request, whose own error takes precedence

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self._start = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
        elif self._start["status"] >= 400 and (self._translate or self._body_error()):
            await self._collect(message)
        else:
            if not self._started:
                self._started = True
                await self._send(self._start)
            await self._send({**message, "body": _EVENT_ERROR.sub(_event_error, message.get("body", b""))})

    async def refuse(self, error: RequestError) -> None:
        """Send an error. A response that has begun is ended if it is an event stream, else aborted."""
        if self._started:
            if (b"content-type", b"text/event-stream; charset=utf-8") in self._start["headers"]:
                await self._send({"type": "http.response.body"})
            return
        self._started = True
        body = json.dumps(error.to_dict()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *_HEADERS]
        await self._send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"" if self._head else body})

    def _body_error(self) -> RequestError | None:
        return self.to.refusal if self.to else None

    async def _collect(self, message: Message) -> None:
        self._body = (self._body + message.get("body", b""))[:_MAX_ERROR_BYTES]
        if message.get("more_body"):
            return
        status = int(self._start["status"])
        await self.refuse(self._body_error() or _handler_error(status, self._body) or for_status(status))


def _event_error(found: re.Match[bytes]) -> bytes:
    return b"event: error\ndata: " + json.dumps(for_status(int(found[1] or 500)).to_dict()).encode() + b"\n\n"


def _handler_error(status: int, body: bytes) -> RequestError | None:
    """Code and message of an error raised by our handlers, from the body of Gradio's response."""
    try:
        said = json.loads(body)
        return RequestError(status, said["title"], said["error"]) if said["error"] else None
    except (ValueError, TypeError, KeyError):
        return None
