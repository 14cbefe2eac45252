"""Git smart HTTP, the read side (upload-pack), for `git clone` and `git fetch`; large files come by git-lfs.

dulwich speaks git's smart protocol (gitprotocol-http(5)); this puts it behind the same rights as everything else.
Pushing is not offered: a commit goes through the API, which checks what it holds.
"""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any

from dulwich.errors import GitProtocolError
from dulwich.protocol import ReceivableProtocol
from dulwich.server import DictBackend, UploadPackHandler
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hub.local.errors import HubError
from hub.local.request import open_repo, read_limited

SERVICE = "git-upload-pack"
MAX_BYTES_IN_MEMORY = 4 * 1024 * 1024  # bytes of a pack before it goes to disk
MAX_REQUEST_BYTES = 16 * 1024 * 1024  # bytes that a client may use to say what it wants and has
CHUNK_BYTES = 1024 * 1024


def advertise(request: Request) -> Response:
    """The refs of a repository: the first thing that git asks for."""
    service = request.query_params.get("service")
    if service == "git-receive-pack":
        raise HubError(403, "NotSupported", "no git push here; commit with huggingface_hub or `hf upload`")
    if service != SERVICE:
        raise HubError(403, "NotSupported", "the local Hub speaks git's smart protocol only")
    return _serve(request, b"", advertise=True)


async def upload_pack(request: Request) -> Response:
    """The objects that a client wants and has not."""
    body = await read_limited(request, MAX_REQUEST_BYTES)
    if request.headers.get("content-encoding") == "gzip":
        try:
            body = gzip.GzipFile(fileobj=BytesIO(body)).read(MAX_REQUEST_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise HubError(400, "BadRequest", f"the request is not gzip: {error}") from error
    return await run_in_threadpool(_serve, request, body, False)


def _serve(request: Request, body: bytes, advertise: bool) -> Response:
    kind = "advertisement" if advertise else "result"
    answer: IO[bytes] = tempfile.SpooledTemporaryFile(MAX_BYTES_IN_MEMORY)  # noqa: SIM115 (closed when it is sent)
    with open_repo(request) as repo:
        protocol = ReceivableProtocol(BytesIO(body).read, answer.write)
        repositories: Any = {"/": repo.git}
        backend = DictBackend(repositories)
        handler = UploadPackHandler(backend, ["/"], protocol, stateless_rpc=True, advertise_refs=advertise)
        if advertise:
            protocol.write_pkt_line(f"# service={SERVICE}\n".encode())
            protocol.write_pkt_line(None)
        try:
            handler.handle()
        except (GitProtocolError, AssertionError, ValueError, KeyError) as error:
            answer.close()
            raise HubError(400, "BadRequest", f"the request is not git's: {error!r}") from error
    answer.seek(0)
    headers = {"Cache-Control": "no-cache"}
    return StreamingResponse(_chunks(answer), headers=headers, media_type=f"application/x-{SERVICE}-{kind}")


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from iter(lambda: file.read(CHUNK_BYTES), b"")
