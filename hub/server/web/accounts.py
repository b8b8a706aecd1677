"""Users and organisations: what they have, and who belongs to them."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import select

from medhub.server import accounts, audit, listing, social
from medhub.server.access import ROLE_RIGHTS, may_administer
from medhub.server.errors import Forbidden
from medhub.server.routes import pagination
from medhub.server.tables import Account, Membership
from medhub.server.web.layout import go, page
from medhub.server.web.overview import Row
from medhub.server.web.sessions import Form, Member, Visitor

router = APIRouter()
PAGE = 50


@router.get("/{name:segment}")
def show(visit: Visitor, name: str, cursor: str | None = None) -> Response:
    """Show an account: its repositories; of an organisation its members, to those who are signed in."""
    anonymous = visit.hub.settings.anonymous
    with visit.hub.database.read() as session:
        account = accounts.get_account(session, name)
        repos, following = listing.search(
            session, visit.viewer, None, anonymous=anonymous, filters=listing.Filters(author=account.name), limit=PAGE,
            cursor=pagination.decode(cursor),
        )  # fmt: skip
        tags = listing.tags_of(session, repos)
        belonging = select(Account, Membership.role).join(Membership, Membership.user_id == Account.id)
        members = session.execute(belonging.where(Membership.org_id == account.id).order_by(Account.lower)).all()
        orgs = social.organisations(session, account)
    return page(
        visit, "account.html", account=account, rows=[Row.of(repo, tags[repo.id]) for repo in repos],
        next=pagination.encode(following) if following else None, members=[] if visit.viewer.stranger else members,
        orgs=[] if visit.viewer.stranger else orgs, roles=list(ROLE_RIGHTS),
        administers=may_administer(visit.viewer, account),
    )  # fmt: skip


@router.post("/organizations/{name:segment}/members")
def set_member(visit: Member, form: Form, name: str) -> Response:
    """Give somebody a role in an organisation, another one, or none, as its admin."""
    with visit.hub.database.write() as session:
        org = accounts.get_account(session, name, kind="org")
        if not may_administer(visit.viewer, org):
            raise Forbidden(f"only admins of {org.name} change who belongs to it")
        user = accounts.get_account(session, form.get("user", "").strip(), kind="user")
        role = form.get("role") or None
        accounts.set_role(session, org, user, role)
        audit.record(session, visit.viewer, "member.set", note=f"{user.name} in {org.name}: {role or 'none'}")
    return go(f"/{org.name}", notice="saved")
