"""Which address goes to which handler."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.local import cloning, collecting, listing, moving, pages, reading, spaces, transfer, writing
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
    Route("/", pages.start),
    Route("/style.css", pages.style),
    Route("/sign-in", pages.sign_in),
    Route("/favicon.ico", pages.icon),
    Route("/collections/{ns}/{slug}", pages.collection),
    Route("/api/whoami-v2", reading.whoami),
    Route("/api/validate-yaml", writing.validate_yaml, methods=["POST"]),
    Route("/api/repos/create", writing.create, methods=["POST"]),
    Route("/api/repos/delete", writing.delete, methods=["DELETE"]),
    Route("/api/collections", collecting.create, methods=["POST"]),
    Route("/api/collections", collecting.listing),
    Route(COLLECTION, collecting.get, methods=["GET"]),
    Route(COLLECTION, collecting.change, methods=["PATCH"]),
    Route(COLLECTION, collecting.remove, methods=["DELETE"]),
    Route(COLLECTION + "/items", collecting.add_item, methods=["POST"]),
    Route(COLLECTION + "/items/{item}", collecting.change_item, methods=["PATCH"]),
    Route(COLLECTION + "/items/{item}", collecting.remove_item, methods=["DELETE"]),
    Route("/api/repos/move", moving.move, methods=["POST"]),
    *(Route(f"/api/{kind}/{{user}}/overview", listing.overview) for kind in ("users", "organizations")),
    Route("/api/settings/repositories", listing.storage),
    Route("/api/organizations/{user}/settings/repositories", listing.storage),
    Route("/api/spaces/hardware", spaces.hardware),
    Route("/large/verify", transfer.verify, methods=["POST"]),
    Route("/large/{oid}", transfer.put, methods=["PUT"]),
    Route("/large/{oid}", transfer.get, methods=["GET"]),
]
_REPOSITORIES = [
    Route("/api/{types}", listing.listing),
    Route(REPO, reading.info),
    Route(REPO + "/revision/{rev}", reading.info),
    Route(REPO + "/tree/{rev}", reading.tree),
    Route(REPO + "/tree/{rev}/{path:path}", reading.tree),
    Route(REPO + "/paths-info/{rev}", reading.paths_info, methods=["POST"]),
    Route(REPO + "/commits/{rev}", reading.commits),
    Route(REPO + "/refs", reading.refs),
    Route(REPO + "/auth-check", moving.auth_check),
    Route(REPO + "/auth-check/write", moving.auth_check),
    Route(REPO + "/lfs-files", moving.large_files),
    Route(REPO + "/duplicate", moving.duplicate, methods=["POST"]),
    Route(REPO + "/super-squash/{branch}", moving.squash, methods=["POST"]),
    Route(REPO + "/settings", writing.settings, methods=["PUT"]),
    Route(REPO + "/preupload/{rev}", writing.preupload, methods=["POST"]),
    Route(REPO + "/commit/{rev}", writing.commit, methods=["POST"]),
    Route(REPO + "/branch/{rev}", writing.add_branch, methods=["POST"]),
    Route(REPO + "/branch/{rev}", writing.remove_branch, methods=["DELETE"]),
    Route(REPO + "/tag/{rev}", writing.add_tag, methods=["POST"]),
    Route(REPO + "/tag/{rev}", writing.remove_tag, methods=["DELETE"]),
]
_SPACES = [
    Route(REPO + "/runtime", spaces.runtime),
    Route(REPO + "/logs/{kind}", spaces.logs),
    Route(REPO + "/variables", spaces.variables, methods=["GET"]),
    Route(REPO + "/secrets", spaces.secrets, methods=["GET"]),
    Route(REPO + "/volumes", spaces.order, methods=["PUT", "DELETE"]),
    *(Route(f"{REPO}/{kind}", spaces.put, methods=["POST"]) for kind in ("secrets", "variables")),
    *(Route(f"{REPO}/{kind}", spaces.remove, methods=["DELETE"]) for kind in ("secrets", "variables")),
    *(
        Route(f"{REPO}/{verb}", spaces.order, methods=["POST"])
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
                Route(prefix + "/{ns}/{name}" + ending + "/info/refs", cloning.advertise),
                Route(prefix + "/{ns}/{name}" + ending + "/git-upload-pack", cloning.upload_pack, methods=["POST"]),
                Route(prefix + "/{ns}/{name}" + ending + "/info/lfs/objects/batch", transfer.batch, methods=["POST"]),
            )
        ),
        Route(prefix + "/{ns}/{name}/raw/{rev}/{path:path}", reading.raw),
        Route(prefix + "/{ns}/{name}/resolve/{rev}/{path:path}", reading.resolve),
        Route(prefix + "/{ns}/{name}", pages.repository),
        Route(prefix + "/{ns}/{name}/tree/{rev}", pages.tree),
        Route(prefix + "/{ns}/{name}/tree/{rev}/{path:path}", pages.tree),
        Route(prefix + "/{ns}/{name}/blob/{rev}/{path:path}", pages.blob),
        Route(prefix + "/{ns}/{name}/commits/{rev}", pages.history),
        Route(prefix + "/{ns}/{name}/commit/{rev}", pages.commit),
    )
]
_NAMELESS = [
    Route(path, _nameless)
    for path in ("/api/{types}/{name}", "/api/{types}/{name}/revision/{rev}", "/{name}/resolve/{rev}/{path:path}")
]
ROUTES = [*_GENERAL, *_REPOSITORIES, *_SPACES, *_FILES, *_NAMELESS, Route("/{user}", pages.start)]
