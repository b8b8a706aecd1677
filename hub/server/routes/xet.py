"""Xet: the chunk-addressed transport of large files (protocol, sections 3.9 and 3.11).

A short token, got with an ordinary one, opens the address that the client is told. At each call its owner's right on
the repository is looked up again, and so it is for links to xorbs, which clients fetch without a token.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from sqlalchemy import select
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import ClientDisconnect

from medhub.server import commits, erasure, reads, transfers
from medhub.server.access import Principal
from medhub.server.errors import Forbidden, NotFound, Refusal, Unauthenticated
from medhub.server.hub import Hub
from medhub.server.routes.dependencies import Caller, Readable, TheHub, Writer
from medhub.server.routes.downloads import asked_range
from medhub.server.routes.paths import base_url
from medhub.server.routes.pieces import pieces
from medhub.server.storage.blobs import Upload
from medhub.server.tables import Content, ContentXorb, Repo, RepoContent
from medhub.server.xet import hashes, registration, shard, store

router = APIRouter()

REPO = "/api/{kind:kind}/{namespace:segment}/{name:segment}"
CAS = "/xet/{cache:segment}"
LIFETIME = 3600
"""Seconds that tokens and links are good for; clients ask for new ones."""
LARGEST_XORB = 72 << 20
"""Bytes; clients have been seen to send 67,109,956."""


@router.get(REPO + "/xet-write-token/{revision:segment}")
def write_token(
    request: Request, hub: TheHub, caller: Writer, repo: Readable, revision: str, create_pr: bool = False
) -> JSONResponse:
    """Return a token to send large files with, for whoever may commit to the revision."""
    revision = "main" if revision == "None" else revision  # what clients send for none
    commits.writable_ref(hub, caller, repo, revision, create_pr=create_pr)
    return _token(request, hub, caller, repo, "xet-write", {"revision": revision, "create_pr": create_pr})


@router.get(REPO + "/xet-read-token/{revision:segment}")
def read_token(request: Request, hub: TheHub, caller: Caller, repo: Readable, revision: str) -> JSONResponse:
    """Return a token to read the repository's large files with."""
    return _token(request, hub, caller, repo, "xet-read", {})


@router.get(CAS + "/v1/chunks/{prefix:segment}/{name:segment}")
def find_chunk() -> Response:
    """Say that nothing is known of a chunk: whether anybody has it, nobody else is to learn."""
    raise NotFound("no such chunk")


@router.post(CAS + "/v1/xorb-grants/{prefix:segment}/{name:segment}")
def grant_xorb() -> Response:
    """Say that xorbs are sent to this address."""
    raise NotFound("no such call")


@router.post(CAS + "/v1/xorbs/{prefix:segment}/{name:segment}", max_body_size=LARGEST_XORB)
async def send_xorb(request: Request, hub: TheHub, name: str) -> dict[str, bool]:
    """Take a xorb."""
    hashes.from_string(name)
    principal, _ = await run_sync(_sender, request, hub)
    upload = await _receive(request, hub)
    try:
        return {"was_inserted": await run_sync(registration.register_xorb, hub, principal, name, upload)}
    finally:
        upload.discard()


@router.post(CAS + "/v2/shards", max_body_size=shard.MAX_BYTES)
async def send_shard(request: Request, hub: TheHub) -> Response:
    """Register files, and report progress in lines of JSON: to verify a terabyte takes longer than proxies wait."""
    principal, repo = await run_sync(_sender, request, hub)
    steps = registration.register_shard(hub, principal, repo, await request.body())
    return StreamingResponse(_events(steps), headers={"X-Accel-Buffering": "no"}, media_type="application/x-ndjson")


@router.post(CAS + "/v1/shards", max_body_size=shard.MAX_BYTES)
async def send_shard_silently(request: Request, hub: TheHub) -> dict[str, int]:
    """Register files."""
    principal, repo = await run_sync(_sender, request, hub)
    async for _ in iterate_in_threadpool(registration.register_shard(hub, principal, repo, await request.body())):
        pass
    return {"result": 1}


@router.get(CAS + "/v1/reconstructions/{name:segment}")
def reconstruct_v1(request: Request, hub: TheHub, name: str) -> dict[str, Any]:
    """Tell how to put a file, or a range of it, together, in the form of older clients."""
    found, link = _reconstruct(request, hub, name)
    fetches = {
        xorb: [
            {"range": _span(first, end), "url": link(xorb, begin, stop), "url_range": _span(begin, stop - 1)}
            for first, end, begin, stop in fetches
        ]
        for xorb, fetches in found.fetches.items()
    }
    return _terms(found) | {"fetch_info": fetches}


@router.get(CAS + "/v2/reconstructions/{name:segment}")
def reconstruct_v2(request: Request, hub: TheHub, name: str) -> dict[str, Any]:
    """Tell how to put a file, or a range of it, together."""
    found, link = _reconstruct(request, hub, name)
    fetches = {
        xorb: [
            {"url": link(xorb, begin, stop), "ranges": [{"chunks": _span(first, end), "bytes": _span(begin, stop - 1)}]}
            for first, end, begin, stop in fetches
        ]
        for xorb, fetches in found.fetches.items()
    }
    return _terms(found) | {"xorbs": fetches}


@router.get("/xet/data/{signed:segment}")
def read_xorb(request: Request, hub: TheHub, signed: str) -> Response:
    """Return bytes of a xorb, within the range that the link names."""
    grant = hub.signer.verify("xet-data", signed)
    _, repo = transfers.allowed(hub, grant, address=_address(request))
    needed = select(RepoContent.sha256).join(ContentXorb, ContentXorb.sha256 == RepoContent.sha256)
    with hub.database.read() as session:
        here = session.execute(needed.where(RepoContent.repo_id == repo.id, ContentXorb.hash == grant["xorb"]).limit(1))
        size = hub.blobs.size(store.xorb_key(grant["xorb"])) if here.first() else None
    if size is None:
        raise NotFound(f"{repo.full_name} has no xorb {grant['xorb']} any more")
    start, stop = asked_range(request, size, etag="") or (grant["start"], grant["stop"])
    if not grant["start"] <= start < stop <= grant["stop"]:
        raise Forbidden(f"the link is for the bytes {grant['start']} to {grant['stop'] - 1}; ask for a new one")
    headers = {"Content-Length": str(stop - start), "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    data = hub.blobs.read(store.xorb_key(grant["xorb"]), start, stop)
    return StreamingResponse(data, 206, headers, media_type="application/octet-stream")


def _token(
    request: Request, hub: Hub, caller: Principal, repo: Repo, purpose: str, target: dict[str, Any]
) -> JSONResponse:
    """Return a token and where it opens, twice: some clients read the headers, some the body."""
    with hub.database.read() as session:
        epoch = erasure.epoch(session)
    # a client remembers what it sent by this address: what one person sent must not lead another astray
    address = f"{base_url(request)}/xet/e{epoch}-{caller.id or 'anonymous'}"
    statement = {"repo": repo.id, "token": caller.token_id, **target}
    token, until = hub.signer.sign(purpose, statement, seconds=LIFETIME), int(time.time()) + LIFETIME
    headers = {"X-Xet-Cas-Url": address, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(until)}
    return JSONResponse({"casUrl": address, "accessToken": token, "exp": until}, headers=headers)


def _grant(request: Request, hub: Hub, purpose: str) -> dict[str, Any]:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        return hub.signer.verify(purpose, token)
    except Forbidden as error:
        raise Unauthenticated("the Xet token is not for this call, or too old; ask for a new one") from error


def _sender(request: Request, hub: Hub) -> tuple[Principal, Repo]:
    """Return who sends, and for which repository, where the right to commit there still stands."""
    grant = _grant(request, hub, "xet-write")
    principal, repo = transfers.allowed(hub, grant, address=_address(request))
    commits.writable_ref(hub, principal, repo, grant["revision"], create_pr=grant["create_pr"])
    return principal, repo


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _receive(request: Request, hub: Hub) -> Upload:
    upload = await run_sync(hub.blobs.upload)
    try:
        with suppress(ClientDisconnect):  # what is missing shows in the hash
            async for piece in pieces(request):
                await run_sync(upload.write, piece)
    except BaseException:
        upload.discard()
        raise
    return upload


def _events(steps: Iterable[tuple[int, int]]) -> Iterator[str]:
    try:
        for verified, total in steps:
            yield _line(type="validating", verified=verified, total=total)
        yield _line(type="result")
    except Refusal as refusal:
        yield _line(type="error", message=str(refusal), retryable=refusal.status >= 500)


def _line(**event: Any) -> str:
    return json.dumps(event) + "\n"


def _reconstruct(request: Request, hub: Hub, name: str) -> tuple[store.Reconstruction, Callable[[str, int, int], str]]:
    """Return how to put together what is asked for, and what makes a link to bytes of a xorb."""
    grant = _grant(request, hub, "xet-read")
    principal, repo = transfers.allowed(hub, grant, address=_address(request))
    here = select(Content).join(RepoContent, RepoContent.sha256 == Content.sha256).where(RepoContent.repo_id == repo.id)
    with hub.database.read() as session:
        content = session.execute(here.where(Content.file_hash == name).limit(1)).scalar()
    if content is None:
        raise NotFound(f"{repo.full_name} has no file {name[:64]}")
    start, stop = asked_range(request, content.size, etag="") or (0, content.size)
    try:
        found = store.reconstruct(hub, content, start, stop)
    except KeyError as error:
        raise NotFound("the Hub has lost bytes of this file; its operator can look with `medhub hub fsck`") from error
    # the action of a plain download: whoever fetches a snapshot by both ways is counted once
    note = f"xet, bytes {start}-{stop - 1}/{content.size}"
    reads.record(hub, principal, repo, "file.read", path=content.sha256, size=stop - start, note=note, counts=True)
    return found, partial(_link, request, hub, grant)


def _link(request: Request, hub: Hub, grant: dict[str, Any], xorb: str, start: int, stop: int) -> str:
    bound = {"repo": grant["repo"], "token": grant["token"], "xorb": xorb, "start": start, "stop": stop}
    return f"{base_url(request)}/xet/data/{hub.signer.sign('xet-data', bound, seconds=LIFETIME)}"


def _terms(found: store.Reconstruction) -> dict[str, Any]:
    terms = [
        {"hash": xorb, "unpacked_length": length, "range": _span(first, end)}
        for xorb, first, end, length in found.terms
    ]
    return {"offset_into_first_range": found.offset, "terms": terms}


def _span(start: int, end: int) -> dict[str, int]:
    return {"start": start, "end": end}
