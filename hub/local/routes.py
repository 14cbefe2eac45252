"""Routing table: address to handler."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.local import (
    collections_api,
    git_http,
    lfs,
    lineage_page,
    pages,
    read_api,
    repo_admin,
    search,
    spaces,
    write_api,
)
from hub.local.errors import HubError
from hub.local.store import TYPES

REPO = "/api/{types}/{ns}/{name}"
COLLECTION = "/api/collections/{ns}/{slug}"


def _nameless(request: Request) -> Response:
    """Ids without a namespace (`gpt2`) are of the real Hub alone, and so is what is no repository."""
    if request.path_params.get("types", "models") not in {f"{type}s" for type in TYPES}:
        raise HubError(404, "NotFound", f"the local Hub does not know {request.method} {request.url.path}")
    raise HubError(404, "RepoNotFound", f"Repository not found: {request.path_params['name']}")


_GENERAL = [
    Route("/", pages.start_page),
    Route("/style.css", pages.style),
    Route("/sign-in", pages.sign_in),
    Route("/favicon.ico", pages.icon),
    Route("/collections/{ns}/{slug}", pages.collection),
    Route("/api/whoami-v2", read_api.whoami),
    Route("/api/validate-yaml", write_api.validate_yaml, methods=["POST"]),
    Route("/api/repos/create", write_api.create, methods=["POST"]),
    Route("/api/repos/delete", write_api.delete, methods=["DELETE"]),
    Route("/api/collections", collections_api.create, methods=["POST"]),
    Route("/api/collections", collections_api.list_collections),
    Route(COLLECTION, collections_api.get, methods=["GET"]),
    Route(COLLECTION, collections_api.change, methods=["PATCH"]),
    Route(COLLECTION, collections_api.remove, methods=["DELETE"]),
    Route(COLLECTION + "/items", collections_api.add_item, methods=["POST"]),
    Route(COLLECTION + "/items/{item}", collections_api.change_item, methods=["PATCH"]),
    Route(COLLECTION + "/items/{item}", collections_api.remove_item, methods=["DELETE"]),
    Route("/api/repos/move", repo_admin.move, methods=["POST"]),
    *(Route(f"/api/{kind}/{{user}}/overview", search.overview) for kind in ("users", "organizations")),
    Route("/api/settings/repositories", search.storage),
    Route("/api/organizations/{user}/settings/repositories", search.storage),
    Route("/api/spaces/hardware", spaces.hardware),
    Route(lfs.NO_XET, lfs.refuse_xet),
    Route("/large/verify", lfs.verify, methods=["POST"]),
    Route("/large/{oid}", lfs.put, methods=["PUT"]),
    Route("/large/{oid}", lfs.get, methods=["GET"]),
]
_REPOSITORIES = [
    Route("/api/{types}", search.list_repos),
    Route(REPO, read_api.info),
    Route(REPO + "/revision/{rev}", read_api.info),
    Route(REPO + "/tree/{rev}", read_api.tree),
    Route(REPO + "/tree/{rev}/{path:path}", read_api.tree),
    Route(REPO + "/paths-info/{rev}", read_api.paths_info, methods=["POST"]),
    Route(REPO + "/commits/{rev}", read_api.commits),
    Route(REPO + "/refs", read_api.refs),
    *(Route(f"{REPO}/xet-{kind}-token/{{rev}}", lfs.xet_token) for kind in ("read", "write")),
    Route(REPO + "/auth-check", repo_admin.auth_check),
    Route(REPO + "/auth-check/write", repo_admin.auth_check),
    Route(REPO + "/lfs-files", repo_admin.large_files),
    Route(REPO + "/duplicate", repo_admin.duplicate, methods=["POST"]),
    Route(REPO + "/super-squash/{branch}", repo_admin.squash, methods=["POST"]),
    Route(REPO + "/settings", write_api.settings, methods=["PUT"]),
    Route(REPO + "/preupload/{rev}", write_api.preupload, methods=["POST"]),
    Route(REPO + "/commit/{rev}", write_api.commit, methods=["POST"]),
    Route(REPO + "/branch/{rev}", write_api.add_branch, methods=["POST"]),
    Route(REPO + "/branch/{rev}", write_api.remove_branch, methods=["DELETE"]),
    Route(REPO + "/tag/{rev}", write_api.add_tag, methods=["POST"]),
    Route(REPO + "/tag/{rev}", write_api.remove_tag, methods=["DELETE"]),
]
_SPACES = [
    Route(REPO + "/runtime", spaces.runtime),
    Route(REPO + "/logs/{kind}", spaces.logs),
    Route(REPO + "/variables", spaces.variables, methods=["GET"]),
    Route(REPO + "/secrets", spaces.secrets, methods=["GET"]),
    Route(REPO + "/volumes", spaces.control, methods=["PUT", "DELETE"]),
    *(Route(f"{REPO}/{kind}", spaces.put_setting, methods=["POST"]) for kind in ("secrets", "variables")),
    *(Route(f"{REPO}/{kind}", spaces.remove_setting, methods=["DELETE"]) for kind in ("secrets", "variables")),
    *(
        Route(f"{REPO}/{verb}", spaces.control, methods=["POST"])
        for verb in ("hardware", "sleeptime", "pause", "restart")
    ),
]
_FILES = [
    route
    for prefix in ("/datasets", "/spaces", "")
    for route in (
        *(
            route
            for ending in (".git", "")
            for route in (
                Route(prefix + "/{ns}/{name}" + ending + "/info/refs", git_http.advertise),
                Route(prefix + "/{ns}/{name}" + ending + "/git-upload-pack", git_http.upload_pack, methods=["POST"]),
                Route(prefix + "/{ns}/{name}" + ending + "/info/lfs/objects/batch", lfs.batch, methods=["POST"]),
            )
        ),
        Route(prefix + "/{ns}/{name}/raw/{rev}/{path:path}", read_api.raw),
        Route(prefix + "/{ns}/{name}/resolve/{rev}/{path:path}", read_api.resolve),
        Route(prefix + "/{ns}/{name}", pages.repository),
        Route(prefix + "/{ns}/{name}/tree/{rev}", pages.tree),
        Route(prefix + "/{ns}/{name}/tree/{rev}/{path:path}", pages.tree),
        Route(prefix + "/{ns}/{name}/blob/{rev}/{path:path}", pages.blob),
        Route(prefix + "/{ns}/{name}/commits/{rev}", pages.history),
        Route(prefix + "/{ns}/{name}/lineage/{rev}", lineage_page.lineage_page),
        Route(prefix + "/{ns}/{name}/commit/{rev}", pages.commit),
    )
]
_NAMELESS = [
    Route(path, _nameless)
    for path in ("/api/{types}/{name}", "/api/{types}/{name}/revision/{rev}", "/{name}/resolve/{rev}/{path:path}")
]
ROUTES = [*_GENERAL, *_REPOSITORIES, *_SPACES, *_FILES, *_NAMELESS, Route("/{user}", pages.start_page)]
