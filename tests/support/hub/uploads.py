"""The other half of the Hub on loopback: the requests that huggingface_hub makes to publish, answered for real."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from tests.support.hub.downloads import LARGE, Hub, Repository

WRITER = "hf_" + "w" * 34  # may write to `OWNER`'s repositories
READER = "hf_" + "r" * 34  # may only read
OWNER = "you"
FIRST = {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}  # what the Hub itself commits


class Uploads:
    """Adds publishing to a `Hub`. A Space's files stand in `hub.repositories` under "spaces/owner/name".

    `variables` holds those of each Space, `pull_requests` the commit that each was made from.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.variables: dict[str, dict[str, str]] = {}
        self.pull_requests: list[str] = []
        self.payment_required = False
        self.private: set[str] = set()  # names of models
        self._uploaded: dict[str, bytes] = {}
        routes = (
            ("/api/repos/create", self._create, "POST"),
            ("/api/validate-yaml", self._validate, "POST"),
            ("/api/{kind}/{owner}/{name}/preupload/{revision}", self._preupload, "POST"),
            ("/api/{kind}/{owner}/{name}/commit/{revision}", self._commit, "POST"),
            ("/api/{kind}/{owner}/{name}", self._info, "GET"),
            ("/api/{kind}/{owner}/{name}/tree/{revision}", self._tree, "GET"),
            ("/api/spaces/{owner}/{name}/variables", self._set_variable, "POST"),
            ("/{kind}/{owner}/{name}.git/info/lfs/objects/batch", self._batch, "POST"),
            ("/{owner}/{name}.git/info/lfs/objects/batch", self._batch, "POST"),
            ("/upload/{object_id}", self._put, "PUT"),
            ("/verify/{object_id}", self._verify, "POST"),
        )
        for path, endpoint, method in routes:
            hub.app.add_api_route(path, endpoint, methods=[method])

    def files(self, key: str) -> dict[str, bytes]:
        """The newest files of a repository, without the one that the Hub makes."""
        repository = self.hub.repositories[key]
        return {path: content for path, content in repository.commits[repository.main].items() if path not in FIRST}

    async def _create(self, request: Request) -> Response:
        wanted = await request.json()
        owner = wanted["organization"]
        if refusal := _refuse(request, owner):
            return refusal
        if self.payment_required:
            return JSONResponse({"error": "Subscribe"}, 402)
        key = _key(wanted.get("type", "model") + "s", owner, wanted["name"])
        if key in self.hub.repositories:
            return JSONResponse({"error": "You already created this repo", "url": f"{self.hub.url}/{key}"}, 409)
        self.hub.publish(key, FIRST)
        return JSONResponse({"url": f"{self.hub.url}/{key}"})

    async def _validate(self, request: Request) -> Response:
        content = (await request.json())["content"]
        if content.startswith("---\n"):
            return JSONResponse({"errors": [], "warnings": []})
        return JSONResponse({"errors": [{"message": "no metadata"}], "warnings": []}, 400)

    async def _info(self, request: Request, kind: str, owner: str, name: str) -> Response:
        repository = self.hub.repositories.get(_key(kind, owner, name))
        if repository is None or _token(request) not in (WRITER, READER):
            return Response(status_code=401, headers={"X-Error-Code": "RepoNotFound"} if repository is None else {})
        about = {"id": f"{owner}/{name}", "sha": repository.main, "siblings": [], "gated": False}
        return JSONResponse(about | {"private": f"{owner}/{name}" in self.private})

    async def _tree(self, request: Request, kind: str, owner: str, name: str, revision: str) -> Response:
        repository = self._repository(kind, owner, name)
        newest = repository.commits[repository.main]
        return JSONResponse(
            [{"type": "file", "path": path, "size": len(body), "oid": "0" * 40} for path, body in newest.items()]
        )

    async def _preupload(self, request: Request, kind: str, owner: str, name: str, revision: str) -> Response:
        if refusal := _refuse(request, owner, reading="create_pr" in request.query_params):
            return refusal
        names = [file["path"] for file in (await request.json())["files"]]
        return JSONResponse({"files": [{"path": n, "uploadMode": _mode(n), "shouldIgnore": False} for n in names]})

    async def _batch(self, request: Request, owner: str, name: str) -> Response:
        answers: list[dict[str, Any]] = []
        for wanted in (await request.json())["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.large_files:
                store, verify = f"{self.hub.url}/upload/{wanted['oid']}", f"{self.hub.url}/verify/{wanted['oid']}"
                answer["actions"] = {"upload": {"href": store}, "verify": {"href": verify}}
            answers.append(answer)
        return JSONResponse({"objects": answers, "transfer": "basic"})

    async def _put(self, request: Request, object_id: str) -> Response:
        assert "authorization" not in request.headers, "the store is another company's: it must not see the token"
        self._uploaded[object_id] = await request.body()
        return Response()

    async def _verify(self, request: Request, object_id: str) -> Response:
        content = self._uploaded.pop(object_id)
        if hashlib.sha256(content).hexdigest() != object_id or len(content) != (await request.json())["size"]:
            return JSONResponse({"error": "not that file"}, 422)
        self.hub.large_files[object_id] = content
        return JSONResponse({})

    async def _commit(self, request: Request, kind: str, owner: str, name: str, revision: str) -> Response:
        asks = "create_pr" in request.query_params
        if refusal := _refuse(request, owner, reading=asks):
            return refusal
        repository = self._repository(kind, owner, name)
        base = repository.main
        files = dict(repository.commits[base])
        for line in (await request.body()).splitlines():
            self._apply(json.loads(line), files)
        commit = repository.commit(files)
        answer = {"commitUrl": f"{self.hub.url}/{owner}/{name}/commit/{commit}", "commitOid": commit}
        if asks:
            self.pull_requests.append(base)
            repository.commits[base] = repository.commits.pop(base)  # the new one is there, but `main` stays
            answer["pullRequestUrl"] = f"{self.hub.url}/{owner}/{name}/discussions/{len(self.pull_requests)}"
        return JSONResponse(answer)

    def _apply(self, step: dict[str, Any], files: dict[str, bytes]) -> None:
        value = step["value"]
        if step["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif step["key"] == "lfsFile":
            files[value["path"]] = self.hub.large_files[value["oid"]]
        elif step["key"] == "deletedFile":
            del files[value["path"]]

    async def _set_variable(self, request: Request, owner: str, name: str) -> Response:
        if refusal := _refuse(request, owner):
            return refusal
        wanted = await request.json()
        variables = self.variables.setdefault(f"{owner}/{name}", {})
        variables[wanted["key"]] = wanted["value"]
        return JSONResponse({key: {"value": value} for key, value in variables.items()})

    def _repository(self, kind: str, owner: str, name: str) -> Repository:
        return self.hub.repositories[_key(kind, owner, name)]


def _key(kind: str, owner: str, name: str) -> str:
    return f"{owner}/{name}" if kind == "models" else f"{kind}/{owner}/{name}"


def _mode(path: str) -> str:
    return "lfs" if path.endswith(LARGE) else "regular"


def _token(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _refuse(request: Request, owner: str, reading: bool = False) -> Response | None:
    """401 for a token that the Hub does not know, 403 for one that may not write there."""
    token = _token(request)
    if token not in (WRITER, READER):
        return JSONResponse({"error": "Invalid username or password."}, 401)
    if reading or (token == WRITER and owner == OWNER):
        return None
    return JSONResponse({"error": f"You don't have the rights ({token})."}, 403)
