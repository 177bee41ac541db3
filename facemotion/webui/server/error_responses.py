"""Error responses for each HTTP status: a stable code and a message."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from facemotion import settings
from facemotion.webui.server.error_messages import BAD_VALUE, FULL, OUTSIDE, UNEXPECTED


class RequestError(Exception):
    """Refused request: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def to_dict(self) -> dict[str, Any]:
        """As JSON: `title` and `error` as in Gradio's events, and `detail`, which its clients read."""
        return {"title": self.code, "error": self.message, "detail": self._detail()}

    def _detail(self) -> Any:
        if self.status != 422:
            return self.message
        # gradio_client shows only validation errors for status 422
        return [{"__type__": "validate", "is_valid": False, "parameter_name": self.code, "message": self.message}]


def megabytes(count: int) -> str:
    """20_000_000 -> "20 MB"."""
    return f"{count / 1e6:.4g} MB"


_NOTHING = "There is nothing at this address, or no longer: uploads and results are deleted within the hour."
_TOO_LARGE = (
    f"This is larger than the server takes: at most {megabytes(settings.MAX_FILE_BYTES)} a picture, "
    f"{megabytes(settings.MAX_VIDEO_BYTES)} a video, and {settings.MAX_PICTURES} pictures at a time. "
    "Send it smaller, or in parts."
)
_BUSY = (
    f"The server is busy: {settings.MAX_QUEUE} requests are waiting already, and no more are taken. "
    "Try again in a moment."
)
_TOO_SLOW = (
    "This request came too slowly and was given up. Send it again over a better connection, or something smaller."
)
_BAD_REQUEST = "This request is not of the form that the server takes. “Use via API” on the page describes it."

_ANSWERS: dict[int, tuple[str, str]] = {
    400: ("bad_request", _BAD_REQUEST),
    403: ("forbidden_source", OUTSIDE),
    404: ("not_found", _NOTHING),
    405: ("bad_request", _BAD_REQUEST),
    408: ("too_slow", _TOO_SLOW),
    413: ("file_too_large", _TOO_LARGE),
    422: ("bad_option", BAD_VALUE),
    503: ("busy", _BUSY),
    507: ("storage", FULL),
}


def for_status(status: int) -> RequestError:
    """The error for an HTTP status of 400 or more."""
    other = ("internal", UNEXPECTED) if status >= 500 else ("bad_request", _BAD_REQUEST)
    return RequestError(status, *_ANSWERS.get(status, other))


def too_large_for_mcp() -> RequestError:
    """The error for an MCP message above the size limit."""
    picture = megabytes(settings.MAX_MCP_BYTES * 3 // 4)
    return RequestError(
        413, "file_too_large", f"Through MCP a picture may have at most {picture}. Send it smaller, or use the API."
    )


def on_validation_error(request: Any, error: Exception) -> JSONResponse:
    """FastAPI handler for malformed request bodies.

    FastAPI's own quotes the body, and fails on infinite numbers in it.
    """
    error = for_status(422)
    return JSONResponse(error.to_dict(), error.status)
