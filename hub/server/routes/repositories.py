"""The life of a repository (protocol, section 3.2), and the running of spaces that this Hub does not do (3.13)."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select

from medhub.server import info, listing, repositories
from medhub.server.access import Principal, Right, visible
from medhub.server.accounts import get_account
from medhub.server.errors import BadRequest, Forbidden, Refusal, RepoNotFound
from medhub.server.hub import Hub
from medhub.server.routes.dependencies import (
    Administered,
    Caller,
    Known,
    Readable,
    Seen,
    TheHub,
    Writable,
    Writer,
    open_repo,
)
from medhub.server.routes.pagination import decode, linked
from medhub.server.routes.paths import repo_url
from medhub.server.routes.shapes import stamp
from medhub.server.tables import Account, Repo

router = APIRouter(max_body_size=1 << 20)

REPOSITORY = "/api/{kind:kind}/{namespace:segment}/{name:segment}"
PAGE = 100
NOT_OFFERED = frozenset(
    ("template", "hardware", "sleepTimeSeconds", "secrets", "variables", "volumes", "resourceGroupId", "region")
)
"""What may be asked for with a new repository, and would be lost here without a word."""


class NotOffered(Refusal):
    """Something that this Hub does not do."""

    status = 501


class New(BaseModel):
    """What a new repository shall be. Older clients send `private`, and a name with its namespace."""

    model_config = ConfigDict(extra="allow")
    name: str
    organization: str | None = None
    type: str | None = None
    visibility: str | None = None
    private: bool | None = None
    sdk: str | None = None


class Named(BaseModel):
    """A repository, by its name."""

    name: str
    organization: str | None = None
    type: str | None = None


class Move(BaseModel):
    """The present and the new full name of a repository."""

    fromRepo: str  # noqa: N815 - the clients' names
    toRepo: str  # noqa: N815
    type: str = "model"


class Settings(BaseModel):
    """What shall change; what is not there stays."""

    visibility: str | None = None
    private: bool | None = None
    gated: Literal["auto", "manual", False] | None = None


class Copy(BaseModel):
    """The full name of a copy, and who shall see it."""

    model_config = ConfigDict(extra="allow")
    repository: str
    visibility: str | None = None
    private: bool | None = None


@router.post("/api/repos/create")
def create(request: Request, hub: TheHub, caller: Writer, asked: New) -> dict[str, str]:
    """Make a repository; with 409, tell where the one of this name is."""
    _refuse_extras(asked)
    namespace, slash, name = asked.name.rpartition("/")
    try:
        repo = repositories.create(
            hub, caller, kind=asked.type or "model", namespace=namespace if slash else asked.organization, name=name,
            visibility=_visibility(asked), sdk=asked.sdk,
        )  # fmt: skip
    except repositories.NameTaken as taken:
        taken.body["url"] = repo_url(request, taken.kind, taken.full_name)
        raise
    return {"url": repo_url(request, repo.kind, repo.full_name), "name": repo.full_name, "id": repo.id}


@router.delete("/api/repos/delete")
def delete(hub: TheHub, caller: Writer, asked: Named) -> dict[str, Any]:
    """Delete a repository by its present name."""
    full_name = asked.name if "/" in asked.name else f"{asked.organization or caller.name}/{asked.name}"
    repositories.delete(hub, caller, _named(hub, caller, asked.type or "model", full_name))
    return {}


@router.post("/api/repos/move")
def move(hub: TheHub, caller: Writer, asked: Move) -> dict[str, Any]:
    """Give a repository another name or namespace."""
    repo = _named(hub, caller, asked.type, asked.fromRepo)
    namespace, name = repositories.split_name(asked.toRepo)
    repositories.move(hub, caller, repo, namespace=namespace, name=name)
    return {}


@router.put(REPOSITORY + "/settings")
def change_settings(hub: TheHub, repo: Administered, caller: Caller, asked: Settings) -> dict[str, Any]:
    """Change who sees a repository, and whether readers have to ask first."""
    gated = asked.gated if "gated" in asked.model_fields_set else None
    changed = repositories.update(hub, caller, repo, visibility=_visibility(asked), gated=gated)
    return {
        "visibility": changed.visibility,
        "private": changed.visibility == "private",
        "gated": changed.gated or False,
    }


@router.post(REPOSITORY + "/duplicate")
def duplicate(request: Request, hub: TheHub, repo: Readable, caller: Writer, asked: Copy) -> dict[str, Any]:
    """Copy a repository under another name; with 409, tell where the one of this name is."""
    _refuse_extras(asked)
    namespace, name = repositories.split_name(asked.repository)
    try:
        copy = repositories.duplicate(hub, caller, repo, namespace=namespace, name=name, visibility=_visibility(asked))
    except repositories.NameTaken as taken:
        taken.body["url"] = repo_url(request, taken.kind, taken.full_name)
        raise
    return {"url": repo_url(request, copy.kind, copy.full_name), "filesCopyPending": False}


@router.get(REPOSITORY + "/auth-check")
def may_read(repo: Readable) -> dict[str, Any]:
    """Tell whether the caller may read the repository's files."""
    return {}


@router.get(REPOSITORY + "/auth-check/write")
def may_write(repo: Writable) -> dict[str, Any]:
    """Tell whether the caller may write to the repository."""
    return {}


@router.get("/api/settings/repositories")
def own_repositories(request: Request, hub: TheHub, caller: Known, cursor: str | None = None) -> JSONResponse:
    """List a page of the caller's own repositories with the room they take."""
    with hub.database.read() as session:
        owner = session.get_one(Account, caller.id)
    return _stored(request, hub, caller, owner, cursor)


@router.get("/api/organizations/{organization:segment}/settings/repositories")
def organization_repositories(
    request: Request, hub: TheHub, caller: Known, organization: str, cursor: str | None = None
) -> JSONResponse:
    """List a page of an organisation's repositories with the room they take, for its members."""
    with hub.database.read() as session:
        owner = get_account(session, organization, kind="org")
    if owner.id not in caller.roles and not caller.admin:
        raise Forbidden(f"you are not a member of {owner.name}; ask one of its admins")
    return _stored(request, hub, caller, owner, cursor)


@router.get(REPOSITORY + "/runtime")
def space_runtime(hub: TheHub, caller: Caller, repo: Seen) -> dict[str, Any]:
    """Tell that a space does not run here."""
    found: dict[str, Any] = info.repo_info(hub, caller, repo, expand=["runtime"])["runtime"]
    return found


@router.get(REPOSITORY + "/secrets")
@router.get(REPOSITORY + "/variables")
def space_settings(repo: Writable) -> dict[str, Any]:
    """List what a space would be run with: nothing."""
    return {}


@router.api_route(REPOSITORY + "/secrets", methods=["POST", "DELETE"])
@router.api_route(REPOSITORY + "/variables", methods=["POST", "DELETE"])
@router.api_route(REPOSITORY + "/volumes", methods=["POST", "DELETE"])
@router.post(REPOSITORY + "/hardware")
@router.post(REPOSITORY + "/sleeptime")
@router.post(REPOSITORY + "/pause")
@router.post(REPOSITORY + "/restart")
@router.post(REPOSITORY + "/dev-mode")
@router.get(REPOSITORY + "/logs/{kind_of_log:segment}")
def run_space(repo: Writable) -> None:
    """Refuse to run a space."""
    raise NotOffered("this Hub stores Spaces and does not run them; start the app from a clone of its repository")


def _named(hub: Hub, caller: Principal, kind: str, full_name: str) -> Repo:
    """Return the repository of this present name; by a former one nobody moves or deletes on purpose."""
    with hub.database.read() as session:
        repo = open_repo(session, hub, caller, kind, full_name, right=Right.ADMIN)
    if repo.path != full_name.lower():
        raise RepoNotFound(full_name)
    return repo


def _refuse_extras(asked: New | Copy) -> None:
    """Raise BadRequest where something is asked for with a new repository that this Hub would not do."""
    if extras := sorted(NOT_OFFERED.intersection(asked.model_extra or ())):
        raise BadRequest(f"this Hub does not offer {', '.join(extras)} for repositories; ask again without")


def _visibility(asked: New | Settings | Copy) -> str | None:
    if asked.visibility is None and asked.private is not None:
        return "private" if asked.private else "public"
    return asked.visibility


def _stored(request: Request, hub: Hub, caller: Principal, owner: Account, cursor: str | None) -> JSONResponse:
    """Answer with a page of an account's repositories, each with its size and its share of all of the account's."""
    anonymous = hub.settings.anonymous
    whole = select(func.sum(Repo.storage)).where(Repo.namespace_id == owner.id, visible(caller, anonymous=anonymous))
    with hub.database.read() as session:
        total = session.execute(whole).scalar() or 0
        rows, following = listing.search(
            session, caller, None, anonymous=anonymous, filters=listing.Filters(author=owner.name), limit=PAGE,
            cursor=decode(cursor),
        )  # fmt: skip
    items = [
        {
            "id": row.full_name,
            "type": row.kind,
            "updatedAt": stamp(row.updated),
            "visibility": row.visibility,
            "storage": row.storage,
            "storagePercent": 100 * row.storage / total if total else 0,
        }
        for row in rows
    ]
    return linked(request, items, following)
