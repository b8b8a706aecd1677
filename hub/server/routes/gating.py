"""Gated repositories: asking for access, and granting it (protocol, section 3.13)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from medhub.server import gating
from medhub.server.routes.dependencies import Administered, Seen, TheHub, Writer
from medhub.server.routes.pagination import decode_text, linked
from medhub.server.routes.shapes import stamp
from medhub.server.tables import AccessRequest, Account

router = APIRouter(max_body_size=2**16)
HERE = "/api/{kind:kind}/{namespace:segment}/{name:segment}"


class Asking(BaseModel):
    """What somebody says who asks for access."""

    reason: str = ""


class Handling(BaseModel):
    """What becomes of a request."""

    status: str
    user: str | None = None
    request_id: str | None = Field(None, alias="requestId")
    answer: str | None = Field(None, alias="rejectionReason")


class Grant(BaseModel):
    """Who gets access without asking."""

    user: str


@router.post(HERE + "/ask-access")
def ask(hub: TheHub, caller: Writer, repo: Seen, body: Asking | None = None) -> dict[str, Any]:
    """Ask for access to a gated repository."""
    with hub.database.write() as session:
        request = gating.ask(session, caller, repo, body.reason if body else "")
        return {"requestId": request.id, "status": request.status, "timestamp": stamp(request.created)}


@router.get(HERE + "/user-access-request/{status:segment}")
def requests(
    request: Request, hub: TheHub, repo: Administered, status: gating.Status, cursor: str | None = None
) -> JSONResponse:
    """List the requests of a status."""
    with hub.database.read() as session:
        rows, following = gating.requests(session, repo, status=status, after=decode_text(cursor))
    return linked(request, [_shape(asked, user) for asked, user in rows], following)


@router.post(HERE + "/user-access-request/handle")
def handle(hub: TheHub, caller: Writer, repo: Administered, body: Handling) -> dict[str, Any]:
    """Accept, reject or put back a request."""
    with hub.database.write() as session:
        request = gating.handle(
            session, caller, repo, status=body.status, user=body.user, request_id=body.request_id,
            answer=body.answer or "",
        )  # fmt: skip
        return {"requestId": request.id, "status": request.status}


@router.post(HERE + "/user-access-request/grant")
def grant(hub: TheHub, caller: Writer, repo: Administered, body: Grant) -> dict[str, Any]:
    """Give access to somebody who need not have asked."""
    with hub.database.write() as session:
        request = gating.grant(session, caller, repo, user=body.user)
        return {"requestId": request.id, "status": request.status}


def _shape(request: AccessRequest, user: Account) -> dict[str, Any]:
    shown = {
        "requestId": request.id,
        "user": {"user": user.name, "fullname": user.fullname, "email": user.email},
        "status": request.status,
        "timestamp": stamp(request.created),
    }
    return shown | ({"fields": {"reason": request.reason}} if request.reason else {})
