"""Browsers: who looks at a page, the session that a cookie carries, and the key that every form brings back.

A page's handler takes one of these, by how much it asks of the viewer:

    visit: Anybody      a stranger as well: signing in
    visit: Visitor      whoever may look at this Hub at all
    visit: Member       somebody who is signed in

A handler of a form takes `form: Form` as well. It holds the fields, and there is no other way to them than through the
check that the form came from one of the Hub's own pages, in this session.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from sqlalchemy import delete
from sqlalchemy.orm import Session

from medhub.server import accounts
from medhub.server.access import Principal
from medhub.server.demos import Demos
from medhub.server.errors import Forbidden, Unauthenticated
from medhub.server.hub import Hub
from medhub.server.limits import Limits
from medhub.server.routes.dependencies import COOKIE, TheHub, principal_by
from medhub.server.routes.paths import base_url
from medhub.server.tables import Account, Token, now

VISIT_COOKIE = "medhub_visit"
"""Binds the form of signing in to a browser that has no session yet."""
FORM_FIELDS = 100


class SignIn(Unauthenticated):
    """Nobody is signed in, and the page is for somebody: a browser is sent to sign in and then back."""


@dataclass(frozen=True)
class Visit:
    """One request of a browser: the Hub, who looks (perhaps a stranger), and what its forms are bound to."""

    request: Request
    hub: Hub
    viewer: Principal
    binding: str

    @property
    def limits(self) -> Limits:
        """How often one may ask, and try a secret."""
        limits: Limits = self.request.app.state.limits
        return limits

    @property
    def demos(self) -> Demos:
        """The models that visitors try."""
        demos: Demos = self.request.app.state.demos
        return demos

    @property
    def form_key(self) -> str:
        """What every form on the page carries, good for this session alone."""
        return self.hub.signer.sign("form", {"for": self.binding}, seconds=int(accounts.SESSION_TIME.total_seconds()))


def visit_of(request: Request, hub: Hub) -> Visit:
    """Return the visit, by the session cookie alone; without one, or with one that ended, the viewer is a stranger."""
    address = request.client.host if request.client else ""
    try:
        viewer = principal_by(hub, request.cookies.get(COOKIE), address=address)
    except Unauthenticated:
        viewer = Principal(address=address)
    if viewer.token_role != "session":
        viewer = Principal(address=address)
    if viewer.token_id:
        return Visit(request, hub, viewer, f"session {viewer.token_id}")
    return Visit(request, hub, viewer, f"visit {request.cookies.get(VISIT_COOKIE) or secrets.token_urlsafe(24)}")


def anybody(request: Request, hub: TheHub) -> Visit:
    """Return the visit of whoever it is. Raises TooManyRequests."""
    visit = visit_of(request, hub)
    visit.limits.requests.count(visit.viewer.id or visit.viewer.address)
    return visit


Anybody = Annotated[Visit, Depends(anybody)]


def visitor(visit: Anybody) -> Visit:
    """Return the visit of somebody who may look at this Hub. Raises SignIn."""
    if visit.viewer.stranger and not visit.hub.settings.anonymous:
        raise SignIn("sign in to look at this Hub")
    return visit


def member(visit: Anybody) -> Visit:
    """Return the visit of somebody who is signed in. Raises SignIn."""
    if visit.viewer.stranger:
        raise SignIn("sign in first")
    return visit


Visitor = Annotated[Visit, Depends(visitor)]
Member = Annotated[Visit, Depends(member)]


async def submitted(request: Request, visit: Anybody) -> Mapping[str, str]:
    """Return a form's fields. Raises Forbidden for one that did not come from a page of this session."""
    fields = {name: str(value) for name, value in (await request.form(max_files=0, max_fields=FORM_FIELDS)).items()}
    if visit.hub.signer.verify("form", fields.pop("form_key", ""))["for"] != visit.binding:
        raise Forbidden("the form belongs to another session; go back, load the page again, and send it from there")
    return fields


Form = Annotated[Mapping[str, str], Depends(submitted)]


def open_session(session: Session, user: Account, *, opened_by: Token | None = None) -> tuple[Token, str]:
    """Start a user's session; return its row and its secret, for the cookie. The user's expired sessions go.

    A session that a token opened ends with that token.
    """
    session.execute(delete(Token).where(Token.user_id == user.id, Token.role == "session", Token.expires < now()))
    token, secret = accounts.create_token(session, user, "browser", role="session", lifetime=accounts.SESSION_TIME)
    if opened_by:
        token.parent_id = opened_by.id
        token.expires = min(filter(None, (token.expires, opened_by.expires)))
    return token, secret


def end_sessions(session: Session, user_id: str, *, but: str | None = None) -> None:
    """End a user's sessions in every browser, `but` the one of this token id."""
    session.execute(delete(Token).where(Token.user_id == user_id, Token.role == "session", Token.id != (but or "")))


def set_cookie(response: Response, visit: Visit, name: str, value: str) -> None:
    """Put a cookie on the answer, out of reach of scripts and of other sites' forms."""
    secure = base_url(visit.request).startswith("https:")
    seconds = int(accounts.SESSION_TIME.total_seconds())
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure, path="/")


def local(address: str | None) -> str:
    """Return an address to go on to if it is a page of this Hub, else the front page."""
    plain = address or "/"
    parts = urlsplit(plain) if plain.isprintable() and "\\" not in plain else None
    if parts is None or parts.scheme or parts.netloc or not plain.startswith("/") or plain.startswith("//"):
        return "/"
    return plain
