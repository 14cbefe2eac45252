"""The Hub's HTTP protocol over a `Store`: what huggingface_hub, datasets, transformers, peft and `hf` send."""

from __future__ import annotations

import base64
import hmac
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hub.local.pages import repository_page, start_page
from hub.local.store import BINARY, LARGE, TYPES, Change, File, HubError, Store, safe_path

Handler = Callable[[Request], Awaitable[Response]]


class Protocol:
    """One method for each kind of request; `token` is what a write must carry."""

    def __init__(self, store: Store, token: str) -> None:
        self.store, self.token = store, token

    def app(self) -> Starlette:
        repo = "/api/{types:str}/{ns}/{name}"
        routes = [
            Route("/api/whoami-v2", self.whoami),
            Route("/api/validate-yaml", self.validate_yaml, methods=["POST"]),
            Route("/api/repos/create", self.create, methods=["POST"]),
            Route("/api/repos/delete", self.delete, methods=["DELETE"]),
            Route("/api/{types:str}", self.listing),
            Route(repo, self.info),
            Route(repo + "/revision/{rev}", self.info),
            Route(repo + "/tree/{rev}", self.tree),
            Route(repo + "/tree/{rev}/{path:path}", self.tree),
            Route(repo + "/paths-info/{rev}", self.paths_info, methods=["POST"]),
            Route(repo + "/preupload/{rev}", self.preupload, methods=["POST"]),
            Route(repo + "/commit/{rev}", self.commit, methods=["POST"]),
            Route(repo + "/commits/{rev}", self.commits),
            Route(repo + "/refs", self.refs),
            Route(repo + "/{kind:str}/{rev}", self.make_ref, methods=["POST", "DELETE"]),
            Route("/large/{oid}", self.put_large, methods=["PUT"]),
        ]
        for prefix, _type in (("/datasets", "dataset"), ("/spaces", "space"), ("", "model")):
            routes += [
                Route(prefix + "/{ns}/{name}.git/info/lfs/objects/batch", self.lfs_batch, methods=["POST"]),
                Route(prefix + "/{ns}/{name}/resolve/{rev}/{path:path}", self.resolve),
                Route(prefix + "/{ns}/{name}", self.page),
            ]
        routes.append(Route("/", self.start))
        return Starlette(routes=routes, exception_handlers={HubError: _refused, HTTPException: _unknown})

    # ---- who, what, where

    def _writer(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise HubError(401, "Unauthorized", "Invalid username or password.")

    def _repo(self, request: Request) -> tuple[str, str]:
        types = request.path_params.get("types") or request.url.path.split("/")[1]
        type = types.removesuffix("s") if types.removesuffix("s") in TYPES else "model"
        return type, f"{request.path_params['ns']}/{request.path_params['name']}"

    async def whoami(self, request: Request) -> Response:
        self._writer(request)
        return JSONResponse(
            {
                "type": "user",
                "id": "local",
                "name": "repartee",
                "fullname": "The local Hub",
                "orgs": [],
                "auth": {"accessToken": {"displayName": "local", "role": "write"}},
            }
        )

    async def validate_yaml(self, request: Request) -> Response:
        content = (await request.json()).get("content", "")
        try:
            card_data(content)
        except yaml.YAMLError as error:
            return JSONResponse({"errors": [{"message": " ".join(str(error).split())}], "warnings": []}, 400)
        return JSONResponse({"errors": [], "warnings": []})

    async def create(self, request: Request) -> Response:
        self._writer(request)
        wanted = await request.json()
        type = wanted.get("type") or "model"
        name = f"{wanted.get('organization') or 'repartee'}/{wanted['name']}"
        if type not in TYPES:
            raise HubError(400, "InvalidType", f"'{type}' is not a repository type")
        settings = {"private": bool(wanted.get("private")), "sdk": wanted.get("sdk")}
        made = await run_in_threadpool(self.store.create, type, name, settings)
        url = f"{str(request.base_url).rstrip('/')}{'' if type == 'model' else f'/{type}s'}/{name}"
        if made:
            return JSONResponse({"url": url, "name": name, "id": name})
        return _error(409, "Conflict", "You already created this repository", {"url": url})

    async def delete(self, request: Request) -> Response:
        self._writer(request)
        wanted = await request.json()
        name = f"{wanted.get('organization') or 'repartee'}/{wanted['name']}"
        await run_in_threadpool(self.store.delete, wanted.get("type") or "model", name)
        return Response(status_code=200)

    # ---- reading

    async def listing(self, request: Request) -> Response:
        type = request.path_params["types"].removesuffix("s")
        if type not in TYPES:
            raise HubError(404, "NotFound", "Not found")
        author, search = request.query_params.get("author"), request.query_params.get("search", "")
        names = [name for name in self.store.names(type) if search.lower() in name.lower()]
        return JSONResponse(
            [self._info(type, n, "main", False) for n in names if not author or n.startswith(author + "/")]
        )

    async def info(self, request: Request) -> Response:
        type, name = self._repo(request)
        blobs = request.query_params.get("blobs", "").lower() == "true"
        return JSONResponse(
            await run_in_threadpool(self._info, type, name, request.path_params.get("rev", "main"), blobs)
        )

    def _info(self, type: str, name: str, revision: str, blobs: bool) -> dict[str, Any]:
        repo = self.store.open(type, name)
        commit = self.store.commit_of(repo, revision)
        files = self.store.files(repo, commit)
        readme = next((file for file in files if file.path == "README.md"), None)
        card = card_data(repo[readme.blob.encode()].data.decode("utf-8", "replace")) if readme else {}
        settings = self.store.settings(type, name)
        return {
            "_id": name,
            "id": name,
            "modelId": name,
            "author": name.split("/")[0],
            "sha": commit.id.decode(),
            "lastModified": _time(commit.commit_time),
            "createdAt": _time(commit.commit_time),
            "private": settings["private"],
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "sdk": settings.get("sdk"),
            "tags": list(card.get("tags") or []),
            "library_name": card.get("library_name"),
            "pipeline_tag": card.get("pipeline_tag"),
            "cardData": json.loads(json.dumps(card, default=str)),
            "siblings": [_sibling(file, blobs) for file in files],
        }

    async def tree(self, request: Request) -> Response:
        type, name = self._repo(request)
        below = request.path_params.get("path", "").strip("/")
        recursive = request.query_params.get("recursive", "").lower() in ("true", "1")
        repo = self.store.open(type, name)
        files = self.store.files(repo, self.store.commit_of(repo, request.path_params["rev"]))
        if below:
            files = [file for file in files if file.path.startswith(below + "/")]
            if not files:
                raise HubError(404, "EntryNotFound", f"{below} does not exist")
        depth = len(below.split("/")) if below else 0
        entries: dict[str, dict[str, Any]] = {}
        for file in files:
            parts = file.path.split("/")
            for length in range(depth + 1, len(parts)):
                folder = "/".join(parts[:length])
                if recursive or length == depth + 1:
                    entries.setdefault(folder, {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder})
            if recursive or len(parts) == depth + 1:
                entries[file.path] = _entry(file)
        return JSONResponse(list(entries.values()))

    async def paths_info(self, request: Request) -> Response:
        type, name = self._repo(request)
        if request.headers.get("content-type", "").startswith("application/json"):
            paths = (await request.json())["paths"]
        else:
            paths = (await request.form()).getlist("paths")
        repo = self.store.open(type, name)
        files = self.store.files(repo, self.store.commit_of(repo, request.path_params["rev"]))
        found = [_entry(file) for file in files if file.path in paths]
        folders = {path for path in paths if any(file.path.startswith(path.rstrip("/") + "/") for file in files)}
        return JSONResponse(
            found + [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(folders)]
        )

    async def commits(self, request: Request) -> Response:
        type, name = self._repo(request)
        repo = self.store.open(type, name)
        head = self.store.commit_of(repo, request.path_params["rev"])
        return JSONResponse(
            [
                {
                    "id": entry.commit.id.decode(),
                    "title": entry.commit.message.decode().split("\n")[0],
                    "message": "\n".join(entry.commit.message.decode().split("\n")[1:]),
                    "authors": [{"user": "repartee"}],
                    "date": _time(entry.commit.commit_time),
                }
                for entry in repo.get_walker([head.id])
            ]
        )

    async def refs(self, request: Request) -> Response:
        repo = self.store.open(*self._repo(request))
        lists: dict[str, list] = {"branches": [], "tags": [], "converts": []}
        for ref, sha in sorted(repo.refs.as_dict().items()):
            for kind, prefix in (("branches", b"refs/heads/"), ("tags", b"refs/tags/")):
                if ref.startswith(prefix):
                    named = {"name": ref.removeprefix(prefix).decode(), "ref": ref.decode()}
                    lists[kind].append(named | {"targetCommit": sha.decode()})
        return JSONResponse(lists)

    async def resolve(self, request: Request) -> Response:
        type, name = self._repo(request)
        repo = self.store.open(type, name)
        commit = self.store.commit_of(repo, request.path_params["rev"])
        path = safe_path(request.path_params["path"])
        headers = {"X-Repo-Commit": commit.id.decode(), "Accept-Ranges": "bytes"}
        file = self.store.file(repo, commit, path)
        if file is None:
            refused = _error(404, "EntryNotFound", f"Entry not found: {path}")
            refused.headers.update(headers)
            return refused
        headers["ETag"] = f'"{file.large or file.blob}"'
        headers["Content-Disposition"] = f'inline; filename="{path.split("/")[-1]}"'
        if file.large:
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(file.size)}
            return FileResponse(
                self.store.large_path(file.large), headers=headers, media_type="application/octet-stream"
            )
        return _ranged(request, repo[file.blob.encode()].data, headers)

    # ---- writing

    async def preupload(self, request: Request) -> Response:
        self._writer(request)
        type, name = self._repo(request)
        repo = self.store.open(type, name)
        commit = self.store.commit_of(repo, request.path_params["rev"])
        answers = []
        for wanted in (await request.json())["files"]:
            present = self.store.file(repo, commit, safe_path(wanted["path"]))
            large = wanted.get("size", 0) > LARGE or wanted["path"].endswith(BINARY)
            oid = (present.large or present.blob) if present else None
            answers.append(
                {"path": wanted["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid}
            )
        return JSONResponse({"files": answers})

    async def lfs_batch(self, request: Request) -> Response:
        wanted = await request.json()
        objects = []
        for item in wanted["objects"]:
            oid, size = item["oid"], item["size"]
            here = self.store.large_path(oid).exists()
            href = f"{str(request.base_url).rstrip('/')}/large/{oid}"
            answer: dict[str, Any] = {"oid": oid, "size": size}
            if wanted["operation"] == "upload":
                self._writer(request)
                if not here:
                    answer["actions"] = {"upload": {"href": f"{href}?signature={self._signature(oid)}"}}
            objects.append(answer)
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")

    def _signature(self, oid: str) -> str:
        """Lets one upload in without a token, as the presigned addresses of the real Hub do."""
        return hmac.new(self.token.encode(), oid.encode(), "sha256").hexdigest()

    async def put_large(self, request: Request) -> Response:
        oid = request.path_params["oid"]
        if not hmac.compare_digest(request.query_params.get("signature", ""), self._signature(oid)):
            raise HubError(403, "Forbidden", "This upload address is not valid.")
        await self.store.receive(oid, request.stream())
        return Response(status_code=200)

    async def commit(self, request: Request) -> Response:
        self._writer(request)
        type, name = self._repo(request)
        header: dict[str, Any] = {}
        changes: list[Change] = []
        try:
            for line in (await request.body()).splitlines():
                item = json.loads(line)
                if item["key"] == "header":
                    header = item["value"]
                else:
                    changes.append(_change(item["key"], item["value"]))
        except (ValueError, KeyError, TypeError) as error:
            raise HubError(400, "BadRequest", f"the commit cannot be read: {error}") from error
        message = "\n\n".join(filter(None, (header.get("summary"), header.get("description")))) or "commit"
        branch = request.path_params["rev"]
        oid, _ = await run_in_threadpool(
            self.store.commit, type, name, branch, header.get("parentCommit"), changes, message
        )
        url = f"{str(request.base_url).rstrip('/')}/{'' if type == 'model' else f'{type}s/'}{name}/commit/{oid}"
        return JSONResponse({"success": True, "commitUrl": url, "commitOid": oid, "hookOutput": ""})

    async def make_ref(self, request: Request) -> Response:
        self._writer(request)
        type, name = self._repo(request)
        kind, rev = request.path_params["kind"], request.path_params["rev"]
        if kind not in ("tag", "branch"):
            raise HubError(404, "NotFound", "Not found")
        repo = self.store.open(type, name)
        wanted = json.loads(await request.body() or b"{}")
        folder = "tags" if kind == "tag" else "heads"
        new = wanted.get("tag") if kind == "tag" and request.method == "POST" else rev
        if not re.fullmatch(r"[\w][\w./-]*", str(new)) or ".." in str(new):
            raise HubError(400, "InvalidRef", f"'{new}' is not a name for a {kind}")
        ref = f"refs/{folder}/{new}".encode()
        if request.method == "DELETE":
            if ref not in repo.refs:
                raise HubError(404, "RevisionNotFound", f"no {kind} called {new}")
            repo.refs.remove_if_equals(ref, None)
            return Response(status_code=200)
        if ref in repo.refs:
            return _error(409, "Conflict", f"Tag reference exists already: {new}")
        start = rev if kind == "tag" else wanted.get("startingPoint") or "main"
        repo.refs.add_if_new(ref, self.store.commit_of(repo, start).id)
        return Response(status_code=201)

    # ---- for people

    async def start(self, request: Request) -> Response:
        return start_page({type: self.store.names(type) for type in TYPES})

    async def page(self, request: Request) -> Response:
        type, name = self._repo(request)
        repo = self.store.open(type, name)
        commit = self.store.commit_of(repo, "main")
        readme = self.store.file(repo, commit, "README.md")
        text = repo[readme.blob.encode()].data.decode("utf-8", "replace") if readme else ""
        history = [
            (entry.commit.id.decode(), entry.commit.message.decode().split("\n")[0])
            for entry in repo.get_walker([commit.id])
        ]
        return repository_page(type, name, text, self.store.files(repo, commit), history)


def card_data(readme: str) -> dict[str, Any]:
    """The YAML front matter of a card.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    found = re.match(r"---\s*\n(.*?)\n---", readme, re.DOTALL)
    content = yaml.safe_load(found[1]) if found else None
    return content if isinstance(content, dict) else {}


def _change(key: str, value: dict[str, Any]) -> Change:
    if key == "file":
        encoded = value.get("encoding") == "base64"
        return Change(value["path"], base64.b64decode(value["content"]) if encoded else value["content"].encode())
    if key == "lfsFile":
        return Change(value["path"], large=(value["oid"], int(value["size"])))
    if key == "copyFile":
        return Change(value["path"], source=value["srcPath"])
    if key in ("deletedFile", "deletedFolder"):
        return Change(value["path"])
    raise ValueError(f"unknown operation '{key}'")


def _ranged(request: Request, content: bytes, headers: dict[str, str]) -> Response:
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if not asked:
        return Response(content, headers=headers, media_type="application/octet-stream")
    first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
    if first >= len(content):
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], 206, headers, "application/octet-stream")


def _lfs(file: File) -> dict[str, Any]:
    return {"oid": file.large, "sha256": file.large, "size": file.size, "pointerSize": 134}


def _entry(file: File) -> dict[str, Any]:
    entry = {"type": "file", "oid": file.blob, "size": file.size, "path": file.path}
    return entry | ({"lfs": _lfs(file)} if file.large else {})


def _sibling(file: File, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": file.path}
    sibling = {"rfilename": file.path, "size": file.size, "blobId": file.blob}
    return sibling | ({"lfs": _lfs(file)} if file.large else {})


def _time(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _error(status: int, code: str, message: str, extra: dict[str, Any] | None = None) -> Response:
    headers = {"X-Error-Code": code, "X-Error-Message": message.replace("\n", " "), "X-Request-Id": uuid.uuid4().hex}
    return JSONResponse({"error": message, **(extra or {})}, status, headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    return _error(error.status, error.code, str(error))


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(error.detail, error.status_code, {"X-Request-Id": uuid.uuid4().hex})
