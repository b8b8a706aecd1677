"""Gated repositories: all see the card, and who asks and is accepted reads the files (protocol, section 3.13)."""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from medhub.server import audit
from medhub.server.access import Principal
from medhub.server.accounts import get_account
from medhub.server.errors import BadRequest, Conflict, Forbidden, NotFound
from medhub.server.tables import AccessRequest, Account, Repo, now

Status = Literal["pending", "accepted", "rejected"]
REASON, ANSWER = 2000, 200
"""Characters of what somebody who asks may say, and of what may be said with a rejection."""


def ask(session: Session, principal: Principal, repo: Repo, reason: str = "") -> AccessRequest:
    """Ask for access, as a caller who sees the repository; return the request, the earlier one where there is one.

    A repository gated "auto" accepts at once, a "manual" one leaves it pending. Raises BadRequest where nothing is
    gated, Forbidden for a token of limited rights and after a rejection, whose reason it tells.
    """
    _demand_gated(repo)
    if principal.id is None or principal.token_role not in {"session", "write"}:  # access is the user's, with any token
        raise Forbidden(f"the token {principal.token_name!r} may not ask for access; use one with the role write")
    request = request_of(session, principal, repo)
    if request and request.status == "rejected":
        because = f": {request.answer}" if request.answer else ""
        raise Forbidden(f"your request for {repo.full_name} was rejected{because}; speak with {repo.namespace}")
    status: Status = "accepted" if repo.gated == "auto" else "pending"
    if request is None:
        request = _insert(session, repo, principal.id, status=status, reason=_text(reason, REASON))
        audit.record(session, principal, "access.ask", repo=_name(repo), note=status)
    elif request.status == "pending" and status == "accepted":  # the gate was opened since
        request.status = status
        audit.record(session, principal, "access.ask", repo=_name(repo), note=status)
    return request


def request_of(session: Session, principal: Principal, repo: Repo) -> AccessRequest | None:
    """Return the caller's own request for a repository, if any."""
    mine = select(AccessRequest).where(AccessRequest.repo_id == repo.id, AccessRequest.user_id == (principal.id or ""))
    return session.execute(mine).scalar()


def requests(
    session: Session, repo: Repo, *, status: Status, after: str = "", limit: int = 100
) -> tuple[list[tuple[AccessRequest, Account]], str | None]:
    """Return a page of requests with who asked, in the order of names behind `after`, and where the next begins.

    Raises BadRequest where the repository is not gated.
    """
    _demand_gated(repo)
    found = (
        select(AccessRequest, Account)
        .join(Account, Account.id == AccessRequest.user_id)
        .where(AccessRequest.repo_id == repo.id, AccessRequest.status == status, Account.lower > after)
        .order_by(Account.lower)
        .limit(limit + 1)
    )
    rows = [(request, user) for request, user in session.execute(found)]
    return rows[:limit], rows[limit - 1][1].lower if len(rows) > limit else None


def handle(
    session: Session,
    principal: Principal,
    repo: Repo,
    *,
    status: str,
    user: str | None = None,
    request_id: str | None = None,
    answer: str = "",
) -> AccessRequest:
    """Accept, reject or put back a request, named by its user or its id, as an admin of the repository.

    Raises BadRequest where nothing is gated or the call says too little or too much, NotFound for an unknown user or
    request, Conflict where the status is so already.
    """
    _demand_gated(repo)
    if status not in get_args(Status):
        raise BadRequest(f"the status is {status!r}; it can be {', '.join(get_args(Status))}")
    if (user is None) == (request_id is None):
        raise BadRequest("name the request either by its user or by its requestId")
    if answer and status != "rejected":
        raise BadRequest("a rejectionReason goes with the status rejected only")
    found = select(AccessRequest).where(AccessRequest.repo_id == repo.id)
    if user is not None:
        found = found.where(AccessRequest.user_id == get_account(session, user, kind="user").id)
    else:
        found = found.where(AccessRequest.id == request_id)
    request = session.execute(found).scalar()
    if request is None:
        raise NotFound(f"there is no access request of {user or request_id!r} for {repo.full_name}")
    if request.status == status:
        raise Conflict(f"the request is {status} already")
    request.status, request.answer = status, _text(answer, ANSWER)
    _record(session, principal, repo, request)
    return request


def grant(session: Session, principal: Principal, repo: Repo, *, user: str) -> AccessRequest:
    """Accept a user who need not have asked, as an admin of the repository.

    Raises BadRequest where nothing is gated or the user has access already, NotFound for an unknown user.
    """
    _demand_gated(repo)
    account = get_account(session, user, kind="user")
    asked = select(AccessRequest).where(AccessRequest.repo_id == repo.id, AccessRequest.user_id == account.id)
    request = session.execute(asked).scalar()
    if request and request.status == "accepted":
        raise BadRequest(f"{account.name} has access to {repo.full_name} already")
    if request:
        request.status, request.answer = "accepted", ""
    else:
        request = _insert(session, repo, account.id, status="accepted")
    _record(session, principal, repo, request)
    return request


def _insert(session: Session, repo: Repo, user_id: str, *, status: Status, reason: str = "") -> AccessRequest:
    request = AccessRequest(repo_id=repo.id, user_id=user_id, status=status, reason=reason, answer="", created=now())
    session.add(request)
    session.flush()
    return request


def _record(session: Session, principal: Principal, repo: Repo, request: AccessRequest) -> None:
    user = session.get(Account, request.user_id)
    audit.record(session, principal, f"access.{request.status}", repo=_name(repo), note=user.name if user else "")


def _demand_gated(repo: Repo) -> None:
    if not repo.gated:
        raise BadRequest(f"{repo.full_name} is not gated: whoever sees it reads it")


def _text(text: str, longest: int) -> str:
    if len(text) > longest or "\0" in text:
        raise BadRequest(f"the reason has {len(text)} characters; it may have {longest}, and no NUL")
    return text


def _name(repo: Repo) -> str:
    return f"{repo.kind} {repo.full_name}"
