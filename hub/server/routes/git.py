"""git over HTTP: clone, fetch and push (protocol, section 3.16)."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response, StreamingResponse

from medhub.server import pushes, reads
from medhub.server.access import Right
from medhub.server.errors import BadRequest, TooLarge
from medhub.server.hub import Hub
from medhub.server.routes.dependencies import Caller, Readable, TheHub, Writable, requested_repo
from medhub.server.routes.pieces import PIECE, pieces
from medhub.server.storage.blobs import Upload
from medhub.server.tables import Repo

router = APIRouter()

REPO = "/{kind:prefix}{namespace:segment}/{name:segment}"
LARGEST_FETCH = 64 << 20
"""Bytes of a fetch's request: the commits that a client has and wants."""
LARGEST_PUSH = 2 << 30
"""Bytes of a push without its large files, which travel through git-lfs."""
FRESH = {"Cache-Control": "no-cache"}

Protocol = Annotated[str | None, Header(alias="git-protocol")]


@router.get(REPO + "/info/refs")
def advertise(
    request: Request, hub: TheHub, caller: Caller, service: str = "", git_protocol: Protocol = None
) -> Response:
    """Say which refs there are; every fetch and push begins so. A push needs the right to write here already."""
    right = Right.WRITE if service == "git-receive-pack" else Right.READ
    repo = requested_repo(request, hub, caller, right=right)
    body = hub.git.open(repo.id).advertise(service, protocol=git_protocol)
    return Response(body, media_type=f"application/x-{service}-advertisement", headers=FRESH)


async def _spooled(request: Request, hub: TheHub) -> AsyncIterator[Upload]:
    """The request's body in a temporary file, unpacked where it came packed."""
    limit = LARGEST_PUSH if request.url.path.endswith("receive-pack") else LARGEST_FETCH
    packed = request.headers.get("content-encoding", "").lower()
    if packed not in ("", "identity", "gzip"):
        raise BadRequest(f"git sends bodies plain or as gzip, not as {packed[:20]!a}")
    upload = hub.blobs.upload()
    try:
        unpack = zlib.decompressobj(wbits=31) if packed == "gzip" else None
        async for data in pieces(request):
            await run_sync(_write, upload, data, unpack, limit)
        yield upload
    finally:
        upload.discard()


Spooled = Annotated[Upload, Depends(_spooled)]


@router.post(REPO + "/git-upload-pack")
def fetch(hub: TheHub, caller: Caller, repo: Readable, body: Spooled, git_protocol: Protocol = None) -> Response:
    """Send what a clone or fetch asks for."""
    reads.record(hub, caller, repo, "git.fetch", counts=True)
    answer = _fetched(hub, repo, body, git_protocol)
    return StreamingResponse(answer, media_type="application/x-git-upload-pack-result", headers=FRESH)


def _fetched(hub: Hub, repo: Repo, body: Upload, protocol: str | None) -> Iterator[bytes]:
    with body.path().open("rb") as file:
        yield from hub.git.open(repo.id).upload_pack(file, protocol=protocol)


@router.post(REPO + "/git-receive-pack")
def push(hub: TheHub, caller: Caller, repo: Writable, body: Spooled, git_protocol: Protocol = None) -> Response:
    """Take a push, or say to its user why not."""
    with body.path().open("rb") as file:
        answer = pushes.receive(hub, caller, repo, file, protocol=git_protocol)
    return Response(answer, media_type="application/x-git-receive-pack-result", headers=FRESH)


def _write(upload: Upload, data: bytes, unpack: zlib._Decompress | None, limit: int) -> None:
    """Append a piece of the body; a gzip bomb is unpacked in pieces, and no further than the limit."""
    try:
        while data:
            plain = unpack.decompress(data, PIECE) if unpack else data
            upload.write(plain)
            data = unpack.unconsumed_tail if unpack else b""
            if upload.size > limit:
                raise TooLarge(f"the request is larger than {limit >> 20} MiB; large files belong into git-lfs")
    except zlib.error as error:
        raise BadRequest(f"the body is not gzip: {error}") from error
