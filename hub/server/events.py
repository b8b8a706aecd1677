"""What happens in a discussion: comments, commits, new titles and statuses (protocol, section 3.12).

A comment's `data` is {"raw", "updated", "editor", "edited", "hidden", "history": [{"raw", "updated"}]}; what the others
hold is what the API shows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Text, cast, func, select
from sqlalchemy.orm import Session

from medhub.server.access import Principal
from medhub.server.errors import BadRequest, Conflict, NotFound
from medhub.server.tables import Discussion, DiscussionEvent, now

COMMENT = 64 * 1024
"""Bytes of a comment."""
EVENTS, TEXT = 1000, 4 * 1024 * 1024
"""Events and characters that a discussion holds, so that it can be read whole."""


def events(session: Session, discussion: Discussion) -> list[DiscussionEvent]:
    """Return what happened, oldest first."""
    return list(session.execute(_of(discussion).order_by(DiscussionEvent.created)).scalars())


def add_event(
    session: Session, discussion: Discussion, principal: Principal, *, type: str, data: dict[str, Any]
) -> DiscussionEvent:
    """Append an event and return it."""
    event = DiscussionEvent(
        repo_id=discussion.repo_id, number=discussion.number, type=type, author_id=principal.id,
        author=principal.name or "", data=data,
    )  # fmt: skip
    session.add(event)
    session.flush()
    return event


def add_comment(session: Session, discussion: Discussion, principal: Principal, *, text: str) -> DiscussionEvent:
    """Append a comment. Raises BadRequest for a text that cannot be one, Conflict where the discussion is full."""
    demand_room(session, discussion)
    return add_event(session, discussion, principal, type="comment", data=_said(principal, text))


def find_comment(session: Session, discussion: Discussion, comment_id: str) -> DiscussionEvent:
    """Return a comment by its id. Raises NotFound."""
    found = _of(discussion).where(DiscussionEvent.id == comment_id, DiscussionEvent.type == "comment")
    comment = session.execute(found).scalar()
    if comment is None:
        raise NotFound(f"#{discussion.number} has no comment {comment_id[:40]!r}")
    return comment


def rewrite(comment: DiscussionEvent, principal: Principal, *, text: str) -> None:
    """Replace a comment's text; what it said before stays in its history. Raises Conflict where it is hidden."""
    said = comment.data
    if said["hidden"]:
        raise Conflict("the comment is hidden; write another")
    history = [*said["history"], {"raw": said["raw"], "updated": said["updated"]}]
    comment.data = _said(principal, text) | {"edited": True, "history": history}


def erase(comment: DiscussionEvent, principal: Principal) -> None:
    """Hide a comment for good: its text and history are gone from the database."""
    comment.data = _said(principal, "") | {"edited": comment.data["edited"], "hidden": True}


def demand_room(session: Session, discussion: Discussion) -> None:
    """Raise Conflict where a discussion is full."""
    if not has_room(session, discussion):
        raise Conflict(f"#{discussion.number} is full ({EVENTS} events or {TEXT} characters); open another")


def has_room(session: Session, discussion: Discussion) -> bool:
    """Return whether a discussion may become longer."""
    held = _of(discussion).subquery()
    size = func.coalesce(func.sum(func.length(cast(held.c.data, Text))), 0)
    count, characters = session.execute(select(func.count(), size).select_from(held)).one()
    return bool(count < EVENTS and characters < TEXT)


def _of(discussion: Discussion) -> Select[DiscussionEvent]:
    return select(DiscussionEvent).where(
        DiscussionEvent.repo_id == discussion.repo_id, DiscussionEvent.number == discussion.number
    )


def _said(principal: Principal, text: str) -> dict[str, Any]:
    if len(text.encode()) > COMMENT or "\0" in text:
        raise BadRequest(f"a comment is text of at most {COMMENT} bytes, without NUL characters")
    said = {"raw": text, "updated": now().isoformat(), "editor": principal.name}
    return said | {"edited": False, "hidden": False, "history": []}
