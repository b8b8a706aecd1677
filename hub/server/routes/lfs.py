"""git-lfs: large files in and out, whole or in parts, and their administration (protocol, sections 3.8, 3.10, 3.14)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from medhub.server import audit, contents, erasure, reads, transfers
from medhub.server.access import Right, demand
from medhub.server.errors import BadRequest, NotFound, TooLarge
from medhub.server.hub import Hub
from medhub.server.routes.dependencies import (
    Administered,
    Caller,
    Readable,
    TheHub,
    Writable,
    Writer,
    known,
    open_repo,
    writer,
)
from medhub.server.routes.downloads import content_pieces, file_response
from medhub.server.routes.pagination import decode, linked
from medhub.server.routes.paths import base_url, repo_url
from medhub.server.routes.pieces import pieces
from medhub.server.routes.shapes import stamp
from medhub.server.storage.blobs import Upload

router = APIRouter()

MEDIA_TYPE = "application/vnd.git-lfs+json"
LARGEST = 4 << 20
"""Bytes of JSON that one request may send; a thousand large files take a tenth of it."""
MOST_OBJECTS = 1000
LFS = "/{kind:prefix}{namespace:segment}/{name:segment}/info/lfs"
ADMIN = "/api/{kind:kind}/{namespace:segment}/{name:segment}/lfs-files"


@router.post(LFS + "/objects/batch", max_body_size=LARGEST)
def batch(request: Request, hub: TheHub, caller: Caller, repo: Readable, body: dict[str, Any]) -> Response:
    """Tell a client how to send or fetch objects; what is wrong about one object stands at that object."""
    asked = _asked(body)
    links = transfers.Links(hub, caller, repo, base_url(request))
    if body.get("operation") == "download":
        return _lfs({"transfer": "basic", "hash_algo": "sha256", "objects": transfers.offer_downloads(links, asked)})
    if body.get("operation") != "upload":
        raise BadRequest(f"the operation is {str(body.get('operation'))[:40]!r}; it can be upload or download")
    right = transfers.right_to_send(_ref(body))
    writer(known(caller))
    with hub.database.read() as session:
        demand(session, caller, repo, right, anonymous=hub.settings.anonymous)
    # one transfer holds for all objects of a batch: the clients' program that sends parts cannot send a whole file
    parts = "multipart" in _list(body, "transfers") and any(one.size > transfers.WHOLE for one in asked)
    # git-lfs sends no credentials of its own to an action that it is told to be authenticated for
    authorization = request.headers.get("authorization")
    verify = {
        "href": f"{repo_url(request, repo.kind, repo.full_name)}.git/info/lfs/verify",
        "header": {"Authorization": authorization} if authorization else {},
    }
    objects = transfers.offer_uploads(links, asked, right=right, parts=parts, verify=verify)
    return _lfs({"transfer": "multipart" if parts else "basic", "hash_algo": "sha256", "objects": objects})


@router.post(LFS + "/verify", max_body_size=LARGEST)
def verify(hub: TheHub, repo: Readable, body: dict[str, Any]) -> Response:
    """Say whether an object has arrived; its bytes were hashed when they did."""
    with hub.database.read() as session:
        content = contents.linked(session, repo.id, str(body.get("oid")))
    if content is None or content.size != body.get("size"):
        asked = f"{str(body.get('oid'))[:80]!r} of {str(body.get('size'))[:20]} bytes"
        raise NotFound(f"{repo.full_name} has no object {asked}; send it")
    return _lfs({})


@router.put("/api/lfs/upload/{signed:segment}")
async def upload_whole(request: Request, hub: TheHub, signed: str) -> Response:
    """Take an object in one piece; the link says which, and who may."""
    grant = hub.signer.verify("lfs-upload", signed)
    upload, found = await _receive(request, hub, grant)
    try:
        if found != grant["oid"]:
            raise BadRequest(f"the bytes have the sha256 {found}, not {grant['oid']}; nothing was stored")
        await run_sync(_keep, request, hub, grant, upload)
    finally:
        upload.discard()
    return Response()


@router.put("/api/lfs/part/{signed:segment}")
async def upload_part(request: Request, hub: TheHub, signed: str) -> Response:
    """Take one part of an object; it waits in the blob store, where any process can put the parts together."""
    grant = hub.signer.verify("lfs-part", signed)
    upload, etag = await _receive(request, hub, grant)
    try:
        await run_sync(upload.commit, transfers.part_key(grant["upload"], grant["part"], etag))
    finally:
        upload.discard()
    return Response(headers={"ETag": f'"{etag}"'})


@router.post("/api/lfs/complete/{signed:segment}", max_body_size=LARGEST)
def complete(request: Request, hub: TheHub, signed: str, body: dict[str, Any]) -> Response:
    """Put the parts of an object together. Asked again after it was done, it says yes again."""
    grant = hub.signer.verify("lfs-complete", signed)
    keys = transfers.listed_parts(grant, body.get("parts"))
    transfers.allowed(hub, grant, address=_address(request))
    if _has(hub, grant):
        return _lfs({})
    upload = hub.blobs.upload()
    try:
        found = transfers.assemble(hub, upload, keys)
        if found == grant["oid"]:
            _keep(request, hub, grant, upload)
    except KeyError as error:
        if _has(hub, grant):  # the same call, sent twice, was done meanwhile
            return _lfs({})
        raise BadRequest("a part has not arrived as listed; send all of them again") from error
    finally:
        upload.discard()
    for key in keys:
        hub.blobs.delete(key)
    if found != grant["oid"]:
        raise BadRequest(f"the parts have the sha256 {found}, not {grant['oid']}; nothing was stored, begin again")
    return _lfs({})


@router.get("/api/lfs/download/{signed:segment}")
def download(request: Request, hub: TheHub, signed: str) -> Response:
    """Return an object, or a range of it."""
    grant = hub.signer.verify("lfs-download", signed)
    principal, repo = transfers.allowed(hub, grant, address=_address(request))
    with hub.database.read() as session:
        content = contents.linked(session, repo.id, grant["oid"])
    if content is None:
        raise NotFound(f"{repo.full_name} has no object {grant['oid']} any more")

    def read(size: int, note: str) -> None:
        reads.record(hub, principal, repo, "lfs.read", path=content.sha256, size=size, note=note)

    headers = {"ETag": f'"{content.sha256}"', "Content-Type": "application/octet-stream"}
    return file_response(request, content.size, headers, content_pieces(hub, content), read)


@router.get(ADMIN)
def list_files(request: Request, hub: TheHub, repo: Writable, cursor: str | None = None) -> JSONResponse:
    """List the large files that a repository has, also those of old commits and those that no commit names."""
    items, rest = erasure.listing(hub, repo, after=str(decode(cursor) or ""))
    return linked(request, [{**item, "pushedAt": stamp(item["pushedAt"])} for item in items], rest)


@router.post(ADMIN + "/batch", max_body_size=LARGEST)
def erase(hub: TheHub, caller: Caller, repo: Administered, body: dict[str, Any]) -> JSONResponse:
    """Erase large files for ever, from history as well where `rewriteHistory` is set."""
    deletions = body.get("deletions")
    if not isinstance(deletions, dict):
        raise BadRequest('this call takes {"deletions": {"sha": [...], "rewriteHistory": true}}')
    shas = [str(sha) for sha in _list(deletions, "sha")]
    if wrong := [sha for sha in shas if not contents.SHA256.fullmatch(sha)]:
        raise BadRequest(f"{wrong[0][:80]!r} is not a sha256: 64 digits 0-9a-f")
    erasure.erase(hub, caller, repo, shas, rewrite=bool(deletions.get("rewriteHistory", True)))
    return JSONResponse({"success": True})


@router.post(ADMIN + "/duplicate", max_body_size=LARGEST)
def duplicate(hub: TheHub, caller: Writer, repo: Readable, body: dict[str, Any]) -> JSONResponse:
    """Give another repository large files of this one; a commit there can then name them."""
    target = body.get("target")
    if not isinstance(target, dict):
        raise BadRequest('this call takes {"target": {"type", "name"}, "files": [{"sha256"}, ...]}')
    shas = [str(file.get("sha256")) if isinstance(file, dict) else "" for file in _list(body, "files")]
    with hub.database.write() as session:
        other = open_repo(session, hub, caller, str(target.get("type")), str(target.get("name")), right=Right.WRITE)
        found = {sha for sha in shas if contents.linked(session, repo.id, sha)}
        contents.link(session, other.id, *found)
        audit.record(
            session, caller, "lfs.duplicate", repo=f"{other.kind} {other.full_name}",
            note=f"{len(found)} files of {repo.kind} {repo.full_name}",
        )  # fmt: skip
    missing = f"{repo.full_name} has no such large file"
    return JSONResponse({"failed": [{"sha256": sha, "error": missing} for sha in shas if sha not in found]})


def _asked(body: dict[str, Any]) -> list[transfers.Asked]:
    if body.get("hash_algo", "sha256") != "sha256":
        raise BadRequest("this Hub names objects by sha256 alone")
    asked = []
    for one in _list(body, "objects"):
        oid, size = (one.get("oid"), one.get("size")) if isinstance(one, dict) else (None, None)
        if not isinstance(oid, str) or not isinstance(size, int):
            raise BadRequest('an object is {"oid": "<sha256>", "size": <bytes>}')
        asked.append(transfers.Asked(oid, size))
    return asked


def _list(body: dict[str, Any], name: str) -> list[Any]:
    found = body.get(name, [])
    if not isinstance(found, list) or len(found) > MOST_OBJECTS:
        raise BadRequest(f"{name} is a list of at most {MOST_OBJECTS}; ask several times for more")
    return found


def _ref(body: dict[str, Any]) -> str | None:
    ref = body.get("ref")
    return str(ref.get("name")) if isinstance(ref, dict) else None


def _lfs(answer: dict[str, Any]) -> Response:
    return JSONResponse(answer, media_type=MEDIA_TYPE)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _receive(request: Request, hub: Hub, grant: Mapping[str, Any]) -> tuple[Upload, str]:
    """Return an upload with the body in it, and its sha256. Raises TooLarge and BadRequest, and as `allowed` does."""
    size = grant["size"]
    await run_sync(partial(transfers.allowed, hub, grant, address=_address(request)))
    upload, digest = await run_sync(hub.blobs.upload), hashlib.sha256()

    def take(piece: bytes) -> None:
        digest.update(piece)
        upload.write(piece)

    try:
        with suppress(ClientDisconnect):  # what is missing shows below
            async for piece in pieces(request):
                if upload.size + len(piece) > size:
                    # without the header the server would read on to the end
                    headers = {"Connection": "close"}
                    raise TooLarge(f"more arrives than the {size} bytes announced; nothing was stored", headers=headers)
                await run_sync(take, piece)
        if upload.size < size:
            raise BadRequest(f"{upload.size} bytes arrived of {size}; nothing was stored, send them again")
    except BaseException:
        upload.discard()
        raise
    return upload, digest.hexdigest()


def _has(hub: Hub, grant: Mapping[str, Any]) -> bool:
    with hub.database.read() as session:
        return contents.linked(session, grant["repo"], grant["oid"]) is not None


def _keep(request: Request, hub: Hub, grant: Mapping[str, Any], upload: Upload) -> None:
    """Store what has arrived, where the token still has the right; it may have been taken away meanwhile."""
    principal, repo = transfers.allowed(hub, grant, address=_address(request))
    contents.store(hub, repo, upload, grant["oid"], grant["size"], principal=principal)
