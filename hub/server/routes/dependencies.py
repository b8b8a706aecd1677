"""What routes ask for: the Hub, the caller, and a repository that the caller has a right on.

    def handler(hub: TheHub, caller: Caller, repo: Seen): ...

`Seen`, `Readable`, `Writable` and `Administered` find the repository by the path's `kind`, `namespace` and `name`,
redirect where it was renamed, and refuse a caller without the right.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Request
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from medhub.server import accounts
from medhub.server.access import Principal, Right, demand, right_on
from medhub.server.errors import Forbidden, Refusal, RepoNotFound, Unauthenticated
from medhub.server.hub import Hub
from medhub.server.limits import Limits
from medhub.server.routes.paths import base_url
from medhub.server.tables import Repo, RepoAlias, now

COOKIE = "medhub_session"


class Moved(Refusal):
    """Not refused but elsewhere: the repository has another name now."""

    status = 307


async def the_hub(request: Request) -> Hub:  # async, so that it takes no thread
    """Return the Hub that serves this request."""
    hub: Hub = request.app.state.hub
    return hub


TheHub = Annotated[Hub, Depends(the_hub)]


def caller(request: Request, hub: TheHub) -> Principal:
    """Return who calls: by bearer token, by Basic credentials whose password is a token (git), or by session cookie.

    Raises Unauthenticated for credentials that are wrong; with none at all the caller is a stranger. Raises
    TooManyRequests for one who calls more often than the Hub allows.
    """
    address = request.client.host if request.client else ""
    limits: Limits = request.app.state.limits
    name, secret = _credentials(request)
    try:
        principal = principal_by(hub, secret, address=address)
    except Unauthenticated:
        limits.requests.count(address)
        limits.fail(name, address)
        raise
    limits.requests.count(principal.id or address)
    return principal


Caller = Annotated[Principal, Depends(caller)]


def principal_by(hub: Hub, secret: str | None, *, address: str) -> Principal:
    """Return who acts with this token; without one, a stranger. Raises Unauthenticated."""
    if secret is None:
        return Principal(address=address)
    with hub.database.read() as session:
        principal = accounts.authenticate(session, secret, address=address)
    if principal.token_id and (not principal.token_used or now() - principal.token_used > accounts.USED_STEP):
        with hub.database.write() as session:
            accounts.touch(session, principal.token_id)
    return principal


def known(principal: Caller) -> Principal:
    """Return the caller, who has to be signed in."""
    if principal.stranger:
        raise Unauthenticated("sign in first: send a token of this Hub (hf auth login, or HF_TOKEN)")
    return principal


def writer(principal: Annotated[Principal, Depends(known)]) -> Principal:
    """Return the caller, who has to be signed in with a token that may write at all."""
    if not principal.may_write:
        raise Forbidden(f"the token {principal.token_name!r} may only read; use one with the role write")
    return principal


Known = Annotated[Principal, Depends(known)]
Writer = Annotated[Principal, Depends(writer)]


def find_repo(session: Session, kind: str, full_name: str) -> tuple[Repo | None, bool]:
    """Return the repository of this name, whatever its case, and whether the name is a former one."""
    name = {"kind": kind, "path": full_name.lower()}
    found = session.execute(_NAMED, name).scalar()
    if found:
        return found, False
    return session.execute(_FORMERLY_NAMED, name).scalar(), True


# built once: that is half of what such a query costs
_NAMED = select(Repo).where(Repo.kind == bindparam("kind"), Repo.path == bindparam("path"))
_FORMERLY_NAMED = (
    select(Repo)
    .join(RepoAlias, RepoAlias.repo_id == Repo.id)
    .where(RepoAlias.kind == bindparam("kind"), RepoAlias.path == bindparam("path"))
)


def open_repo(session: Session, hub: Hub, principal: Principal, kind: str, full_name: str, *, right: Right) -> Repo:
    """Return the repository with this name, now or formerly, if the caller has `right`; else raise as `demand` does."""
    repo, _ = find_repo(session, kind, full_name)
    anonymous = hub.settings.anonymous
    if repo is None or right_on(session, principal, repo, anonymous=anonymous) == Right.NONE:
        # by the name that was asked for: its own spelling, or its present name, would tell that it is there
        raise RepoNotFound(full_name, stranger=principal.stranger)
    demand(session, principal, repo, right, anonymous=anonymous)
    return repo


def requested_repo(request: Request, hub: Hub, principal: Principal, *, right: Right) -> Repo:
    """Return the repository that `kind`, `namespace` and `name` of the path name, as `open_repo` does.

    Raises Moved to this address under its present name where that is another.
    """
    kind, namespace, name = (request.path_params[part] for part in ("kind", "namespace", "name"))
    full_name = f"{namespace}/{name.removesuffix('.git')}"
    with hub.database.read() as session:
        repo = open_repo(session, hub, principal, kind, full_name, right=right)
    if repo.path != full_name.lower():
        raise Moved(f"the repository is now {repo.full_name}", headers={"Location": _moved(request, namespace, repo)})
    return repo


def admit(request: Request, hub: Hub, *, right: Right) -> tuple[Principal, Repo]:
    """Return who calls, and the repository that the path names, as `caller` and `requested_repo` do.

    For the routes that are asked most: as dependencies each of the two would wait for a thread of its own.
    """
    principal = caller(request, hub)
    return principal, requested_repo(request, hub, principal, right=right)


def _repository(right: Right) -> object:
    def dependency(request: Request, hub: TheHub, principal: Caller) -> Repo:
        return requested_repo(request, hub, principal, right=right)

    return Depends(dependency)


Seen = Annotated[Repo, _repository(Right.SEE)]
Readable = Annotated[Repo, _repository(Right.READ)]
Writable = Annotated[Repo, _repository(Right.WRITE)]
Administered = Annotated[Repo, _repository(Right.ADMIN)]


def _moved(request: Request, namespace: str, repo: Repo) -> str:
    """Return the address of this request under the repository's present name."""
    segments = request.scope["path"].split("/")
    place = [unquote(segment) for segment in segments].index(namespace)
    git = ".git" if segments[place + 1].endswith(".git") else ""
    segments[place : place + 2] = [repo.namespace, repo.name + git]
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{base_url(request)}{'/'.join(segments)}{query}"


def _credentials(request: Request) -> tuple[str, str | None]:
    """Return the name that a caller gives, where it gives one, and its token."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return "", value.strip()
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Unauthenticated("Invalid credentials in Authorization header") from error
        return name, secret
    # another site can have a browser send a form here, cookie and all; forms of the Hub's pages carry a key, calls none
    return "", request.cookies.get(COOKIE) if request.method in {"GET", "HEAD"} else None
