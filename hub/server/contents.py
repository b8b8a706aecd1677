"""Large files by their sha256, whatever form they lie in: whole in the blob store, or as a Xet recipe over xorbs.

A repository has a content through a link (RepoContent) only. Naming a sha256 is not permission to read it: links are
what uploads make, what commits and pushes demand, and what downloads look through (protocol, section 12).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from medhub.server import audit
from medhub.server.access import Principal, Right, right_on, visible
from medhub.server.errors import Refusal
from medhub.server.storage.blobs import Upload
from medhub.server.storage.git import Entry
from medhub.server.tables import Content, ContentXorb, Repo, RepoContent, now
from medhub.server.xet import store as xet

if TYPE_CHECKING:
    from medhub.server.hub import Hub

SHA256 = re.compile("[0-9a-f]{64}")
BATCH = 1000
"""Rows that one statement names."""


class Swept(Refusal):
    """A sweep removed the bytes while the same bytes arrived; clients send them again after this status."""

    status = 503


def lfs_key(sha256: str) -> str:
    """Return where the blob store keeps a content that is whole."""
    return f"lfs/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def find(session: Session, sha256: str) -> Content | None:
    """Return the content of this sha256, whoever has it; what a caller may read, `linked` and `usable` say."""
    return session.get(Content, sha256)


def linked(session: Session, repo_id: str, sha256: str) -> Content | None:
    """Return the content where the repository has it."""
    link = select(Content).join(RepoContent, RepoContent.sha256 == Content.sha256)
    return session.execute(link.where(RepoContent.repo_id == repo_id, Content.sha256 == sha256)).scalar()


def usable(session: Session, hub: Hub, principal: Principal, repo: Repo, sha256: str) -> Content | None:
    """Return the content where the repository has it, or another one that the caller may read (section 12, rule 1)."""
    if content := linked(session, repo.id, sha256):
        return content
    anonymous = hub.settings.anonymous
    holders = select(Repo).join(RepoContent, RepoContent.repo_id == Repo.id).where(RepoContent.sha256 == sha256)
    for holder in session.execute(holders.where(visible(principal, anonymous=anonymous))).scalars():
        if right_on(session, principal, holder, anonymous=anonymous) >= Right.READ:
            return find(session, sha256)
    return None


def link(session: Session, repo_id: str, *sha256s: str) -> int:
    """Give a repository contents; return how many it did not have. The links are young now, and no sweep takes them.

    Raises Swept where a content is not there any more.
    """
    count = 0
    for first in range(0, len(sha256s), BATCH):
        batch = set(sha256s[first : first + BATCH])
        here = (RepoContent.repo_id == repo_id, RepoContent.sha256.in_(batch))
        session.execute(update(RepoContent).where(*here).values(used=now()))
        new = batch.difference(session.execute(select(RepoContent.sha256).where(*here)).scalars())
        if len(new) > len(session.execute(select(Content.sha256).where(Content.sha256.in_(new))).all()):
            raise Swept("a large file was removed before it was used; send it again", headers={"Retry-After": "1"})
        if new:
            session.execute(insert(RepoContent), [{"repo_id": repo_id, "sha256": sha256} for sha256 in new])
        count += len(new)
    return count


def presence(hub: Hub, content: Content) -> bool:
    """Return whether all bytes of a content are in the blob store."""
    if content.file_hash is None:
        return hub.blobs.size(lfs_key(content.sha256)) == content.size
    return all(hub.blobs.size(xet.xorb_key(xorb)) is not None for xorb in {term[0] for term in content.terms})


def read(hub: Hub, content: Content, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield the bytes [start, stop). Raises KeyError before the first piece where the store lost them."""
    if content.file_hash is None:
        return hub.blobs.read(lfs_key(content.sha256), start, stop)
    return xet.read_file(hub, content, start, content.size if stop is None else stop)


def read_entry(hub: Hub, repo: Repo, entry: Entry, start: int, stop: int) -> bytes:
    """Return the bytes [start, stop) of a file of a repository, be it in git or large; none behind its end.

    Raises KeyError where the repository has only a pointer to it, or the store lost it.
    """
    if entry.lfs is None:
        return hub.git.open(repo.id).read(entry.oid)[start:stop]
    with hub.database.read() as session:
        content = linked(session, repo.id, entry.lfs.sha256)
    if content is None:
        raise KeyError(entry.lfs.sha256)
    return b"".join(read(hub, content, min(start, content.size), min(stop, content.size)))


def store(hub: Hub, repo: Repo, upload: Upload, sha256: str, size: int, *, principal: Principal) -> None:
    """Keep a finished upload, whose bytes were hashed, and link it; what is there already stays in its form.

    Raises Swept where a sweep removed the same content in between.
    """
    with hub.database.read() as session:
        held = find(session, sha256)
    if held is None or not presence(hub, held):
        upload.commit(lfs_key(sha256))
    upload.discard()
    with hub.database.write() as session:
        content = find(session, sha256)
        if content is None or not presence(hub, content):
            session.execute(delete(ContentXorb).where(ContentXorb.sha256 == sha256))
            content = session.merge(Content(sha256=sha256, size=size, file_hash=None, terms=[]))
            session.flush()
        # A sweep deletes bytes in a write transaction that looks for this row: it finds the row, or this finds the gap.
        if not presence(hub, content):
            raise Swept("the Hub was tidying up the same bytes; send them again", headers={"Retry-After": "1"})
        link(session, repo.id, sha256)
        audit.record(session, principal, "lfs.upload", repo=f"{repo.kind} {repo.full_name}", path=sha256, size=size)
