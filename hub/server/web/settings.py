"""A repository's settings: who sees it, who has to ask, its name, and its end."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response

from medhub.server import gating, repositories
from medhub.server.access import Right
from medhub.server.errors import BadRequest
from medhub.server.tables import Repo
from medhub.server.web.layout import address, go
from medhub.server.web.repository import REPO, opened, repo_page
from medhub.server.web.sessions import Form, Member

router = APIRouter()
HERE = REPO + "/settings"
GATES: dict[str, Literal["auto", "manual", False]] = {"": False, "auto": "auto", "manual": "manual"}
STATUSES: tuple[gating.Status, ...] = ("pending", "accepted", "rejected")


@router.get(HERE)
def show(visit: Member) -> Response:
    """Show what can be set, and who asked for access."""
    repo = opened(visit, Right.ADMIN)
    requests = {}
    if repo.gated:
        with visit.hub.database.read() as session:
            requests = {status: gating.requests(session, repo, status=status)[0] for status in STATUSES}
    return repo_page(visit, repo, "settings.html", tab="settings", requests=requests)


@router.post(HERE + "/access")
def set_access(visit: Member, form: Form) -> Response:
    """Change who sees the repository, and whether readers have to ask."""
    repo = opened(visit, Right.ADMIN)
    if form.get("gated", "") not in GATES:
        raise BadRequest("a repository is open, gated with acceptance at once, or gated with acceptance by its admins")
    gated = GATES[form.get("gated", "")]
    repositories.update(visit.hub, visit.viewer, repo, visibility=form.get("visibility"), gated=gated)
    return _back(repo, "saved")


@router.post(HERE + "/rename")
def rename(visit: Member, form: Form) -> Response:
    """Move the repository to another name or namespace."""
    repo = opened(visit, Right.ADMIN)
    namespace, name = form.get("namespace", "").strip(), form.get("name", "").strip()
    return _back(repositories.move(visit.hub, visit.viewer, repo, namespace=namespace, name=name), "renamed")


@router.post(HERE + "/delete")
def delete(visit: Member, form: Form) -> Response:
    """Delete the repository, if its full name was typed."""
    repo = opened(visit, Right.ADMIN)
    if form.get("confirm", "").strip() != repo.full_name:
        raise BadRequest(f"nothing was deleted: type {repo.full_name} into the field to confirm")
    repositories.delete(visit.hub, visit.viewer, repo)
    return go(f"/{visit.viewer.name}", notice="deleted")


@router.post(HERE + "/request")
def answer(visit: Member, form: Form) -> Response:
    """Accept or reject somebody who asked for access, or take an acceptance back."""
    repo = opened(visit, Right.ADMIN)
    status, because = form.get("status", ""), form.get("answer", "").strip()
    with visit.hub.database.write() as session:
        gating.handle(
            session, visit.viewer, repo, status=status, request_id=form.get("request", ""),
            answer=because if status == "rejected" else "",
        )  # fmt: skip
    return _back(repo, "answered")


@router.post(HERE + "/grant")
def grant(visit: Member, form: Form) -> Response:
    """Give somebody access who has not asked."""
    repo = opened(visit, Right.ADMIN)
    with visit.hub.database.write() as session:
        gating.grant(session, visit.viewer, repo, user=form.get("user", "").strip())
    return _back(repo, "saved")


def _back(repo: Repo, notice: str) -> Response:
    return go(address(repo, "settings"), notice=notice)
