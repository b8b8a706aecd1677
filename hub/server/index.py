"""What is derived from the files at the head of main, and the frame that every change of a repository stands in.

Git holds the truth. Size, card, facts and tags are copied from it into the database for lists and search, by what
differs between the commit that was copied last and the head; from nothing the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from medhub.server import audit, facts
from medhub.server.access import Principal
from medhub.server.errors import RevisionNotFound
from medhub.server.storage.git import Entry, GitRepository
from medhub.server.storage.revisions import MAIN
from medhub.server.tables import Repo, RepoTag, now

if TYPE_CHECKING:
    from medhub.server.hub import Hub


@dataclass
class Change:
    """What a change did, for the audit log; `size` counts bytes.

    `touched` are the files in which `commit` can differ from its parent, where that is known.
    """

    commit: str = ""
    path: str = ""
    size: int = 0
    touched: Collection[str] | None = None


@dataclass(frozen=True)
class Derived:
    """What a repository's row says of the commit `indexed`; the names are the row's."""

    indexed: str | None = None
    storage: int = 0
    extensions: Mapping[str, int] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def changing(hub: Hub, principal: Principal, repo: Repo, action: str, *, note: str = "") -> Iterator[Change]:
    """A `with` block that changes a git repository, and sets what the audit log shall tell of it.

    The row is marked before and cleared after: whatever dies in between is found by `refresh_dirty`. The audit line is
    written where the block ends well, in one transaction with what is derived from the new head.
    """
    with hub.database.write() as session:
        seen = session.get_one(Repo, repo.id)
        seen.dirty += 1
    change = Change()
    try:
        yield change
    except BaseException:
        _settle(hub, seen, change, lambda session: None)
        raise
    label = f"{repo.kind} {repo.full_name}"
    line = partial(audit.record, principal=principal, action=action, repo=label, note=note)
    _settle(hub, seen, change, partial(line, commit=change.commit, path=change.path, size=change.size))


def refresh(hub: Hub, session: Session, repo: Repo) -> None:
    """Bring the row of a repository up to the head of main, in the write transaction of `session`."""
    _apply(session, repo, derive(hub, repo))


def refresh_dirty(hub: Hub) -> None:
    """Bring up to date what changes left behind that a killed process had under way, with a line in the audit log."""
    with hub.database.read() as session:
        found = session.execute(select(Repo).where(Repo.dirty > 0)).scalars().all()
    for repo in found:
        try:
            head = hub.git.open(repo.id).head(MAIN)
        except KeyError:
            continue  # its folder is missing: that is for fsck to tell, and no reason not to start
        with hub.database.write() as session:
            current = session.get_one(Repo, repo.id)
            if current.indexed != head:
                refresh(hub, session, current)
                audit.record(
                    session, Principal(), "repo.recover", repo=f"{repo.kind} {repo.full_name}", commit=head or "",
                    note="the Hub ended during a change",
                )  # fmt: skip
            current.dirty = 0


def derive(hub: Hub, repo: Repo, change: Change | None = None) -> Derived:
    """Return what the head of main says, starting from what the row says of the commit `repo.indexed`.

    `change` is what probably lies between the two.
    """
    git = hub.git.open(repo.id)
    head = git.head(MAIN)
    if head is None:
        return Derived()
    try:
        known, (gone, new) = _row(repo), _difference(git, repo.indexed or "", head, change)
    except RevisionNotFound:  # nothing was copied yet, or the history was rewritten
        known, gone, new = Derived(), [], git.tree(head, recursive=True) or []
    touched = {entry.path for entry in (*gone, *new)}
    card, found = facts.read(hub, repo, head, touched, card=known.card, known=known.facts)
    return Derived(
        indexed=head,
        storage=known.storage + sum(entry.size for entry in new) - sum(entry.size for entry in gone),
        extensions=facts.count_extensions(new, gone, known=known.extensions),
        card=card,
        facts=found,
    )


def _difference(git: GitRepository, base: str, head: str, change: Change | None) -> tuple[list[Entry], list[Entry]]:
    """Return the files that differ, as they were and as they are."""
    if change and change.touched is not None and head == change.commit and git.get_commit(head).parents == (base,):
        paths = change.touched  # looking for them means reading every folder
    else:
        paths = [path for path, _ in git.changed_paths(base, head)]
    was, now = ([entry for path in paths if (entry := git.entry(sha, path))] for sha in (base, head))
    return was, now


def _row(repo: Repo) -> Derived:
    return Derived(repo.indexed, repo.storage, repo.extensions, repo.card, repo.facts)


def _settle(hub: Hub, seen: Repo, change: Change, line: Callable[[Session], None]) -> None:
    """Write what is derived from the head, clear the mark, add a line; only the writing is in a transaction."""
    while True:
        derived = derive(hub, seen, change)
        with hub.database.write() as session:
            current = session.get_one(Repo, seen.id)
            if current.indexed == seen.indexed:
                _apply(session, current, derived)
                current.dirty = max(current.dirty - 1, 0)
                line(session)
                return
        seen = current  # another change was quicker, and what it wrote is to start from


def _apply(session: Session, repo: Repo, derived: Derived) -> None:
    known = _row(repo)
    if derived.indexed != known.indexed:
        repo.indexed, repo.updated, repo.storage = derived.indexed, now(), derived.storage
    if (derived.card, derived.facts, derived.extensions) == (known.card, known.facts, known.extensions):
        return
    repo.extensions, repo.card, repo.facts = dict(derived.extensions), dict(derived.card), dict(derived.facts)
    tags = facts.tags(repo.kind, derived.card, derived.facts, derived.extensions)
    repo.text = facts.search_text(derived.facts, tags)
    _set_tags(session, repo.id, tags)


def _set_tags(session: Session, repo_id: str, tags: Iterable[str]) -> None:
    held, wanted = set(session.execute(select(RepoTag.tag).where(RepoTag.repo_id == repo_id)).scalars()), set(tags)
    if gone := held - wanted:
        session.execute(delete(RepoTag).where(RepoTag.repo_id == repo_id, RepoTag.tag.in_(gone)))
    session.add_all(RepoTag(repo_id=repo_id, tag=tag) for tag in sorted(wanted - held))
