"""Which address goes to which handler."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.local import collecting, pages, reading, spaces, writing
from hub.local.errors import HubError

REPO = "/api/{types}/{ns}/{name}"
COLLECTION = "/api/collections/{ns}/{slug}"


def _nameless(request: Request) -> Response:
    """Ids without a namespace (`gpt2`) are of the real Hub alone."""
    raise HubError(404, "RepoNotFound", f"Repository not found: {request.path_params['name']}")


_GENERAL = [
    Route("/", pages.start),
    Route("/api/whoami-v2", reading.whoami),
    Route("/api/validate-yaml", writing.validate_yaml, methods=["POST"]),
    Route("/api/repos/create", writing.create, methods=["POST"]),
    Route("/api/repos/delete", writing.delete, methods=["DELETE"]),
    Route("/api/collections", collecting.create, methods=["POST"]),
    Route(COLLECTION, collecting.get),
    Route(COLLECTION + "/items", collecting.add_item, methods=["POST"]),
    Route("/large/verify", writing.verify_large, methods=["POST"]),
    Route("/large/{oid}", writing.put_large, methods=["PUT"]),
]
_REPOSITORIES = [
    Route("/api/{types}", reading.listing),
    Route(REPO, reading.info),
    Route(REPO + "/revision/{rev}", reading.info),
    Route(REPO + "/tree/{rev}", reading.tree),
    Route(REPO + "/tree/{rev}/{path:path}", reading.tree),
    Route(REPO + "/paths-info/{rev}", reading.paths_info, methods=["POST"]),
    Route(REPO + "/commits/{rev}", reading.commits),
    Route(REPO + "/refs", reading.refs),
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
        Route(prefix + "/{ns}/{name}.git/info/lfs/objects/batch", writing.lfs_batch, methods=["POST"]),
        Route(prefix + "/{ns}/{name}/resolve/{rev}/{path:path}", reading.resolve),
        Route(prefix + "/{ns}/{name}", pages.repository),
    )
]
_NAMELESS = [
    Route(path, _nameless)
    for path in ("/api/{types}/{name}", "/api/{types}/{name}/revision/{rev}", "/{name}/resolve/{rev}/{path:path}")
]
ROUTES = [*_GENERAL, *_REPOSITORIES, *_SPACES, *_FILES, *_NAMELESS]
