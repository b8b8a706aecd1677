"""Access tokens: made, shown once, revoked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from medhub.server import accounts, audit
from medhub.server.access import PERMISSION_RIGHTS, Right
from medhub.server.errors import BadRequest, NotFound, Refusal
from medhub.server.routes.dependencies import open_repo
from medhub.server.tables import Account, Token
from medhub.server.web.layout import go, page
from medhub.server.web.sessions import Form, Member, Visit

router = APIRouter()
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "a year", "": "no end"}
"""How long a token can be good, in days."""
ENTITIES = ("model", "dataset", "space", "user", "org")
SCOPES = range(3)
"""The rows of the form, each for one thing that a fine-grained token may touch."""


@router.get("/settings/tokens")
def tokens(visit: Member) -> Response:
    """List the viewer's tokens, and ask for a new one."""
    return _tokens_page(visit)


@router.post("/settings/tokens")
def create(visit: Member, form: Form) -> Response:
    """Make a token, and show it: this once."""
    name, role, days = form.get("name", "").strip(), form.get("role", ""), form.get("days", "")
    try:
        if role not in accounts.TOKEN_ROLES or days not in LIFETIMES:
            raise BadRequest("choose one of the roles and one of the lifetimes")
        lifetime = timedelta(days=int(days)) if days else None
        with visit.hub.database.write() as session:
            scopes = list(_scopes(visit, session, form)) if role == "fineGrained" else []
            user = session.get_one(Account, visit.viewer.id)
            _, secret = accounts.create_token(session, user, name, role=role, scopes=scopes, lifetime=lifetime)
            audit.record(session, visit.viewer, "token.create", note=f"{name} ({role})")
    except Refusal as refusal:
        return _tokens_page(visit, given=form, error=str(refusal), status=refusal.status)
    return _tokens_page(visit, secret=secret)


@router.post("/settings/tokens/revoke")
def revoke(visit: Member, form: Form) -> Response:
    """Revoke a token; sessions that it opened end."""
    with visit.hub.database.write() as session:
        token = session.get(Token, form.get("token", ""))
        if token is None or token.user_id != visit.viewer.id:
            raise NotFound("you have no such token; it may be revoked already")
        audit.record(session, visit.viewer, "token.revoke", note=token.name)
        session.delete(token)
    return go("/settings/tokens", notice="revoked")


def _scopes(visit: Visit, session: Session, form: Form) -> Iterator[Mapping[str, Any]]:
    """Yield the scopes that the form names. Raises RepoNotFound for a repository that the viewer does not see."""
    for row in SCOPES:
        kind, name = form.get(f"type{row}", ""), form.get(f"entity{row}", "").strip()
        if not name:
            continue
        if kind not in {"user", "org"}:
            name = open_repo(session, visit.hub, visit.viewer, kind, name, right=Right.SEE).full_name
        yield {"type": kind, "name": name, "permissions": [form.get(f"permission{row}", "")]}


def _tokens_page(
    visit: Visit,
    *,
    given: Mapping[str, str] | None = None,
    secret: str = "",
    error: str | None = None,
    status: int = 200,
) -> Response:
    mine = select(Token).where(Token.user_id == visit.viewer.id, Token.role != "session").order_by(Token.created.desc())
    with visit.hub.database.read() as session:
        held = session.execute(mine).scalars().all()
    return page(
        visit, "tokens.html", tokens=held, given=given or {}, secret=secret, error=error, status=status,
        lifetimes=LIFETIMES, entities=ENTITIES, permissions=list(PERMISSION_RIGHTS), scopes=SCOPES,
    )  # fmt: skip
