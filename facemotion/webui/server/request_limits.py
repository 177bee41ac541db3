"""Limits on request size, JSON nesting, upload time and disk space."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from facemotion import settings
from facemotion.webui.server import upload_folder as uploads
from facemotion.webui.server.error_responses import RequestError, for_status, too_large_for_mcp
from facemotion.webui.server.routes import MCP, UPLOAD, Message

Receive = Callable[[], Awaitable[Message]]

_MIN_BYTES_PER_S = 20_000  # of an upload, after the first settings.BODY_SECONDS: a phone with a weak signal
# Brackets and commas in JSON. Gradio walks the values of a request on the event loop, which blocks other requests, and
# a list of a million empty lists takes a hundred times the memory of its text. A file has about a dozen.
_MAX_JSON_PARTS = 5_000 + 30 * settings.MAX_PICTURES
_JSON_PARTS = (b"[", b"{", b",")
_CHECK_EVERY_BYTES = 50_000_000  # between checks of the disk space during an upload


class DiskSpace:
    """Disk space used by the upload folder.

    It is measured at most once a second, in a thread; bytes received since are added.
    """

    def __init__(self) -> None:
        self._used = 0
        self._measured_s = float("-inf")
        self._lock = asyncio.Lock()

    def add(self, count: int) -> None:
        """Count received bytes of an upload."""
        self._used += count

    async def check(self) -> None:
        """Check that there is room for another upload.

        Raises:
            RequestError: there is none.
        """
        async with self._lock:
            if self._used > settings.MAX_UPLOADS_BYTES or time.monotonic() - self._measured_s > 1:
                self._used = await asyncio.to_thread(uploads.used_bytes)
                self._measured_s = time.monotonic()
        if self._used > settings.MAX_UPLOADS_BYTES:
            raise for_status(507)


class LimitedBody:
    """ASGI `receive` that refuses a body that is too large, too slow or too deeply nested.

    `refusal` is then what to say, whatever answer comes: frameworks take what is raised here for a malformed body.
    """

    def __init__(self, scope: Message, receive: Receive, disk_space: DiskSpace) -> None:
        self._receive, self._disk_space = receive, disk_space
        self._is_upload = scope["path"] == UPLOAD
        self._limit, self._too_large = _limit(scope["path"])
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        self._announced = int(announced) if announced.isdigit() else 0
        self._started_s = time.monotonic()
        self._received = self._parts = self._checked_at = 0
        self._complete = False
        self.refusal: RequestError | None = None

    async def check(self) -> None:
        """Check the announced size before anything is received.

        Raises:
            RequestError: more is announced than is taken, or there is no room for an upload.
        """
        if self._announced > self._limit:
            raise self._too_large
        if self._is_upload:
            await self._disk_space.check()

    async def receive(self) -> Message:
        """Receive the next message.

        Raises:
            RequestError: it is too much, or did not come in time.
        """
        if self._complete:  # only the disconnect is still to come
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._seconds_left())
            self._complete = not message.get("more_body")
            await self._count(message.get("body", b""))
        except asyncio.TimeoutError:  # another class than TimeoutError until Python 3.11
            self.refusal = for_status(408)
            raise self.refusal from None
        except RequestError as refusal:
            self.refusal = refusal
            raise
        return message

    def _seconds_left(self) -> float:
        allowed = settings.BODY_SECONDS + self._received / _MIN_BYTES_PER_S
        return max(0.0, self._started_s + allowed - time.monotonic())

    async def _count(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._limit:
            raise self._too_large
        if self._is_upload:
            self._disk_space.add(len(data))
            if self._received - self._checked_at > _CHECK_EVERY_BYTES:
                self._checked_at = self._received
                await self._disk_space.check()
        else:
            self._parts += sum(data.count(part) for part in _JSON_PARTS)
            if self._parts > _MAX_JSON_PARTS:
                raise for_status(400)


def _limit(path: str) -> tuple[int, RequestError]:
    """The size limit of a request body in bytes, and the error above it."""
    if path.startswith(MCP):
        return settings.MAX_MCP_BYTES, too_large_for_mcp()
    return settings.MAX_UPLOAD_BYTES if path == UPLOAD else settings.MAX_BODY_BYTES, for_status(413)
