"""Who may do what: a caller with its rights, and one rule for every route, page and transport.

Naming content is not permission to read it, and what a caller may not see looks exactly like what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select, true
from sqlalchemy.orm import Session

from medhub.server.errors import Forbidden, GatedRepo, RepoNotFound
from medhub.server.tables import AccessRequest, Account, Repo


class Right(IntEnum):
    """What a caller may do with a repository; each includes the ones before."""

    NONE = 0
    SEE = 1  # its name, card and list of files
    READ = 2  # its files
    WRITE = 3  # commits, branches, the work on discussions
    ADMIN = 4  # settings, access requests, move and delete


ROLE_RIGHTS = {"read": Right.READ, "contributor": Right.READ, "write": Right.WRITE, "admin": Right.ADMIN}
"""What a role in an organisation allows on its repositories. Contributors and writers administer what they created."""
PERMISSION_RIGHTS = {"repo.content.read": Right.READ, "repo.write": Right.WRITE, "repo.admin": Right.ADMIN}
"""What a permission of a fine-grained token allows, where its owner has that right."""


@dataclass(frozen=True)
class Principal:
    """The caller of one request: a user with a token, or a stranger (`id` None)."""

    id: str | None = None
    name: str | None = None
    admin: bool = False
    token_id: str | None = None
    token_name: str = ""
    token_role: str = "read"
    scopes: tuple[Mapping[str, Any], ...] = ()
    token_used: datetime | None = None  # as of the last time that was noted
    roles: Mapping[str, str] = field(default_factory=dict)  # organisation id -> role
    address: str = ""

    @property
    def stranger(self) -> bool:
        """Whether nobody is signed in."""
        return self.id is None

    @property
    def may_write(self) -> bool:
        """Whether the token allows any change at all (of what, `right_on` decides)."""
        return not self.stranger and self.token_role != "read"


OPERATOR = Principal(id="", name="operator", admin=True, token_role="write", address="console")
"""Who acts where a command works on the data folder itself: no stranger, and no account either."""


def right_on(session: Session, principal: Principal, repo: Repo, *, anonymous: bool) -> Right:
    """Return the caller's right on a repository; `anonymous` is the Hub's setting."""
    if repo.deleted:
        return Right.NONE
    own = _own_right(principal, repo)
    if own >= Right.READ or repo.visibility != "public" or (principal.stranger and not anonymous):
        return own
    if repo.gated and not _granted(session, principal, repo):
        return Right.SEE
    return Right.READ


def demand(session: Session, principal: Principal, repo: Repo, right: Right, *, anonymous: bool) -> None:
    """Raise RepoNotFound, GatedRepo or Forbidden unless the caller has `right` on the repository."""
    found = right_on(session, principal, repo, anonymous=anonymous)
    if found >= right:
        return
    if found == Right.NONE:
        raise RepoNotFound(repo.full_name, stranger=principal.stranger)
    if found == Right.SEE and right == Right.READ:
        raise GatedRepo(repo.full_name, stranger=principal.stranger)
    raise Forbidden(f"you may read {repo.full_name}, but not change it; ask an owner of {repo.namespace} for the right")


def visible(principal: Principal, *, anonymous: bool) -> ColumnElement[bool]:
    """Return the condition on Repo that holds for exactly what the caller may see, for listings and counts."""
    public = Repo.visibility == "public" if anonymous or not principal.stranger else false()
    if principal.stranger:
        return and_(Repo.deleted.is_(None), public)
    mine: ColumnElement[bool] = true() if principal.admin else Repo.namespace_id.in_([principal.id, *principal.roles])
    if principal.token_role == "fineGrained":
        readable = [scope["id"] for scope in principal.scopes if _scope_right(scope) >= Right.READ]
        mine = and_(mine, or_(Repo.namespace_id.in_(readable), Repo.id.in_(readable)))
    return and_(Repo.deleted.is_(None), or_(public, mine))


def may_create_in(principal: Principal, namespace: Account) -> bool:
    """Return whether the caller may make repositories in a user's or organisation's namespace."""
    if not principal.may_write:
        return False
    if principal.token_role == "fineGrained" and not any(
        scope["id"] == namespace.id and _scope_right(scope) >= Right.WRITE for scope in principal.scopes
    ):
        return False
    role = principal.roles.get(namespace.id)
    return principal.admin or namespace.id == principal.id or role in {"contributor", "write", "admin"}


def may_contribute(principal: Principal, repo: Repo) -> bool:
    """Return whether the caller's token allows to discuss, like or propose changes to a repository they may read."""
    if principal.token_role != "fineGrained":
        return principal.may_write
    return any(
        scope["id"] in {repo.id, repo.namespace_id} and _scope_right(scope) >= Right.WRITE for scope in principal.scopes
    )


def may_administer(principal: Principal, namespace: Account) -> bool:
    """Return whether the caller may change an account itself: its members, its name for people."""
    if principal.token_role not in {"write", "session"}:
        return False
    return principal.admin or namespace.id == principal.id or principal.roles.get(namespace.id) == "admin"


def _own_right(principal: Principal, repo: Repo) -> Right:
    """Return the right that does not come from the repository being public."""
    if principal.stranger:
        return Right.NONE
    role = principal.roles.get(repo.namespace_id)
    right = ROLE_RIGHTS.get(role or "", Right.NONE)
    if role in {"contributor", "write"} and repo.creator_id == principal.id:
        right = Right.ADMIN
    if principal.admin or repo.namespace_id == principal.id:
        right = Right.ADMIN
    if principal.token_role == "read":
        return min(right, Right.READ)
    if principal.token_role == "fineGrained":
        scopes = [scope for scope in principal.scopes if scope["id"] in {repo.id, repo.namespace_id}]
        return min(right, max(map(_scope_right, scopes), default=Right.NONE))
    return right


def _scope_right(scope: Mapping[str, Any]) -> Right:
    return max((PERMISSION_RIGHTS.get(name, Right.NONE) for name in scope["permissions"]), default=Right.NONE)


def _granted(session: Session, principal: Principal, repo: Repo) -> bool:
    asked = select(AccessRequest.status).where(
        AccessRequest.repo_id == repo.id, AccessRequest.user_id == (principal.id or "")
    )
    return session.execute(asked).scalar() == "accepted"
