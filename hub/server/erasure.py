"""Giving up large files: the sweep of what nothing needs any more, and erasure of named files (protocol, section 11).

Rows go first, in one transaction that looks again at what it deletes; bytes follow, each looked up once more. Whoever
stores bytes checks in the transaction that makes the row that they are there. So neither takes from the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from medhub.server import audit, contents, index, transfers
from medhub.server.access import OPERATOR, Principal
from medhub.server.tables import Content, ContentXorb, Epoch, Repo, RepoContent, Xorb, now
from medhub.server.xet import store as xet

if TYPE_CHECKING:
    from medhub.server.hub import Hub

NEEDED = select(ContentXorb.hash).where(ContentXorb.hash == Xorb.hash).exists()
GRACE = timedelta(days=14)
PAGE = 1000
Item = TypeVar("Item")


@dataclass
class Report:
    """What was given up, or would be."""

    repositories: int = 0  # deleted before the grace, now for good
    links: int = 0  # of a repository to a large file that no ref of it names
    contents: int = 0  # large files that no repository has
    xorbs: int = 0  # blocks of chunks that no large file needs
    leftovers: int = 0  # blobs of uploads that were never finished
    bytes: int = 0
    held: int = 0  # named files that other repositories have as well: their bytes stay
    shared: int = 0  # xorbs of named files that hold chunks of other files as well: they stay

    def __str__(self) -> str:
        return (
            f"{self.bytes} bytes: {self.contents} large files that no repository needs, {self.xorbs} blocks of chunks "
            f"that no large file needs, {self.leftovers} leftovers of uploads, {self.repositories} deleted repositories"
        )


class _Dry(Exception):
    """Ends a transaction that was only to show what it would do."""


def epoch(session: Session) -> int:
    """Return a number that grows whenever xorbs are removed, for the address by which Xet clients remember xorbs."""
    return session.execute(select(func.max(Epoch.number))).scalar() or 1


def listing(hub: Hub, repo: Repo, *, after: str) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of a repository's large files as the API shows them, and where the next begins (section 3.14)."""
    rows = (
        select(RepoContent.sha256, RepoContent.created, Content.size)
        .join(Content)
        .where(RepoContent.repo_id == repo.id)
    )
    with hub.database.read() as session:
        found = session.execute(rows.where(RepoContent.sha256 > after).order_by(RepoContent.sha256).limit(PAGE)).all()
    names = _names(hub, repo, (row.sha256 for row in found))
    items = [
        {"fileOid": sha256, "oid": sha256, "size": size, "pushedAt": created, "filename": sha256, "ref": None}
        | names.get(sha256, {})
        for sha256, created, size in found
    ]
    return items, found[-1].sha256 if len(found) == PAGE else None


def erase(hub: Hub, principal: Principal, repo: Repo, sha256s: Sequence[str], *, rewrite: bool) -> Report:
    """Take large files from a repository for ever, with `rewrite` from its history; their bytes if it alone had them.

    What becomes of each file stands in the audit log only: who else has it is not for the caller to know.
    """
    if rewrite:
        note = f"without {len(sha256s)} large files"
        with index.changing(hub, principal, repo, "history.rewrite", note=note) as change:
            git = hub.git.open(repo.id)
            git.rewrite_without(set(sha256s))
            change.commit = git.head("refs/heads/main") or ""
    report = Report()
    with hub.database.write() as session:
        here = (RepoContent.repo_id == repo.id, RepoContent.sha256.in_(sha256s))
        mine = session.execute(delete(RepoContent).where(*here).returning(RepoContent.sha256)).scalars().all()
        needed = set(session.execute(select(ContentXorb.hash).where(ContentXorb.sha256.in_(mine))).scalars())
        keys = _delete_contents(session, report, Content.sha256.in_(mine)) + _delete_xorbs(session, report, needed)
        _report_erasure(session, principal, repo, report, mine, shared=len(needed) - report.xorbs)
    _delete_blobs(hub, keys)
    return report


def _report_erasure(
    session: Session, principal: Principal, repo: Repo, report: Report, sha256s: Sequence[str], *, shared: int
) -> None:
    """Complete the report, and write the audit log: a line for each file, and one where chunks stay."""
    count = func.count(RepoContent.repo_id)
    others = select(RepoContent.sha256, count).where(RepoContent.sha256.in_(sha256s)).group_by(RepoContent.sha256)
    holders = dict(session.execute(others).all())
    report.links, report.held, report.shared = len(sha256s), len(holders), shared
    name = f"{repo.kind} {repo.full_name}"
    for sha256 in sha256s:
        note = f"{holders[sha256]} other repositories have it" if sha256 in holders else "its bytes are removed"
        audit.record(session, principal, "lfs.erase", repo=name, path=sha256, note=note)
    if shared:
        note = f"{shared} xorbs stay, which hold chunks of other files as well"
        audit.record(session, principal, "lfs.erase", repo=name, note=note)


def collect(hub: Hub, principal: Principal = OPERATOR, *, grace: timedelta = GRACE, delete: bool = False) -> Report:
    """Find what no ref of any repository has needed for the time of `grace`, and with `delete` remove it.

    `grace` has to be longer than the longest upload with its commit takes, while the Hub is in use. `delete` also packs
    git's objects where they have become many.
    """
    before = now() - grace
    report = Report()
    with hub.database.read() as session:
        rows = session.execute(select(Repo.id, Repo.deleted)).all()
    buried = [repo_id for repo_id, deleted in rows if deleted and deleted < before]
    unneeded = {
        repo_id: _unneeded(hub, repo_id, before) for repo_id, deleted in rows if not deleted or deleted >= before
    }
    if delete:
        for repo_id in buried:
            hub.git.delete(repo_id)
    keys: list[str] = []
    try:
        with hub.database.write() as session:
            keys = _delete_rows(session, report, buried, unneeded, before)
            if not delete:
                raise _Dry
            audit.record(session, principal, "hub.collect", size=report.bytes, note=str(report))
    except _Dry:
        pass
    if delete:
        _delete_blobs(hub, keys)
        report.leftovers += hub.blobs.sweep(transfers.LIFETIME)
        for repo_id in unneeded:
            hub.git.open(repo_id).gc()
    for key in _leftovers(hub):
        report.leftovers += 1
        report.bytes += hub.blobs.size(key) or 0
        if delete:
            _delete_blobs(hub, [key])
    return report


def _unneeded(hub: Hub, repo_id: str, before: datetime) -> list[str]:
    """Return the large files that a repository has but no ref's history names, and that nobody used since `before`."""
    old = select(RepoContent.sha256).where(RepoContent.repo_id == repo_id, RepoContent.used < before)
    with hub.database.read() as session:
        found = set(session.execute(old).scalars())
    if found:
        found.difference_update(sha256 for sha256, _ in hub.git.open(repo_id).reachable_pointers())
    return sorted(found)


def _delete_rows(
    session: Session, report: Report, buried: Sequence[str], unneeded: dict[str, list[str]], before: datetime
) -> list[str]:
    """Delete what is not needed from the database; return the keys of the blobs that may go afterwards."""
    for repo_id in buried:
        dead = delete(Repo).where(Repo.id == repo_id, Repo.deleted < before).returning(Repo.id)
        report.repositories += len(session.execute(dead).all())
    for repo_id, sha256s in unneeded.items():
        for batch in _batches(sha256s):
            # those that an upload or a commit has named meanwhile are young again
            old = (RepoContent.repo_id == repo_id, RepoContent.sha256.in_(batch), RepoContent.used < before)
            report.links += len(session.execute(delete(RepoContent).where(*old).returning(RepoContent.sha256)).all())
    keys = _delete_contents(session, report, Content.created < before)
    free = session.execute(select(Xorb.hash).where(Xorb.created < before, ~NEEDED)).scalars().all()
    return keys + _delete_xorbs(session, report, free)


def _delete_contents(session: Session, report: Report, which: ColumnElement[bool]) -> list[str]:
    """Delete the contents that no repository has; return the keys of those that lie whole."""
    lone = ~select(RepoContent.sha256).where(RepoContent.sha256 == Content.sha256).exists()
    rows = session.execute(
        delete(Content).where(which, lone).returning(Content.sha256, Content.size, Content.file_hash)
    ).all()
    whole = [(sha256, size) for sha256, size, file_hash in rows if file_hash is None]
    report.contents += len(rows)
    report.bytes += sum(size for _, size in whole)
    return [contents.lfs_key(sha256) for sha256, _ in whole]


def _delete_xorbs(session: Session, report: Report, hashes: Iterable[str]) -> list[str]:
    """Delete those of the xorbs that no content needs, and begin a new epoch; return the keys of their blobs."""
    keys: list[str] = []
    for batch in _batches(hashes):
        lone = delete(Xorb).where(Xorb.hash.in_(batch), ~NEEDED).returning(Xorb.hash, Xorb.size)
        for found, size in session.execute(lone).all():
            report.xorbs += 1
            report.bytes += size
            keys += xet.blob_keys(found)
    if keys:
        session.add(Epoch(number=epoch(session) + 1))
    return keys


def _delete_blobs(hub: Hub, keys: Iterable[str]) -> None:
    """Delete blobs, unless a row has come that needs them; each alone, so that nobody waits long for the database."""
    for key in keys:
        with hub.database.write() as session:
            if not _known(session, [key]):
                hub.blobs.delete(key)


def _leftovers(hub: Hub) -> Iterator[str]:
    """Yield the keys of blobs without a row, which a killed upload leaves, and of parts too old to be completed."""
    for prefix in ("lfs/", "xorb/"):
        for batch in _batches(hub.blobs.keys(prefix)):
            with hub.database.read() as session:
                known = _known(session, batch)
            yield from (key for key in batch if key not in known)
    too_old = time.time() - transfers.LIFETIME
    yield from (key for key in hub.blobs.keys("part/") if transfers.part_time(key) < too_old)


def _known(session: Session, keys: Sequence[str]) -> set[str]:
    """Return those of the keys that rows of the database need."""
    names = {key.rpartition("/")[2]: key for key in keys}
    whole = select(Content.sha256).where(Content.sha256.in_(names), Content.file_hash.is_(None))
    xorbs = select(Xorb.hash).where(Xorb.hash.in_(names))
    return {names[name] for query in (whole, xorbs) for name in session.execute(query).scalars()}


def _names(hub: Hub, repo: Repo, sha256s: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return a path and a ref for those of the large files that some branch or pull request has now."""
    git, nameless = hub.git.open(repo.id), set(sha256s)
    names: dict[str, dict[str, str]] = {}
    refs = [f"refs/heads/{name}" for name in git.branches()] + [f"refs/pr/{name}" for name in git.pulls()]
    for ref in sorted(refs, key=lambda ref: ref != "refs/heads/main"):
        for entry in git.pointers(git.head(ref) or "") if nameless else ():
            if entry.lfs and entry.lfs.sha256 in nameless:
                nameless.discard(entry.lfs.sha256)
                names[entry.lfs.sha256] = {"filename": entry.path, "ref": ref}
    return names


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, PAGE)):
        yield batch
