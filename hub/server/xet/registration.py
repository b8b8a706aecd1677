"""Taking in what Xet clients send: xorbs, and shards, which make files of them.

A shard names chunks; naming is not having. A file is made of xorbs that its sender may use, and stands only when its
content was decoded and has the sha256 that the shard gives it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from medhub.server import audit, contents
from medhub.server.access import Principal, Right, right_on
from medhub.server.errors import BadRequest
from medhub.server.storage.blobs import Upload
from medhub.server.tables import Content, ContentXorb, Repo, RepoContent, Xorb, XorbOwner, now
from medhub.server.xet import store
from medhub.server.xet.shard import FileRecord, check_file, parse
from medhub.server.xet.xorb import Xorb as ChunkTable
from medhub.server.xet.xorb import inspect

if TYPE_CHECKING:
    from medhub.server.hub import Hub

KEPT_TABLES = 64
"""Chunk tables that the check of a shard remembers, of 320 KiB at most each."""
STEP = 32 << 20
"""Bytes between two reports of progress."""
Item = TypeVar("Item")


def register_xorb(hub: Hub, principal: Principal, name: str, upload: Upload) -> bool:
    """Keep a xorb for the one who sent it; return whether that one had not sent it before, whoever else had.

    Raises BadRequest where the bytes are no xorb or one of another hash, Swept where a sweep came in between.
    """
    found = inspect(upload.path())
    if found.hash != name:
        raise BadRequest(f"the chunks make up xorb {found.hash}, not {name}; nothing was stored")
    store.keep_xorb(upload, found)
    with hub.database.write() as session:
        # A sweep looks for this row in the write transaction that deletes the bytes: one of the two sees the other.
        size = hub.blobs.size(store.xorb_key(name))
        if size is None:
            raise _swept()
        session.merge(Xorb(hash=name, size=size, created=now()))
        session.flush()
        new = session.get(XorbOwner, (name, principal.id)) is None
        if new:
            session.add(XorbOwner(hash=name, user_id=principal.id))
    return new


def register_shard(hub: Hub, principal: Principal, repo: Repo, data: bytes) -> Iterator[tuple[int, int]]:
    """Register the files of a shard in a repository, all or none; yield how many bytes are verified, and of how many.

    Nothing stands before the iterator's end. Raises BadRequest where the shard is none, names what the caller may not
    use, or gives a file another hash or sha256 than its content has; Swept where a sweep came in between.
    """
    files = _files(hub, principal, data)
    held, lost = _held(hub, files)
    total, verified, reported = sum(file.size for file in files), 0, 0
    with ThreadPoolExecutor(1) as hashing:
        for file in files:
            # the hash covers all chunks, which were hashed when they came: what the Hub verified once is the same file
            for size in [file.size] if held.get(file.sha256) == file.file_hash else _verify(hub, file, hashing):
                verified += size
                if verified - reported >= STEP:
                    reported = verified
                    yield verified, total
    with hub.database.write() as session:
        _insert(session, files, lost)
        contents.link(session, repo.id, *(file.sha256 for file in files))
        only, note = files[0].sha256 if len(files) == 1 else "", f"{len(files)} large files"
        name = f"{repo.kind} {repo.full_name}"
        audit.record(session, principal, "xet.upload", repo=name, path=only, size=total, note=note)
    yield total, total


class _Tables(Mapping[str, ChunkTable]):
    """The chunk tables of the xorbs that a caller may use, read when they are asked for."""

    def __init__(self, hub: Hub, names: set[str]) -> None:
        self._names = names
        self._open = lru_cache(KEPT_TABLES)(partial(store.open_xorb, hub))

    def __getitem__(self, name: str) -> ChunkTable:
        if name not in self._names:
            raise KeyError(name)
        return self._open(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _files(hub: Hub, principal: Principal, data: bytes) -> list[Content]:
    """Return the files of a shard, each once, with the hashes that it gives them; their sha256s are claims as yet."""
    records: dict[str, FileRecord] = {}
    for record in parse(data).files:
        if record.sha256 is None:
            raise BadRequest(f"file {record.hash} comes without its sha256, which repositories need")
        records[record.sha256] = record
    named = {term.xorb_hash for record in records.values() for term in record.terms}
    tables = _Tables(hub, _usable(hub, principal, named))
    return [_content(sha256, record, check_file(record, tables)) for sha256, record in records.items()]


def _content(sha256: str, record: FileRecord, size: int) -> Content:
    terms = [[term.xorb_hash, term.start, term.end, term.unpacked_length] for term in record.terms]
    return Content(sha256=sha256, size=size, file_hash=record.hash, terms=terms, created=now())


def _usable(hub: Hub, principal: Principal, names: set[str]) -> set[str]:
    """Return the xorbs that the caller sent, or that a file needs which the caller may read (section 12, rule 1)."""
    usable: set[str] = set()
    with hub.database.read() as session:
        readable = lru_cache(None)(partial(_may_read, hub, session, principal))
        for batch in _batches(names):
            own = select(XorbOwner.hash).where(XorbOwner.user_id == principal.id, XorbOwner.hash.in_(batch))
            usable.update(session.execute(own).scalars())
            holders = select(ContentXorb.hash, RepoContent.repo_id).distinct()
            holders = holders.join(RepoContent, RepoContent.sha256 == ContentXorb.sha256)
            foreign = holders.where(ContentXorb.hash.in_(set(batch) - usable))
            usable.update(name for name, repo_id in session.execute(foreign) if readable(repo_id))
    return usable


def _may_read(hub: Hub, session: Session, principal: Principal, repo_id: str) -> bool:
    repo = session.get(Repo, repo_id)
    return repo is not None and right_on(session, principal, repo, anonymous=hub.settings.anonymous) >= Right.READ


def _held(hub: Hub, files: Iterable[Content]) -> tuple[dict[str, str | None], set[str]]:
    """Return the hashes of those of the files that the Hub has already, and which of these have lost their bytes."""
    held: dict[str, str | None] = {}
    lost = set()
    with hub.database.read() as session:
        for file in files:
            found = contents.find(session, file.sha256)
            if found is not None and contents.presence(hub, found):
                held[file.sha256] = found.file_hash
            elif found is not None:
                lost.add(file.sha256)
    return held, lost


def _verify(hub: Hub, file: Content, hashing: ThreadPoolExecutor) -> Iterator[int]:
    """Decode a file, and hash each piece while the next is decoded; yield the pieces' sizes. Raises BadRequest."""
    digest = hashlib.sha256()
    under_way: Future[None] | None = None
    for piece in store.read_file(hub, file, 0, file.size):
        if under_way:
            under_way.result()
        under_way = hashing.submit(digest.update, piece)
        yield len(piece)
    if under_way:
        under_way.result()
    if digest.hexdigest() != file.sha256:
        raise BadRequest(f"the content of file {file.file_hash} has the sha256 {digest.hexdigest()}, not {file.sha256}")


def _insert(session: Session, files: Iterable[Content], lost: set[str]) -> None:
    """Make the rows of the files that are new; one that is there stays in its form, unless its bytes are `lost`."""
    for batch in _batches(files):
        names = [file.sha256 for file in batch]
        there = set(session.execute(select(Content.sha256).where(Content.sha256.in_(names))).scalars())
        for file in batch:
            if file.sha256 in there & lost:
                session.execute(delete(ContentXorb).where(ContentXorb.sha256 == file.sha256))
                form = {"file_hash": file.file_hash, "terms": file.terms}
                session.execute(update(Content).where(Content.sha256 == file.sha256).values(form))
        new = [file for file in batch if file.sha256 not in there]
        if new:
            columns = ("sha256", "size", "file_hash", "terms", "created")
            session.execute(insert(Content), [{name: getattr(file, name) for name in columns} for file in new])
        _need_xorbs(session, [file for file in batch if file.sha256 not in there - lost])


def _need_xorbs(session: Session, files: Iterable[Content]) -> None:
    pairs = {(file.sha256, term[0]) for file in files for term in file.terms}
    for batch in _batches({name for _, name in pairs}):
        if len(session.execute(select(Xorb.hash).where(Xorb.hash.in_(batch))).all()) < len(batch):
            raise _swept()
    if pairs:
        session.execute(insert(ContentXorb), [{"sha256": sha256, "hash": name} for sha256, name in pairs])


def _swept() -> contents.Swept:
    return contents.Swept("the Hub was tidying up the same bytes; send them again", headers={"Retry-After": "1"})


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, contents.BATCH)):
        yield batch
