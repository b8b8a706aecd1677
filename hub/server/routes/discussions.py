"""Discussions and pull requests (protocol, section 3.12)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from medhub.server import discussions, reads
from medhub.server.access import Principal, Right, right_on
from medhub.server.events import events
from medhub.server.hub import Hub
from medhub.server.routes.dependencies import Caller, Readable, Seen, TheHub, Writable, Writer
from medhub.server.routes.shapes import stamp
from medhub.server.tables import Discussion, DiscussionEvent, Repo
from medhub.server.web.markdown import render

router = APIRouter(max_body_size=2**20)
HERE = "/api/{kind:kind}/{namespace:segment}/{name:segment}/discussions"


class Opening(BaseModel):
    """What a discussion or pull request begins with."""

    title: str
    description: str = ""
    pull_request: bool = Field(False, alias="pullRequest")


class Comment(BaseModel):
    """A comment, or none where it only accompanies something."""

    comment: str = ""


class Title(BaseModel):
    """A new title."""

    title: str


class Status(Comment):
    """A new status."""

    status: Literal["open", "closed"]


class Text(BaseModel):
    """A comment's new text."""

    content: str


@router.get(HERE)
def listing(
    hub: TheHub,
    repo: Seen,
    type: Literal["all", "discussion", "pull_request"] = "all",
    status: Literal["all", "open", "closed"] = "all",
    author: str = "",
    p: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> dict[str, Any]:
    """List them, newest first, in pages."""
    with hub.database.read() as session:
        rows, total = discussions.listing(session, repo, type=type, status=status, author=author, page=p)
    shown = [_shape(repo, discussion, comments=comments) for discussion, comments in rows]
    return {"discussions": shown, "count": total, "start": p * discussions.PAGE}


@router.get(HERE + "/{number:int}")
def details(hub: TheHub, caller: Caller, repo: Seen, number: int, diff: str = "") -> dict[str, Any]:
    """Show one with its events; a pull request with what it changes, to those who may read the files."""
    with hub.database.read() as session:
        discussion = discussions.find(session, repo, number)
        history = events(session, discussion)
        may_read = right_on(session, caller, repo, anonymous=hub.settings.anonymous) >= Right.READ
    comments = sum(event.type == "comment" for event in history)
    shown = _shape(repo, discussion, comments=comments) | {"events": [_event(repo, event) for event in history]}
    if discussion.pull_request:
        patch = _patch(hub, caller, repo, discussion) if diff and may_read else None
        shown |= _changes(hub, repo, discussion) | {"diff": patch}
    return shown


@router.post(HERE)
def create(hub: TheHub, caller: Writer, repo: Readable, body: Opening) -> dict[str, Any]:
    """Open a discussion, or a pull request as a draft."""
    if body.pull_request:
        made = discussions.open_pull_request(
            hub, caller, repo, title=body.title, description=body.description, draft=True
        )
    else:
        made = discussions.open_discussion(hub, caller, repo, title=body.title, description=body.description)
    return {"num": made.number}


@router.post(HERE + "/{number:int}/comment")
def comment(hub: TheHub, caller: Writer, repo: Readable, number: int, body: Comment) -> dict[str, Any]:
    """Add a comment."""
    return {"newMessage": _event(repo, discussions.comment(hub, caller, repo, number, text=body.comment))}


@router.post(HERE + "/{number:int}/title")
def rename(hub: TheHub, caller: Writer, repo: Readable, number: int, body: Title) -> dict[str, Any]:
    """Change the title."""
    return {"newTitle": _event(repo, discussions.rename(hub, caller, repo, number, title=body.title))}


@router.post(HERE + "/{number:int}/status")
def set_status(hub: TheHub, caller: Writer, repo: Readable, number: int, body: Status) -> dict[str, Any]:
    """Close or open."""
    event = discussions.set_status(hub, caller, repo, number, status=body.status, text=body.comment)
    return {"newStatus": _event(repo, event)}


@router.post(HERE + "/{number:int}/merge")
def merge(hub: TheHub, caller: Writer, repo: Writable, number: int, body: Comment | None = None) -> dict[str, Any]:
    """Merge a pull request."""
    merged = discussions.merge(hub, caller, repo, number, text=body.comment if body else "")
    return {"status": merged.status, "mergeCommitId": merged.merge_commit}


@router.post(HERE + "/{number:int}/comment/{comment:segment}/edit")
def edit(hub: TheHub, caller: Writer, repo: Readable, number: int, comment: str, body: Text) -> dict[str, Any]:
    """Replace the text of one's own comment."""
    event = discussions.edit(hub, caller, repo, number, comment_id=comment, text=body.content)
    return {"updatedComment": _event(repo, event)}


@router.post(HERE + "/{number:int}/comment/{comment:segment}/hide")
def hide(hub: TheHub, caller: Writer, repo: Readable, number: int, comment: str) -> dict[str, Any]:
    """Erase a comment's text."""
    return {"updatedComment": _event(repo, discussions.hide(hub, caller, repo, number, comment_id=comment))}


def _shape(repo: Repo, discussion: Discussion, *, comments: int) -> dict[str, Any]:
    return {
        "num": discussion.number,
        "title": discussion.title,
        "status": discussion.status,
        "createdAt": stamp(discussion.created),
        "isPullRequest": discussion.pull_request,
        "repo": {"name": repo.full_name, "type": repo.kind},
        "pinned": False,
        "numComments": comments,
    } | _author(discussion.author, discussion.author_id)


def _changes(hub: Hub, repo: Repo, discussion: Discussion) -> dict[str, Any]:
    merged = {"mergeCommitId": discussion.merge_commit} if discussion.merge_commit else {}
    files = discussions.conflicts(hub.git.open(repo.id), discussion)
    return {"changes": {"base": discussion.base, **merged}, "filesWithConflicts": files}


def _patch(hub: Hub, caller: Principal, repo: Repo, discussion: Discussion) -> str:
    reads.record(hub, caller, repo, "diff.read", path=discussions.ref_of(discussion))
    return discussions.diff(hub.git.open(repo.id), discussion)


def _event(repo: Repo, event: DiscussionEvent) -> dict[str, Any]:
    shown = {"id": event.id, "type": event.type, "createdAt": stamp(event.created)}
    data = _said(repo, event.data) if event.type == "comment" else event.data
    return shown | _author(event.author, event.author_id) | {"data": data}


def _said(repo: Repo, said: dict[str, Any]) -> dict[str, Any]:
    latest = {
        "raw": said["raw"],
        "html": render(said["raw"], repo=repo),
        "updatedAt": _time(said["updated"]),
        "author": {"name": said["editor"]},
    }
    history = [{"raw": earlier["raw"], "updatedAt": _time(earlier["updated"])} for earlier in said["history"]]
    return {"edited": said["edited"], "hidden": said["hidden"], "latest": latest, "history": history}


def _author(name: str, account: str | None) -> dict[str, Any]:
    # without an author, clients say that the account was deleted
    return {"author": {"name": name}} if account else {}


def _time(moment: str) -> str:
    return stamp(datetime.fromisoformat(moment))
