"""A Hub on loopback: the requests that huggingface_hub makes to fetch a file, answered for real."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

LARGE = (".pt", ".safetensors", ".onnx", ".bin")  # kept outside git, named by their SHA-256


@dataclass
class Faults:
    """What goes wrong, and how many times more; 0 is never."""

    status: Counter[int] = field(default_factory=Counter)  # HTTP status -> times it is answered instead
    headers: dict[str, str] = field(default_factory=dict)  # sent along with such a status
    hang: bool = False  # no answer at all
    cut: int = 0  # times a body breaks off half way
    damage: int = 0  # times a body has its last byte changed
    pause_s: float = 0.0  # between the pieces of a body


@dataclass
class Repository:
    """Files by revision, a 40-hex commit; `main` is the newest."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def main(self) -> str:
        return list(self.commits)[-1]

    def commit(self, files: dict[str, bytes]) -> str:
        revision = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[revision] = dict(files)
        return revision


class Hub:
    """A server in a thread. `requests` lists (method, path) of all that was asked, `ranges` the rests of files."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large_files: dict[str, bytes] = {}
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        self.ranges: list[str] = []
        self.app = FastAPI(openapi_url=None)
        self.app.middleware("http")(self._intercept)
        self.app.add_api_route("/{owner}/{name}/resolve/{revision}/{path:path}", self._resolve, methods=["GET", "HEAD"])
        self.app.add_api_route("/large/{object_id}", self._large, methods=["GET", "HEAD"])
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._store = f"http://localhost:{port}"  # large files come from another host, as the real Hub's do
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="critical", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Hub:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        """Stops answering; to do so twice is harmless."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=10)
        self._socket.close()

    def publish(self, repo: str, files: dict[str, bytes]) -> str:
        """Adds a commit that holds these files; its revision."""
        for path, content in files.items():
            if path.endswith(LARGE):
                self.large_files[hashlib.sha256(content).hexdigest()] = content
        return self.repositories.setdefault(repo, Repository()).commit(files)

    async def _intercept(self, request: Request, call_next) -> Response:  # type: ignore[no-untyped-def]
        self.requests.append((request.method, request.url.path))
        while self.faults.hang:
            await asyncio.sleep(0.05)
        for status in self.faults.status:
            if self.faults.status[status] > 0:
                self.faults.status[status] -= 1
                return Response(status_code=status, headers=self.faults.headers)
        return await call_next(request)

    async def _resolve(self, request: Request, owner: str, name: str, revision: str, path: str) -> Response:
        repository = self.repositories.get(f"{owner}/{name}")
        if repository is None:
            return _missing("RepoNotFound")
        commit = repository.main if revision == "main" else revision
        if commit not in repository.commits:
            return _missing("RevisionNotFound")
        content = repository.commits[commit].get(path)
        if content is None:
            return _missing("EntryNotFound", {"X-Repo-Commit": commit})
        if not path.endswith(LARGE):
            return self._body(request, content, {"ETag": f'"{_git_id(content)}"', "X-Repo-Commit": commit})
        object_id = hashlib.sha256(content).hexdigest()
        return Response(
            status_code=302,
            headers={
                "Location": f"{self._store}/large/{object_id}",
                "X-Repo-Commit": commit,
                "X-Linked-Etag": f'"{object_id}"',
                "X-Linked-Size": str(len(content)),
            },
        )

    async def _large(self, request: Request, object_id: str) -> Response:
        return self._body(request, self.large_files[object_id], {"ETag": f'"{object_id}"'})

    def _body(self, request: Request, content: bytes, headers: dict[str, str]) -> Response:
        """The file, or the rest of it that a Range asks for."""
        start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        headers = headers | {"Accept-Ranges": "bytes", "Content-Length": str(len(content) - start)}
        if request.method == "HEAD":
            return Response(headers=headers)
        if start:
            self.ranges.append(request.headers["range"])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if self.faults.damage > 0:
            self.faults.damage -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        stop = len(content)
        if self.faults.cut > 0:
            self.faults.cut -= 1
            stop = start + (len(content) - start) // 2
        return StreamingResponse(self._pieces(content[start:stop]), 206 if start else 200, headers)

    async def _pieces(self, content: bytes) -> AsyncIterator[bytes]:
        step = max(1, len(content) // 8) if self.faults.pause_s else max(1, len(content))
        for start in range(0, len(content), step):
            yield content[start : start + step]
            if self.faults.pause_s:
                await asyncio.sleep(self.faults.pause_s)


def _missing(code: str, headers: dict[str, str] | None = None) -> Response:
    """The Hub answers 401 for a repository that a visitor may not know of, and says which thing is missing."""
    status = 401 if code == "RepoNotFound" else 404
    return Response(status_code=status, headers={"X-Error-Code": code} | (headers or {}))


def _git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
