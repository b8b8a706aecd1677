"""Who the caller is, and what every client asks first (protocol, section 3.1)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import select

from medhub.server.routes.dependencies import Known, TheHub
from medhub.server.routes.shapes import stamp
from medhub.server.tables import Account, Membership, Token

router = APIRouter()


@router.get("/api/whoami-v2")
def whoami(hub: TheHub, caller: Known) -> dict[str, Any]:
    """Tell the caller's name, organisations and what the token may do."""
    orgs = select(Account, Membership.role).join(Membership, Membership.org_id == Account.id)
    with hub.database.read() as session:
        user = session.get_one(Account, caller.id)
        token = session.get_one(Token, caller.token_id)
        roles = session.execute(orgs.where(Membership.user_id == user.id).order_by(Account.lower)).all()
    return {
        "type": "user",
        **_account(user),
        "email": user.email,
        "emailVerified": True,  # an operator entered it
        "isPro": False,
        "canPay": False,
        "periodEnd": None,
        "orgs": [{"type": "org", **_account(org), "isEnterprise": False, "roleInOrg": role} for org, role in roles],
        "auth": {"type": "access_token", "accessToken": _token(token)},
    }


@router.get("/api/agent-harnesses")
def agent_harnesses() -> dict[str, Any]:
    """Tell which coding agents to look for: none. Every client process asks, and waits three seconds for an answer."""
    return {"standardEnvVars": [], "harnesses": {}}


@router.head("/api/telemetry/{topic:rest}")
@router.post("/v1/telemetry")
def telemetry(topic: str = "") -> Response:
    """Take note of nothing."""
    return Response()


def _account(account: Account) -> dict[str, Any]:
    return {"id": account.id, "name": account.name, "fullname": account.fullname, "avatarUrl": ""}


def _token(token: Token) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "displayName": token.name,
        "role": "write" if token.role == "session" else token.role,
        "createdAt": stamp(token.created),
    }
    if token.role == "fineGrained":
        scoped = [
            {"entity": {"type": scope["type"], "name": scope["name"]}, "permissions": scope["permissions"]}
            for scope in token.scopes
        ]
        shown["fineGrained"] = {"scoped": scoped, "global": []}
    return shown
