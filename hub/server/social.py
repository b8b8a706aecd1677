"""Likes, and what users and organisations have, as far as the caller may see it (protocol, section 3.14).

Whoever asks is counted only what a list would show: a number is no way to learn of a repository.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from medhub.server.access import Principal, may_contribute, visible
from medhub.server.errors import Forbidden
from medhub.server.tables import Account, Discussion, Like, Membership, Repo

PAGE = 100
"""Entries in one page of a list."""


def like(session: Session, principal: Principal, repo: Repo) -> None:
    """Like a repository that the caller sees; once, however often it is said."""
    _demand_token(principal, repo)
    if session.get(Like, (principal.id, repo.id)) is None:
        session.add(Like(user_id=principal.id, repo_id=repo.id))
        _count(session, repo)


def unlike(session: Session, principal: Principal, repo: Repo) -> None:
    """Take a like back, if there is one."""
    _demand_token(principal, repo)
    session.execute(delete(Like).where(Like.user_id == principal.id, Like.repo_id == repo.id))
    _count(session, repo)


def likers(session: Session, repo: Repo, *, after: str = "") -> tuple[list[Account], str | None]:
    """Return who likes a repository, in the order of names behind `after`, and where the next page begins."""
    found = select(Account).join(Like, Like.user_id == Account.id).where(Like.repo_id == repo.id, Account.lower > after)
    return _page(session, found, Account.lower)


def likes(
    session: Session, principal: Principal, user: Account, *, anonymous: bool, after: str = ""
) -> tuple[list[tuple[Like, Repo]], str | None]:
    """Return what a user likes and the caller may see, in the order of kinds and names, and where the next begins."""
    name = Repo.kind + " " + Repo.path
    found = (
        select(Like, Repo, name)
        .join(Repo, Repo.id == Like.repo_id)
        .where(Like.user_id == user.id, name > after, visible(principal, anonymous=anonymous))
    )
    rows = session.execute(found.order_by(name).limit(PAGE + 1)).all()
    return [(row[0], row[1]) for row in rows[:PAGE]], rows[PAGE - 1][2] if len(rows) > PAGE else None


def members(session: Session, org: Account, *, after: str = "") -> tuple[list[Account], str | None]:
    """Return an organisation's members in the order of names behind `after`, and where the next page begins."""
    found = select(Account).join(Membership, Membership.user_id == Account.id)
    return _page(session, found.where(Membership.org_id == org.id, Account.lower > after), Account.lower)


def organisations(session: Session, user: Account) -> list[Account]:
    """Return the organisations that a user belongs to."""
    found = select(Account).join(Membership, Membership.org_id == Account.id).where(Membership.user_id == user.id)
    return list(session.execute(found.order_by(Account.lower)).scalars())


def counts(session: Session, principal: Principal, account: Account, *, anonymous: bool) -> dict[str, int]:
    """Return how many "model", "dataset" and "space" repositories an account has, "likes" it gave and "discussions" it
    started, of those that the caller may see; and how many "members" it has."""
    seen = visible(principal, anonymous=anonymous)
    owned = select(Repo.kind, func.count()).where(Repo.namespace_id == account.id, seen).group_by(Repo.kind)
    liked = select(func.count()).select_from(Like).join(Repo, Repo.id == Like.repo_id)
    begun = select(func.count()).select_from(Discussion).join(Repo, Repo.id == Discussion.repo_id)
    belong = select(func.count()).select_from(Membership).where(Membership.org_id == account.id)
    return {
        **dict.fromkeys(("model", "dataset", "space"), 0),
        **{kind: number for kind, number in session.execute(owned)},
        "likes": session.execute(liked.where(Like.user_id == account.id, seen)).scalar_one(),
        "discussions": session.execute(begun.where(Discussion.author_id == account.id, seen)).scalar_one(),
        "members": session.execute(belong).scalar_one(),
    }


def _demand_token(principal: Principal, repo: Repo) -> None:
    if not may_contribute(principal, repo):
        raise Forbidden(f"the token {principal.token_name!r} may not write to {repo.full_name}; use one that may")


def _count(session: Session, repo: Repo) -> None:
    session.flush()
    found = session.get(Repo, repo.id)
    if found:
        count = select(func.count()).select_from(Like).where(Like.repo_id == repo.id)
        found.likes = session.execute(count).scalar_one()


def _page(session: Session, query: Any, key: Any) -> tuple[list[Any], str | None]:
    rows = session.execute(query.order_by(key).limit(PAGE + 1)).scalars().all()
    return list(rows[:PAGE]), getattr(rows[PAGE - 1], key.key) if len(rows) > PAGE else None
