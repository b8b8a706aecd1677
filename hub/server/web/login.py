"""Signing in and out, and letting a terminal sign in."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from medhub.server import accounts, audit, devices
from medhub.server.access import Principal
from medhub.server.errors import Forbidden, Refusal
from medhub.server.routes.dependencies import COOKIE
from medhub.server.tables import Account, Token
from medhub.server.web.layout import go, page
from medhub.server.web.sessions import VISIT_COOKIE, Anybody, Form, Member, Visit, local, open_session, set_cookie

router = APIRouter()


@router.get("/login")
def login(visit: Anybody, next: str = "/") -> Response:
    """Show the two ways to sign in."""
    if not visit.viewer.stranger:
        return go(local(next))
    return _login_page(visit, next)


@router.post("/login")
def sign_in(visit: Anybody, form: Form) -> Response:
    """Start a session, and go on to where the visitor wanted to go."""
    name, onward = form.get("name", "").strip(), local(form.get("next"))
    try:
        with visit.limits.attempt(name, visit.viewer.address):
            secret = _session(visit, name, form)
    except Refusal as refusal:
        return _login_page(visit, onward, name=name, error=str(refusal), status=refusal.status)
    response = go(onward)
    set_cookie(response, visit, COOKIE, secret)
    response.delete_cookie(VISIT_COOKIE)
    return response


@router.post("/logout")
def sign_out(visit: Member, form: Form) -> Response:
    """End the session."""
    with visit.hub.database.write() as session:
        audit.record(session, visit.viewer, "session.close")
        session.delete(session.get_one(Token, visit.viewer.token_id))
    response = go("/login", notice="signed-out")
    response.delete_cookie(COOKIE)
    return response


@router.get("/device")
def device(visit: Member, code: str = "") -> Response:
    """Ask whether the terminal that shows a code may sign in as the viewer."""
    return page(visit, "device.html", code=code[:32], error=None)


@router.post("/device")
def answer_device(visit: Member, form: Form) -> Response:
    """Approve or deny a terminal's login."""
    code, approved = form.get("code", ""), form.get("answer") == "approve"
    try:
        with (
            visit.limits.attempt(f"device {visit.viewer.name}", visit.viewer.address),
            visit.hub.database.write() as session,
        ):
            (devices.approve if approved else devices.deny)(session, visit.viewer, code)
    except Refusal as refusal:
        return page(visit, "device.html", code=code[:32], error=str(refusal), status=refusal.status)
    return go("/device", notice="approved" if approved else "denied")


def _login_page(visit: Visit, onward: str, *, name: str = "", error: str | None = None, status: int = 200) -> Response:
    response = page(visit, "login.html", onward=local(onward), name=name, error=error, status=status)
    set_cookie(response, visit, VISIT_COOKIE, visit.binding.removeprefix("visit "))
    return response


def _session(visit: Visit, name: str, form: Form) -> str:
    """Check the password or the access token that the form holds; return the secret of a new session."""
    with visit.hub.database.read() as session:
        if given := form.get("token", "").strip():
            user, opened_by = _by_token(session, given)
        else:
            user, opened_by = accounts.check_password(session, name, form.get("password", "")), None
    with visit.hub.database.write() as session:
        token, secret = open_session(session, user, opened_by=opened_by)
        principal = Principal(id=user.id, name=user.name, token_id=token.id, address=visit.viewer.address)
        note = f"by the token {opened_by.name!r}" if opened_by else "by password"
        audit.record(session, principal, "session.open", note=note)
    return secret


def _by_token(session: Session, secret: str) -> tuple[Account, Token]:
    """Return a token and its user. Raises Unauthenticated, and Forbidden for one that may do less than its user."""
    principal = accounts.authenticate(session, secret)
    if principal.token_role != "write":
        raise Forbidden("this token may do less than a session; use one with the role write, or your password")
    return session.get_one(Account, principal.id), session.get_one(Token, principal.token_id)
