"""Trying a model: the page with its demo in a frame, which starts the demo and says so while that takes its time."""

from __future__ import annotations

from fastapi import APIRouter, Response

from medhub.server import reads
from medhub.server.access import Right
from medhub.server.demos import DemoUnavailable
from medhub.server.errors import NotFound
from medhub.server.routes import demos as routes
from medhub.server.web.repository import REPO, opened, repo_page
from medhub.server.web.sessions import Visitor

router = APIRouter()
AGAIN = 2
"""Seconds after which the page looks whether the demo is ready."""


@router.get(REPO + "/try")
def show(visit: Visitor) -> Response:
    """Show the demo of the head of main; start it, and say so, where it does not run. Raises NotFound without one."""
    repo = opened(visit, Right.READ)
    head = visit.hub.git.open(repo.id).head("refs/heads/main")
    if head is None or not visit.demos.offers(repo):
        raise NotFound(f"{repo.full_name} has no demo here: demos are of MedHub's models, on Hubs that run them")
    try:
        demo = visit.demos.open(repo, head)
    except DemoUnavailable as error:
        wait = error.headers["Retry-After"]
        response = repo_page(
            visit, repo, "try.html", tab="try", status=error.status, frame=None, fault=str(error), wait=wait
        )
        response.headers.update(error.headers)
        return response
    if not demo.ready:
        response = repo_page(visit, repo, "try.html", tab="try", frame=None, fault=None)
        # without a script, so that everybody gets on
        response.headers["Refresh"] = str(AGAIN)
        return response
    reads.record(visit.hub, visit.viewer, repo, "demo.open", commit=head)
    frame = routes.address(visit.request, visit.hub, visit.viewer, repo)
    response = repo_page(
        visit, repo, "try.html", tab="try", frame=frame, fault=None, sandbox=routes.SANDBOX,
        minutes=visit.hub.settings.demo_minutes,
    )  # fmt: skip
    response.headers["Content-Security-Policy"] += f"; frame-src {frame}"
    return response
