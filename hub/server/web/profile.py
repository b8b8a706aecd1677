"""The viewer's own account: the name that people read, the address in commits, the password, the sessions."""

from __future__ import annotations

from fastapi import APIRouter, Response

from medhub.server import accounts, audit
from medhub.server.errors import BadRequest, Refusal
from medhub.server.tables import Account
from medhub.server.web.layout import go, page
from medhub.server.web.sessions import Form, Member, Visit, end_sessions

router = APIRouter()
LONGEST = 100
"""Characters of a name or an address."""


@router.get("/settings")
def settings(visit: Member) -> Response:
    """Lead to the profile."""
    return go("/settings/profile")


@router.get("/settings/profile")
def profile(visit: Member) -> Response:
    """Show what can be changed."""
    return _profile_page(visit)


@router.post("/settings/profile")
def save(visit: Member, form: Form) -> Response:
    """Change the name for people, and the address in commits."""
    fullname, email = (" ".join(form.get(name, "").split()) for name in ("fullname", "email"))
    if max(len(fullname), len(email)) > LONGEST or any(letter in fullname + email for letter in "<>\0"):
        return _profile_page(visit, error=f"a name or an address has at most {LONGEST} characters, without < and >")
    with visit.hub.database.write() as session:
        user = session.get_one(Account, visit.viewer.id)
        user.fullname, user.email = fullname or user.name, email
        audit.record(session, visit.viewer, "account.update")
    return go("/settings/profile", notice="saved")


@router.post("/settings/password")
def set_password(visit: Member, form: Form) -> Response:
    """Set another password, knowing the present one if there is any; the user's sessions elsewhere end."""
    try:
        with visit.limits.attempt(visit.viewer.name or "", visit.viewer.address):
            _check(visit, form)
        with visit.hub.database.write() as session:
            accounts.set_password(session.get_one(Account, visit.viewer.id), form.get("new", ""))
            end_sessions(session, visit.viewer.id or "", but=visit.viewer.token_id)
            audit.record(session, visit.viewer, "account.password")
    except Refusal as refusal:
        return _profile_page(visit, error=str(refusal), status=refusal.status)
    return go("/settings/profile", notice="password")


def _check(visit: Visit, form: Form) -> None:
    """Raise Unauthenticated for a wrong present password, BadRequest where the new one was typed in two ways."""
    with visit.hub.database.read() as session:
        if session.get_one(Account, visit.viewer.id).password:
            accounts.check_password(session, visit.viewer.name or "", form.get("present", ""))
    if form.get("new") != form.get("again"):
        raise BadRequest("the two new passwords differ")


def _profile_page(visit: Visit, *, error: str | None = None, status: int = 200) -> Response:
    with visit.hub.database.read() as session:
        user = session.get_one(Account, visit.viewer.id)
    return page(visit, "profile.html", user=user, error=error, status=400 if error and status == 200 else status)
