"""The audit log, for admins of the Hub."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import func, select

from medhub.server import audit
from medhub.server.errors import Forbidden
from medhub.server.tables import AuditRecord
from medhub.server.web.layout import page
from medhub.server.web.sessions import Member

router = APIRouter()
PAGE = 100


@router.get("/audit")
def log(visit: Member, repo: str = "", actor: str = "", before: int = 0, check: bool = False) -> Response:
    """List the newest lines, of one repository or one person if asked; on demand, check the whole chain."""
    if not visit.viewer.admin:
        raise Forbidden("the audit log is for admins of this Hub")
    repo, actor = repo.strip(), actor.strip()
    lines = select(AuditRecord).order_by(AuditRecord.number.desc()).limit(PAGE + 1)
    if repo:
        lines = lines.where(AuditRecord.repo.in_([f"{kind} {repo}" for kind in ("model", "dataset", "space")]))
    if actor:
        lines = lines.where(func.lower(AuditRecord.actor) == actor.lower())
    if before > 0:
        lines = lines.where(AuditRecord.number < before)
    with visit.hub.database.read() as session:
        found = session.execute(lines).scalars().all()
        last = session.execute(select(AuditRecord).order_by(AuditRecord.number.desc()).limit(1)).scalar()
        faults = audit.verify(session) if check else None
    return page(
        visit, "audit.html", lines=found[:PAGE], next=found[PAGE - 1].number if len(found) > PAGE else None,
        repo_asked=repo, actor=actor, last=last, faults=faults, asked=list(visit.request.query_params.multi_items()),
    )  # fmt: skip
