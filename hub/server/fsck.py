"""Whether a Hub is whole: git against the database, the database against the blob store, the audit log against itself.

It may run beside a Hub at work. What is being changed can look wrong for a moment: a fault is what a second look finds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from medhub.server import audit, contents, facts, index
from medhub.server.discussions import SHOWN, ref_of
from medhub.server.errors import Refusal
from medhub.server.storage.git import GitRepository
from medhub.server.storage.revisions import MAIN
from medhub.server.tables import Content, Discussion, Repo, RepoContent, RepoTag, Xorb
from medhub.server.xet import store as xet
from medhub.server.xet.hashes import aggregated_hash, to_string

if TYPE_CHECKING:
    from medhub.server.hub import Hub

DERIVED = ("indexed", "extensions", "card", "facts", "text", "storage")
"""Columns of a repository that are read from git."""
PAGE = 1000


def find_faults(hub: Hub, *, deep: bool = False) -> Iterator[str]:
    """Yield what is wrong, a line each; `deep` also reads and hashes every byte of the large files."""
    yield from _database(hub)
    for repo_id in _keys(hub, Repo.id):
        yield from _twice(partial(_repository, hub, repo_id))
    for sha256 in _keys(hub, Content.sha256):
        yield from _twice(partial(_content, hub, sha256, deep=deep))
    for xorb in _keys(hub, Xorb.hash):
        yield from _twice(partial(_xorb, hub, xorb, deep=deep))
    with hub.database.read() as session:
        yield from audit.verify(session)


def orphans(hub: Hub) -> list[str]:
    """Return the git folders of no repository, which creations leave that are cut off, or still under way: harmless."""
    folders = sorted(hub.git.uids())
    known = set(_keys(hub, Repo.id))
    return [folder for folder in folders if folder not in known]


def rebuild(hub: Hub) -> int:
    """Derive anew what the database has from git, where git is whole; return of how many repositories."""
    count = 0
    for repo_id in _keys(hub, Repo.id):
        with suppress(KeyError):
            if hub.git.open(repo_id).fsck():
                continue
            with hub.database.write() as session:
                count += _rebuild(hub, session, session.get_one(Repo, repo_id))
    return count


def _rebuild(hub: Hub, session: Session, repo: Repo) -> bool:
    if repo.deleted:
        return False
    updated = repo.updated
    repo.indexed, repo.storage, repo.text, repo.extensions, repo.card, repo.facts = None, 0, "", {}, {}, {}
    session.execute(delete(RepoTag).where(RepoTag.repo_id == repo.id))
    index.refresh(hub, session, repo)
    repo.updated = updated  # no file has changed
    return True


def _database(hub: Hub) -> Iterator[str]:
    with hub.database.read() as session:
        if session.get_bind().dialect.name == "sqlite":
            found = session.execute(text("PRAGMA integrity_check")).scalars()
            yield from (f"database: {line}" for line in found if line != "ok")


def _repository(hub: Hub, repo_id: str) -> Iterator[str]:
    with hub.database.read() as session:
        repo = session.get(Repo, repo_id)
    if repo is None or repo.deleted:
        return
    try:
        git = hub.git.open(repo_id)
    except KeyError:
        yield f"{_name(repo)}: its git folder is missing; restore it from a backup, or delete the repository"
        return
    if broken := git.fsck():
        yield from (f"{_name(repo)}: git: {line}" for line in broken)
        return  # what stands on broken objects cannot be followed
    if git.head(MAIN) is None:
        yield f"{_name(repo)}: it has no branch main"
    yield from _pointers(hub, repo, git)
    yield from _pull_requests(hub, repo, git)
    yield from _index(hub, repo)


def _pointers(hub: Hub, repo: Repo, git: GitRepository) -> Iterator[str]:
    """Yield the large files that a commit names and the repository has not; _content looks for bytes."""
    needed = git.reachable_pointers()
    query = select(Content.sha256, Content.size).join(RepoContent, RepoContent.sha256 == Content.sha256)
    with hub.database.read() as session:
        rows = session.execute(query.where(RepoContent.repo_id == repo.id))
        held = {row.sha256: row.size for row in rows}
    for sha256, size in needed:
        if sha256 not in held:
            yield f"{_name(repo)}: a commit names the large file {sha256}, which the repository has not"
        elif held[sha256] != size:
            yield f"{_name(repo)}: a commit gives the large file {sha256} {size} bytes; it has {held[sha256]}"


def _pull_requests(hub: Hub, repo: Repo, git: GitRepository) -> Iterator[str]:
    opened = select(Discussion).where(
        Discussion.repo_id == repo.id, Discussion.pull_request, Discussion.status.in_(SHOWN["open"])
    )
    with hub.database.read() as session:
        waiting = session.execute(opened).scalars().all()
    for request in waiting:
        if git.head(ref_of(request)) is None:
            yield f"{_name(repo)}: the open pull request {request.number} has no {ref_of(request)}"


def _index(hub: Hub, repo: Repo) -> Iterator[str]:
    """Yield what the database says otherwise than git does; of a repository that is being changed, nothing."""
    with hub.database.read() as session:
        current = session.get_one(Repo, repo.id)
        held = {name: getattr(current, name) for name in DERIVED} | {"tags": _tags(session, repo.id)}
    if current.dirty:
        return
    derived = index.derive(hub, Repo(id=repo.id, kind=repo.kind))
    tags = facts.tags(repo.kind, derived.card, derived.facts, derived.extensions)
    right = {"tags": sorted(set(tags)), "text": facts.search_text(derived.facts, tags)}
    if wrong := [name for name in held if held[name] != (right[name] if name in right else getattr(derived, name))]:
        yield f"{_name(repo)}: {', '.join(wrong)} in the database are not what git has; --repair derives them anew"


def _content(hub: Hub, sha256: str, *, deep: bool) -> Iterator[str]:
    with hub.database.read() as session:
        content = contents.find(session, sha256)
    if content is None:
        return
    if not contents.presence(hub, content):
        yield f"large file {sha256}: bytes are missing from the blob store"
    elif content.file_hash is not None and sum(term[3] for term in content.terms) != content.size:
        yield f"large file {sha256}: its recipe does not make {content.size} bytes"
    elif deep and (found := _digest(hub, content)) != sha256:
        yield f"large file {sha256}: its bytes are not what was stored ({found})"


def _digest(hub: Hub, content: Content) -> str:
    digest = hashlib.sha256()
    try:
        for piece in contents.read(hub, content):
            digest.update(piece)
    except (KeyError, OSError, Refusal) as error:
        return f"unreadable: {error}"
    return digest.hexdigest()


def _xorb(hub: Hub, name: str, *, deep: bool) -> Iterator[str]:
    with hub.database.read() as session:
        row = session.get(Xorb, name)
    if row is None:
        return
    size = hub.blobs.size(xet.xorb_key(name))
    if size is None:
        yield f"xorb {name}: it is missing from the blob store"
    elif size != row.size:
        yield f"xorb {name}: it has {size} bytes, and had {row.size}"
    elif deep and not _is_sound(hub, name):
        yield f"xorb {name}: its chunks are not what was stored"


def _is_sound(hub: Hub, name: str) -> bool:
    """Return whether a xorb's table has the hash that the xorb is called by, and each chunk the hash in the table."""
    try:
        table = xet.open_xorb(hub, name)
        nodes = [(digest, length) for digest, length, _ in table.chunks()]
        size = sum(length for _, length in nodes)
        whole = Content(size=size, terms=[(name, 0, len(table), size)])
        read = sum(map(len, xet.read_file(hub, whole, 0, size)))
    except (KeyError, OSError, Refusal):
        return False
    return read == size and to_string(aggregated_hash(nodes)) == name


def _tags(session: Session, repo_id: str) -> list[str]:
    return sorted(session.execute(select(RepoTag.tag).where(RepoTag.repo_id == repo_id)).scalars())


def _twice(check: Callable[[], Iterable[str]]) -> list[str]:
    first = list(check())
    return [fault for fault in check() if fault in first] if first else []


def _keys(hub: Hub, column: InstrumentedAttribute[str]) -> Iterator[str]:
    """Yield all values of a primary key, in short transactions."""
    last = ""
    while True:
        with hub.database.read() as session:
            page = session.execute(select(column).where(column > last).order_by(column).limit(PAGE)).scalars().all()
        yield from page
        if len(page) < PAGE:
            return
        last = page[-1]


def _name(repo: Repo) -> str:
    return f"{repo.kind} {repo.full_name}"
