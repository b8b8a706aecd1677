"""Discussions and pull requests: numbered in one sequence a repository, each a list of events (protocol, section 3.12).

A pull request is, besides, the ref refs/pr/N, which starts at its base; commits go there, and `merge` brings them back.
Who may read a repository may open and comment; its author, or who may write to the repository, changes a discussion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from medhub.server import audit, index
from medhub.server.access import Principal, Right, demand, may_contribute
from medhub.server.errors import BadRequest, Conflict, Forbidden, NotFound, RevisionNotFound
from medhub.server.events import add_comment, add_event, demand_room, erase, find_comment, has_room, rewrite
from medhub.server.hub import Hub
from medhub.server.repositories import author_of
from medhub.server.storage.git import GitRepository
from medhub.server.tables import Discussion, DiscussionEvent, Repo

PAGE = 50
"""Discussions in one page of the list."""
PULL = re.compile(r"refs/pr/([1-9][0-9]{0,8})")
SHOWN = {"open": ("open", "draft"), "closed": ("closed", "merged")}
"""What the list means by a status: a draft is open work, a merged pull request is done."""


def listing(
    session: Session,
    repo: Repo,
    *,
    type: Literal["all", "discussion", "pull_request"] = "all",
    status: Literal["all", "open", "closed"] = "all",
    author: str = "",
    page: int = 0,
) -> tuple[list[tuple[Discussion, int]], int]:
    """Return one page, newest first, each with its number of comments; and how many there are on all pages."""
    found = select(Discussion).where(Discussion.repo_id == repo.id)
    if type != "all":
        found = found.where(Discussion.pull_request == (type == "pull_request"))
    if status != "all":
        found = found.where(Discussion.status.in_(SHOWN[status]))
    if author:
        found = found.where(func.lower(Discussion.author) == author.lower(), Discussion.author_id.is_not(None))
    total = session.execute(select(func.count()).select_from(found.subquery())).scalar_one()
    rows = session.execute(found.order_by(Discussion.number.desc()).offset(page * PAGE).limit(PAGE)).scalars().all()
    counts = select(DiscussionEvent.number, func.count()).where(
        DiscussionEvent.repo_id == repo.id,
        DiscussionEvent.type == "comment",
        DiscussionEvent.number.in_([row.number for row in rows]),
    )
    comments = {number: count for number, count in session.execute(counts.group_by(DiscussionEvent.number))}
    return [(row, comments.get(row.number, 0)) for row in rows], total


def find(session: Session, repo: Repo, number: int) -> Discussion:
    """Return a discussion by its number. Raises NotFound."""
    found = session.get(Discussion, (repo.id, number)) if number < 2**31 else None
    if found is None:
        raise NotFound(f"{repo.full_name} has no discussion or pull request {number}")
    return found


def open_discussion(hub: Hub, principal: Principal, repo: Repo, *, title: str, description: str) -> Discussion:
    """Start a discussion; its description is its first comment. Raises BadRequest for an impossible title or text."""
    with hub.database.write() as session:
        discussion = _insert(session, hub, principal, repo, title=title, status="open")
        add_comment(session, discussion, principal, text=description)
        audit.record(session, principal, "discussion.open", repo=_name(repo), note=f"#{discussion.number}")
        return discussion


def open_pull_request(
    hub: Hub,
    principal: Principal,
    repo: Repo,
    *,
    title: str,
    description: str,
    base: str = "refs/heads/main",
    draft: bool,
) -> Discussion:
    """Start a pull request, whose ref begins where `base` is now. Raises RevisionNotFound where that is no branch."""
    git = hub.git.open(repo.id)
    head = git.head(base)
    if head is None:
        raise RevisionNotFound(base)
    # closed until its ref stands: a crash in between leaves a number that was used up, and nothing to work with
    with hub.database.write() as session:
        discussion = _insert(session, hub, principal, repo, title=title, status="closed", base=base)
        add_comment(session, discussion, principal, text=description)
    with index.changing(hub, principal, repo, "pull.open", note=f"#{discussion.number}") as change:
        ref = ref_of(discussion)
        git.set_ref(ref, head, expected=git.head(ref))  # a ref that a crash left under this number is nobody's
        change.commit, change.path = head, ref
    with hub.database.write() as session:
        discussion = find(session, repo, discussion.number)
        discussion.status = "draft" if draft else "open"
        return discussion


def comment(hub: Hub, principal: Principal, repo: Repo, number: int, *, text: str) -> DiscussionEvent:
    """Add a comment; return its event. Raises BadRequest for one that says nothing or too much."""
    _demand_words(text)
    with _changing(hub, principal, repo, number, "discussion.comment") as (session, discussion):
        return add_comment(session, discussion, principal, text=text)


def rename(hub: Hub, principal: Principal, repo: Repo, number: int, *, title: str) -> DiscussionEvent:
    """Change the title, as its author or somebody who may write; return the event."""
    with _changing(hub, principal, repo, number, "discussion.rename") as (session, discussion):
        _demand_own(session, hub, principal, repo, discussion.author_id)
        demand_room(session, discussion)
        was, discussion.title = discussion.title, _title(title)
        data = {"from": was, "to": discussion.title}
        return add_event(session, discussion, principal, type="title-change", data=data)


def set_status(
    hub: Hub, principal: Principal, repo: Repo, number: int, *, status: Literal["open", "closed"], text: str = ""
) -> DiscussionEvent:
    """Close or reopen, as its author or somebody who may write; a draft becomes ready by opening it. Return the event.

    A `text` is added as a comment before. Raises Conflict where the status is so already or the changes are merged.
    """
    made = hub.git.open(repo.id).head(f"refs/pr/{number}") is not None
    with _changing(hub, principal, repo, number, f"discussion.{status}") as (session, discussion):
        _demand_own(session, hub, principal, repo, discussion.author_id)
        if discussion.status in {status, "merged"}:
            raise Conflict(f"#{number} of {repo.full_name} is {discussion.status} already")
        if status == "open" and discussion.pull_request and not made:
            raise Conflict(f"#{number} has no {ref_of(discussion)} to commit to; open another pull request")
        if status == "open":
            demand_room(session, discussion)
        if text:
            add_comment(session, discussion, principal, text=text)
        discussion.status = status
        return add_event(session, discussion, principal, type="status-change", data={"status": status})


def edit(hub: Hub, principal: Principal, repo: Repo, number: int, *, comment_id: str, text: str) -> DiscussionEvent:
    """Replace the text of one's own comment; return its event. Raises BadRequest as `comment` does."""
    _demand_words(text)
    with _changing(hub, principal, repo, number, "discussion.edit") as (session, discussion):
        found = find_comment(session, discussion, comment_id)
        if found.author_id != principal.id:
            raise Forbidden("only who wrote a comment can edit it")
        demand_room(session, discussion)
        rewrite(found, principal, text=text)
        return found


def hide(hub: Hub, principal: Principal, repo: Repo, number: int, *, comment_id: str) -> DiscussionEvent:
    """Erase a comment's text for good, as its author or somebody who may write; return its event."""
    with _changing(hub, principal, repo, number, "discussion.hide") as (session, discussion):
        found = find_comment(session, discussion, comment_id)
        _demand_own(session, hub, principal, repo, found.author_id)
        erase(found, principal)
        return found


def merge(hub: Hub, principal: Principal, repo: Repo, number: int, *, text: str = "") -> Discussion:
    """Bring a pull request's commits into its base, as somebody who may write; return it, with its `merge_commit`.

    Raises Forbidden for a draft, Conflict where it is not open or files conflict: their paths stand in `files`.
    """
    with hub.database.read() as session:
        demand(session, principal, repo, Right.WRITE, anonymous=hub.settings.anonymous)
        discussion = find(session, repo, number)
        author = author_of(session, principal)
    _demand_open(discussion)
    git, base = hub.git.open(repo.id), discussion.base or ""
    with index.changing(hub, principal, repo, "pull.merge", note=f"#{number}") as change:
        # after a crash behind this line the base has the commits already, and merging again only notes it
        sha = git.merge(base, ref_of(discussion), author=author, message=f"{discussion.title} (#{number})")
        change.commit, change.path = sha, base
    with hub.database.write() as session:
        discussion = find(session, repo, number)
        if discussion.status != "merged":
            if text:
                add_comment(session, discussion, principal, text=text)
            discussion.status, discussion.merge_commit = "merged", sha
            add_event(session, discussion, principal, type="status-change", data={"status": "merged"})
        return discussion


def ref_of(discussion: Discussion) -> str:
    """Return the git ref of a pull request."""
    return f"refs/pr/{discussion.number}"


def conflicts(git: GitRepository, discussion: Discussion) -> list[str]:
    """Return the paths that keep an open pull request from being merged."""
    base, head = git.head(discussion.base or ""), git.head(ref_of(discussion))
    if discussion.status not in SHOWN["open"] or base is None or head is None:
        return []
    return git.conflicts(base, head)


def diff(git: GitRepository, discussion: Discussion) -> str:
    """Return what a pull request changes since it left its base, or what it changed when it was merged, as a patch."""
    base, head = git.head(discussion.base or ""), git.head(ref_of(discussion))
    if discussion.merge_commit:
        merged = git.resolve(discussion.merge_commit)  # a squash of the base may have removed it
        parents = git.get_commit(merged).parents if merged else ()
        base, head = parents if len(parents) == 2 else (None, None)
    fork = git.merge_base(base, head) if base and head else None
    return git.diff(fork, head) if fork and head else ""


def note_commit(session: Session, repo_id: str, ref: str, sha: str, subject: str, principal: Principal) -> None:
    """Add an event to the pull request that `ref` belongs to, if any (in the write transaction after the commit)."""
    match = PULL.fullmatch(ref)
    discussion = session.get(Discussion, (repo_id, int(match[1]))) if match else None
    if discussion and discussion.pull_request and has_room(session, discussion):
        add_event(session, discussion, principal, type="commit", data={"subject": subject[:1000], "oid": sha})


def demand_part(session: Session, hub: Hub, principal: Principal, repo: Repo) -> None:
    """Raise RepoNotFound, GatedRepo or Forbidden unless the caller may take part: open, comment, propose changes."""
    demand(session, principal, repo, Right.READ, anonymous=hub.settings.anonymous)
    if not may_contribute(principal, repo):
        raise Forbidden(f"the token {principal.token_name!r} may not write to {repo.full_name}; use one that may")


def _demand_own(session: Session, hub: Hub, principal: Principal, repo: Repo, author_id: str | None) -> None:
    if author_id != principal.id:
        demand(session, principal, repo, Right.WRITE, anonymous=hub.settings.anonymous)


def _demand_open(discussion: Discussion) -> None:
    if not discussion.pull_request:
        raise BadRequest(f"#{discussion.number} is a discussion; only pull requests are merged")
    if discussion.status == "draft":
        raise Forbidden(f"#{discussion.number} is a draft; set its status to open first")
    if discussion.status != "open":
        raise Conflict(f"#{discussion.number} is {discussion.status} already")


@contextmanager
def _changing(
    hub: Hub, principal: Principal, repo: Repo, number: int, action: str
) -> Iterator[tuple[Session, Discussion]]:
    """A write transaction on one discussion by somebody who may take part, with its audit line."""
    with hub.database.write() as session:
        demand_part(session, hub, principal, repo)
        yield session, find(session, repo, number)
        audit.record(session, principal, action, repo=_name(repo), note=f"#{number}")


def _insert(
    session: Session, hub: Hub, principal: Principal, repo: Repo, *, title: str, status: str, base: str | None = None
) -> Discussion:
    demand_part(session, hub, principal, repo)
    last = select(func.max(Discussion.number)).where(Discussion.repo_id == repo.id)
    discussion = Discussion(
        repo_id=repo.id, number=(session.execute(last).scalar() or 0) + 1, title=_title(title), status=status,
        pull_request=base is not None, base=base, author_id=principal.id, author=principal.name or "",
    )  # fmt: skip
    session.add(discussion)
    session.flush()
    return discussion


def _demand_words(text: str) -> None:
    if not text.strip():
        raise BadRequest("the comment is empty; write something")


def _title(title: str) -> str:
    title = " ".join(title.split())
    if not 3 <= len(title) <= 200 or "\0" in title:
        raise BadRequest(f"a title has 3 to 200 characters; this one has {len(title)}")
    return title


def _name(repo: Repo) -> str:
    return f"{repo.kind} {repo.full_name}"
