"""Branches, tags and history (protocol, section 3.5)."""

from __future__ import annotations

from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from medhub.server import index, info, repositories
from medhub.server.access import Principal
from medhub.server.errors import BadRequest
from medhub.server.hub import Hub
from medhub.server.routes.dependencies import Caller, Seen, TheHub, Writable
from medhub.server.routes.pagination import decode, linked
from medhub.server.routes.shapes import stamp
from medhub.server.storage.git import Author, Commit

router = APIRouter(max_body_size=1 << 20)

REPOSITORY = "/api/{kind:kind}/{namespace:segment}/{name:segment}"
PAGE = 50


class NewBranch(BaseModel):
    """Where a branch begins: a revision, the head of main unless given."""

    startingPoint: str | None = None  # noqa: N815 - the clients' name


class NewTag(BaseModel):
    """A tag's name, and its message where it is an annotated one."""

    tag: str
    message: str | None = Field(default=None, max_length=65536)


class Squash(BaseModel):
    """The message of the one commit that stays."""

    message: str = Field(default="Super-squash", max_length=65536)


@router.get(REPOSITORY + "/refs")
def list_refs(hub: TheHub, repo: Seen, include_prs: bool = False) -> dict[str, Any]:
    """List branches, converts and tags, and pull requests where they are asked for."""
    git = hub.git.open(repo.id)
    found = {
        "branches": _refs("refs/heads/", git.branches()),
        "converts": _refs("refs/convert/", git.converts()),
        "tags": _refs("refs/tags/", git.tags()),
    }
    return found | ({"pullRequests": _refs("refs/pr/", git.pulls())} if include_prs else {})


@router.get(REPOSITORY + "/commits/{revision:segment}")
def list_commits(
    request: Request,
    hub: TheHub,
    repo: Seen,
    revision: str,
    expand: Annotated[list[str], Query(alias="expand[]")] = [],  # noqa: B006 - FastAPI copies it
    cursor: str | None = None,
) -> JSONResponse:
    """List a page of the commits that a revision stands on, the newest first."""
    start, skip = _position(cursor) or (revision, 0)
    sha = info.resolve_revision(hub, repo, start)
    found = hub.git.open(repo.id).log(sha, skip=skip, limit=PAGE + 1)
    items = [_commit(commit, formatted="formatted" in expand) for commit in found[:PAGE]]
    return linked(request, items, [sha, skip + PAGE] if len(found) > PAGE else None)


@router.post(REPOSITORY + "/branch/{branch:segment}")
def create_branch(
    hub: TheHub, caller: Caller, repo: Writable, branch: str, asked: NewBranch | None = None
) -> dict[str, Any]:
    """Make a branch."""
    start = info.resolve_revision(hub, repo, asked.startingPoint if asked else None)
    with index.changing(hub, caller, repo, "branch.create") as change:
        hub.git.open(repo.id).create_branch(branch, start)
        change.commit, change.path = start, branch
    return {}


@router.delete(REPOSITORY + "/branch/{branch:segment}")
def delete_branch(hub: TheHub, caller: Caller, repo: Writable, branch: str) -> dict[str, Any]:
    """Delete a branch other than main."""
    with index.changing(hub, caller, repo, "branch.delete") as change:
        git = hub.git.open(repo.id)
        change.commit, change.path = git.head(f"refs/heads/{branch}") or "", branch
        git.delete_branch(branch)
    return {}


@router.post(REPOSITORY + "/tag/{revision:segment}")
def create_tag(hub: TheHub, caller: Caller, repo: Writable, revision: str, asked: NewTag) -> dict[str, Any]:
    """Put a tag on a revision."""
    sha = info.resolve_revision(hub, repo, revision)
    with index.changing(hub, caller, repo, "tag.create") as change:
        hub.git.open(repo.id).create_tag(asked.tag, sha, asked.message, _author(hub, caller))
        change.commit, change.path = sha, asked.tag
    return {}


@router.delete(REPOSITORY + "/tag/{tag:segment}")
def delete_tag(hub: TheHub, caller: Caller, repo: Writable, tag: str) -> dict[str, Any]:
    """Delete a tag."""
    with index.changing(hub, caller, repo, "tag.delete") as change:
        git = hub.git.open(repo.id)
        change.commit, change.path = git.head(f"refs/tags/{tag}") or "", tag
        git.delete_tag(tag)
    return {}


@router.post(REPOSITORY + "/super-squash/{branch:segment}")
def super_squash(hub: TheHub, caller: Caller, repo: Writable, branch: str, asked: Squash) -> dict[str, Any]:
    """Make one commit without parents of all of a branch's history; what it holds stays the same."""
    git, ref = hub.git.open(repo.id), f"refs/heads/{branch}"
    with index.changing(hub, caller, repo, "branch.squash", note=f"from {git.head(ref)}") as change:
        change.commit = git.squash(ref, author=_author(hub, caller), message=asked.message)
        change.path = branch
    return {}


def _refs(namespace: str, found: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "ref": namespace + name, "targetCommit": sha} for name, sha in found.items()]


def _commit(commit: Commit, *, formatted: bool) -> dict[str, Any]:
    title, _, message = commit.message.strip().partition("\n")
    shown: dict[str, Any] = {
        "id": commit.sha,
        "title": title,
        "message": message.strip(),
        "authors": [{"user": commit.author, "avatar": ""}],
        "date": stamp(commit.time),
    }
    if formatted:
        shown["formatted"] = {"title": escape(title), "message": escape(shown["message"])}
    return shown


def _author(hub: Hub, caller: Principal) -> Author:
    with hub.database.read() as session:
        return repositories.author_of(session, caller)


def _position(cursor: str | None) -> tuple[str, int] | None:
    """Return the commit where the list began and how many a cursor skips. Raises BadRequest."""
    match decode(cursor):
        case None:
            return None
        case [str() as sha, int() as skip] if 0 <= skip < 2**31:
            return sha, skip
    raise BadRequest("the cursor does not belong to this list; start again without it")
