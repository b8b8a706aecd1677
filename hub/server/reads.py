"""What reading leaves behind: a line in the audit log, written before the first byte is sent, and a count of downloads.

A download, in the count, is whatever one caller fetches of one repository with a Hugging Face client without a pause of
five minutes: a snapshot of 2,000 files counts once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from medhub.server import audit
from medhub.server.access import Principal
from medhub.server.database import Database
from medhub.server.tables import AuditRecord, Repo, now

if TYPE_CHECKING:
    from medhub.server.hub import Hub

PAUSE = timedelta(minutes=5)
DOWNLOAD = "download"
"""How the note of a download's lines begins."""


def record(
    hub: Hub,
    principal: Principal,
    repo: Repo,
    action: str,
    *,
    commit: str = "",
    path: str = "",
    size: int = 0,
    note: str = "",
    counts: bool = False,
) -> None:
    """Append a line to the audit log; where the read `counts`, and begins a download, count that in the repository."""
    name = f"{repo.kind} {repo.full_name}"
    if counts:
        note = f"{DOWNLOAD} {note}".rstrip()
        with hub.database.read() as session:
            counts = _first(session, principal, name)

    def write(session: Session) -> None:
        if counts and _first(session, principal, name):
            session.execute(update(Repo).where(Repo.id == repo.id).values(downloads=Repo.downloads + 1))
        audit.record(session, principal, action, repo=name, commit=commit, path=path, size=size, note=note)

    _shared(hub.database).write(write)


class SharedWrites:
    """Small writes that share transactions: what comes while one is under way waits together, and for the disk once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._waiting: deque[_Write] = deque()

    def write(self, work: Callable[[Session], None]) -> None:
        """Do `work` in a write transaction, and return when it is durable. Raises what stopped the transaction."""
        mine = _Write(work)
        self._waiting.append(mine)
        with self._turn:
            if not mine.done:
                self._do([self._waiting.popleft() for _ in range(len(self._waiting))])
        if mine.error:
            raise mine.error

    def _do(self, batch: list[_Write]) -> None:
        error = None
        try:
            with self._database.write() as session:
                for one in batch:
                    one.work(session)
        except BaseException as found:
            error = found
        for one in batch:
            one.done, one.error = True, error


@dataclass
class _Write:
    work: Callable[[Session], None]
    done: bool = False
    error: BaseException | None = None


_shared_writes: WeakKeyDictionary[Database, SharedWrites] = WeakKeyDictionary()


def _shared(database: Database) -> SharedWrites:
    return _shared_writes.setdefault(database, SharedWrites(database))


def _first(session: Session, principal: Principal, name: str) -> bool:
    """Return whether the caller downloaded nothing of this repository for a while."""
    caller = {"repo": name, "actor": principal.name or "", "address": principal.address}
    return session.execute(_EARLIER, {**caller, "since": now() - PAUSE}).scalar() is None


# by two indexes: the last line before the pause, then this repository's lines behind it, the newest first
_BEFORE = (
    select(AuditRecord.number)
    .where(AuditRecord.time < bindparam("since"))
    .order_by(AuditRecord.time.desc())
    .limit(1)
    .scalar_subquery()
)
_EARLIER = (
    select(AuditRecord.number)
    .where(AuditRecord.repo == bindparam("repo"), AuditRecord.number > func.coalesce(_BEFORE, 0))
    .where(AuditRecord.note.startswith(DOWNLOAD), AuditRecord.actor == bindparam("actor"))
    .where(AuditRecord.address == bindparam("address"))
    .order_by(AuditRecord.number.desc())
    .limit(1)
)
