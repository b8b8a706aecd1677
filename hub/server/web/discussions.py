"""Discussions and pull requests: the list, and one with its events, its diff and what may be done with it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import func, select

from medhub.server import discussions, reads
from medhub.server.access import Right, may_contribute, right_on
from medhub.server.errors import BadRequest, Refusal
from medhub.server.events import events
from medhub.server.tables import Discussion, DiscussionEvent, Repo
from medhub.server.web.diffs import split_diff
from medhub.server.web.layout import address, go
from medhub.server.web.markdown import render
from medhub.server.web.repository import REPO, opened, repo_page
from medhub.server.web.sessions import Form, Member, Visit, Visitor

router = APIRouter()
HERE = REPO + "/discussions"
STATUSES = ("open", "closed", "all")
NUMBER = "/{number:int}"


@router.get(HERE)
def listed(visit: Visitor, status: str = "open", page: int = 0) -> Response:
    """List a repository's discussions and pull requests."""
    repo, page = opened(visit), min(max(page, 0), 10_000)
    if status not in STATUSES:
        raise BadRequest(f"there is no status {status[:40]!r}; statuses: {', '.join(STATUSES)}")
    with visit.hub.database.read() as session:
        rows, total = discussions.listing(session, repo, status=status, page=page)  # type: ignore[arg-type]
        done = Discussion.repo_id == repo.id, Discussion.status.in_(discussions.SHOWN["closed"])
        closed = session.execute(select(func.count()).select_from(Discussion).where(*done)).scalar_one()
    more = (page + 1) * discussions.PAGE < total
    return repo_page(
        visit, repo, "discussions.html", tab="discussions", rows=rows, chosen=status, statuses=STATUSES, closed=closed,
        page_number=page, more=more,
    )  # fmt: skip


@router.get(HERE + "/new")
def new(visit: Member) -> Response:
    """Ask what to discuss."""
    return _new_page(visit, opened(visit, Right.READ), {})


@router.post(HERE)
def start(visit: Member, form: Form) -> Response:
    """Start a discussion, or a pull request that commits can be pushed to."""
    repo = opened(visit, Right.READ)
    asked: dict[str, Any] = {"title": form.get("title", ""), "description": form.get("description", "")}
    try:
        if form.get("kind") == "pull":
            made = discussions.open_pull_request(visit.hub, visit.viewer, repo, draft=True, **asked)
        else:
            made = discussions.open_discussion(visit.hub, visit.viewer, repo, **asked)
    except Refusal as refusal:
        return _new_page(visit, repo, form, error=str(refusal), status=refusal.status)
    return go(address(repo, "discussions", str(made.number)))


@router.get(HERE + NUMBER)
def show(visit: Visitor, number: int) -> Response:
    """Show what happened in a discussion; of a pull request also what it would change."""
    repo = opened(visit)
    with visit.hub.database.read() as session:
        found = discussions.find(session, repo, number)
        history = events(session, found)
        right = right_on(session, visit.viewer, repo, anonymous=visit.hub.settings.anonymous)
    takes_part = right >= Right.READ and may_contribute(visit.viewer, repo)
    return repo_page(
        visit, repo, "discussion.html", tab="discussions", discussion=found, takes_part=takes_part,
        history=[(event, _said(repo, event)) for event in history], open=found.status in discussions.SHOWN["open"],
        decides=takes_part and (right >= Right.WRITE or found.author_id == visit.viewer.id),
        **_changes(visit, repo, found, right),
    )  # fmt: skip


@router.post(HERE + NUMBER + "/comment")
def comment(visit: Member, form: Form, number: int) -> Response:
    """Add a comment."""
    repo = opened(visit)
    if not form.get("text", "").strip():
        raise BadRequest("the comment is empty; write something")
    discussions.comment(visit.hub, visit.viewer, repo, number, text=form["text"])
    return go(address(repo, "discussions", str(number)) + "#end")


@router.post(HERE + NUMBER + "/status")
def set_status(visit: Member, form: Form, number: int) -> Response:
    """Close a discussion, open it again, or declare a draft ready."""
    repo, status = opened(visit), form.get("status")
    if status not in {"open", "closed"}:
        raise BadRequest("a discussion can be open or closed")
    discussions.set_status(visit.hub, visit.viewer, repo, number, status=status)  # type: ignore[arg-type]
    return go(address(repo, "discussions", str(number)))


@router.post(HERE + NUMBER + "/merge")
def merge(visit: Member, form: Form, number: int) -> Response:
    """Merge a pull request."""
    repo = opened(visit)
    discussions.merge(visit.hub, visit.viewer, repo, number)
    return go(address(repo, "discussions", str(number)))


@router.post(HERE + NUMBER + "/hide")
def hide(visit: Member, form: Form, number: int) -> Response:
    """Take a comment away."""
    repo = opened(visit)
    discussions.hide(visit.hub, visit.viewer, repo, number, comment_id=form.get("comment", ""))
    return go(address(repo, "discussions", str(number)))


def _new_page(visit: Visit, repo: Repo, given: Any, *, error: str | None = None, status: int = 200) -> Response:
    return repo_page(
        visit, repo, "discussion_new.html", tab="discussions", given=given, error=error, status=status,
        may=may_contribute(visit.viewer, repo),
    )  # fmt: skip


def _said(repo: Repo, event: DiscussionEvent) -> str:
    """Return a comment as HTML."""
    return render(event.data["raw"], repo=repo) if event.type == "comment" and not event.data["hidden"] else ""


def _changes(visit: Visit, repo: Repo, found: Discussion, right: Right) -> dict[str, Any]:
    """Return a pull request's diff, and what keeps it from being merged; nothing for who may not read the files."""
    if not found.pull_request or right < Right.READ:
        return {"files": [], "conflicts": []}
    git = visit.hub.git.open(repo.id)
    reads.record(visit.hub, visit.viewer, repo, "diff.read", path=discussions.ref_of(found))
    return {
        "files": split_diff(discussions.diff(git, found)),
        "conflicts": discussions.conflicts(git, found),
    }
