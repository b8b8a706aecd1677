"""What a repository holds: its properties, trees and files at any revision (protocol, sections 3.3 and 3.5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy import select

from medhub.server import contents, info, reads, screening
from medhub.server.access import Right
from medhub.server.errors import BadRequest, EntryNotFound, RepoNotFound
from medhub.server.hub import Hub
from medhub.server.repositories import RESERVED
from medhub.server.routes.dependencies import Caller, Seen, TheHub, admit
from medhub.server.routes.pagination import decode, linked
from medhub.server.routes.shapes import stamp
from medhub.server.storage.git import Entry
from medhub.server.tables import Content, Repo, RepoContent

router = APIRouter(max_body_size=4 << 20)

REPOSITORY = "/api/{kind:kind}/{namespace:segment}/{name:segment}"
PAGE, PAGE_EXPANDED = 1000, 100
MOST_PATHS = 1000


@router.get(REPOSITORY)
@router.get(REPOSITORY + "/revision/{revision:segment}")
def repo_info(
    request: Request,
    hub: TheHub,
    revision: str | None = None,
    blobs: bool = False,
    expand: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
    securityStatus: bool = False,  # noqa: N803 - the clients' name
) -> JSONResponse:
    """Tell what there is to know about a repository at a revision."""
    caller, repo = admit(request, hub, right=Right.SEE)
    found = info.repo_info(hub, caller, repo, revision, blobs=blobs, expand=expand, security=securityStatus)
    return JSONResponse(found)


@router.get(REPOSITORY + "/tree/{revision:segment}")
@router.get(REPOSITORY + "/tree/{revision:segment}/{path:rest}")
def tree(
    request: Request,
    hub: TheHub,
    revision: str,
    path: str = "",
    recursive: bool = False,
    expand: bool = False,
    limit: Annotated[int | None, Query(ge=1)] = None,
    cursor: str | None = None,
) -> JSONResponse:
    """List a page of a folder, or of all that is below it."""
    caller, repo = admit(request, hub, right=Right.SEE)
    git, path = hub.git.open(repo.id), path.rstrip("/")
    # later pages are of the commit that the first was of, even if the branch has moved
    sha, after = _position(cursor) or (revision, None)
    commit = info.resolve_revision(hub, repo, sha)
    page = min(limit or PAGE, PAGE_EXPANDED if expand else PAGE)
    found = git.tree(commit, path, recursive=recursive, after=after, limit=page + 1)
    if found is None:
        raise EntryNotFound(f"{path!a} does not exist on {revision!a}, or is not a folder", commit=commit)
    reads.record(hub, caller, repo, "tree.read", commit=commit, path=path)
    entries = found[:page]
    following = [commit, entries[-1].path] if len(found) > page else None
    return linked(request, show_entries(hub, repo, commit, entries, expand=expand), following)


async def _asked_paths(request: Request) -> tuple[list[str], bool]:
    """Return the paths that the body names, as a form or as JSON, and whether it asks for more than the basics."""
    body = await request.body()
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            asked = json.loads(body)
            paths, expand = asked["paths"], asked.get("expand", False)
        else:
            form = parse_qs(body.decode(), keep_blank_values=True)
            paths, expand = form.get("paths", []), form.get("expand", ["false"])[0].lower() == "true"
    except (ValueError, RecursionError, TypeError, LookupError, AttributeError) as error:
        raise BadRequest("the body is neither a form nor JSON with `paths`") from error
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths) or len(paths) > MOST_PATHS:
        raise BadRequest(f"`paths` has to be a list of at most {MOST_PATHS} paths")
    return paths, bool(expand)


@router.post(REPOSITORY + "/paths-info/{revision:segment}")
def paths_info(
    hub: TheHub,
    caller: Caller,
    repo: Seen,
    revision: str,
    asked: Annotated[tuple[list[str], bool], Depends(_asked_paths)],
) -> JSONResponse:
    """Tell about the named files and folders; those that are not there are left out."""
    paths, expand = asked
    git = hub.git.open(repo.id)
    commit = info.resolve_revision(hub, repo, revision)
    entries = [entry for path in dict.fromkeys(paths) if (entry := git.entry(commit, path))]
    reads.record(hub, caller, repo, "tree.read", commit=commit, path=paths[0] if len(paths) == 1 else "")
    return JSONResponse(show_entries(hub, repo, commit, entries, expand=expand))


def single_segment(caller: Caller, name: str) -> None:
    """Refuse an id without a namespace: clients try such names, and take no other answer for "it is not there"."""
    raise RepoNotFound(name, stranger=caller.stranger)


for _path in ("", *(f"/{word}/{{rest:rest}}" for word in sorted(RESERVED))):
    _methods = ["GET", "POST", "PUT", "DELETE"]
    router.add_api_route("/api/{kind:kind}/{name:segment}" + _path, single_segment, methods=_methods)


def show_entries(hub: Hub, repo: Repo, commit: str, entries: Sequence[Entry], *, expand: bool) -> list[dict[str, Any]]:
    """Return entries of a tree as the API shows them; with `expand`, also their last commit and what scans found."""
    git = hub.git.open(repo.id)
    hashes = _xet_hashes(hub, repo, [entry.lfs.sha256 for entry in entries if entry.lfs])
    last = git.last_commits(commit, [entry.path for entry in entries]) if expand else {}
    shown = []
    for entry in entries:
        item: dict[str, Any] = {"type": entry.kind, "oid": entry.oid, "size": entry.size, "path": entry.path}
        if entry.lfs:
            item["lfs"] = {"oid": entry.lfs.sha256, "size": entry.lfs.size, "pointerSize": entry.lfs.pointer_size}
            if entry.lfs.sha256 in hashes:
                item["xetHash"] = hashes[entry.lfs.sha256]
        if found := last.get(entry.path):
            item["lastCommit"] = {"id": found.sha, "title": found.title, "date": stamp(found.time)}
        if expand and entry.kind == "file":
            status = screening.status(entry.path, _sample(hub, repo, entry))
            item["securityFileStatus"] = {"status": status, "avScan": None, "pickleImportScan": None}
        shown.append(item)
    return shown


def _sample(hub: Hub, repo: Repo, entry: Entry) -> bytes:
    """Return what screening looks at of a file."""
    try:
        return screening.sample(entry.size, partial(contents.read_entry, hub, repo, entry))
    except KeyError:
        return b""


def _xet_hashes(hub: Hub, repo: Repo, sha256s: Sequence[str]) -> dict[str, str]:
    """Return the Xet hash of each of these contents that the repository has in Xet's form."""
    if not sha256s:
        return {}
    linked = select(Content.sha256, Content.file_hash).join(RepoContent, RepoContent.sha256 == Content.sha256)
    held = linked.where(RepoContent.repo_id == repo.id, Content.sha256.in_(sha256s))
    with hub.database.read() as session:
        return {sha256: file_hash for sha256, file_hash in session.execute(held) if file_hash}


def _position(cursor: str | None) -> tuple[str, str] | None:
    """Return the commit and the last path that a cursor names. Raises BadRequest."""
    match decode(cursor):
        case None:
            return None
        case [str() as commit, str() as path]:
            return commit, path
    raise BadRequest("the cursor does not belong to this list; start again without it")
