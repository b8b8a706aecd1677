"""What reading leaves behind: a line in the audit log, written before the first byte is sent, and a count of downloads.

A download, in the count, is whatever one caller fetches of one repository with a Hugging Face client without a pause of
five minutes: a snapshot of 2,000 files counts once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    shared = _shared(hub.database)
    reading = (name, principal.name or "", principal.address)
    if counts:
        note = f"{DOWNLOAD} {note}".rstrip()
    unsure = counts and not shared.recent.holds(reading)

    def write(session: Session) -> None:
        if unsure and _first(session, reading):
            session.execute(update(Repo).where(Repo.id == repo.id).values(downloads=Repo.downloads + 1))
        audit.record(session, principal, action, repo=name, commit=commit, path=path, size=size, note=note)

    shared.write(write)
    if counts:
        shared.recent.add(reading)


Reading = tuple[str, str, str]
"""A repository's kind and name, who reads there, and from which address."""


class Recent:
    """The downloads of the last minutes, as far as this process wrote them and memory is meant for them.

    What it holds has its line in the log; of what it does not hold, only the log can tell.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._times: dict[Reading, datetime] = {}  # the latest last
        self._turn = threading.Lock()

    def holds(self, reading: Reading) -> bool:
        """Return whether there was such a download within the pause."""
        last = self._times.get(reading)
        return last is not None and now() - last < PAUSE

    def add(self, reading: Reading) -> None:
        """Note a download whose line is written; of more than `most` the oldest is forgotten."""
        with self._turn:
            self._times.pop(reading, None)
            self._times[reading] = now()
            if len(self._times) > self._most:
                del self._times[next(iter(self._times))]


class SharedWrites:
    """Small writes that share transactions: what comes while one is under way waits together, and for the disk once."""

    def __init__(self, database: Database) -> None:
        self.recent = Recent()
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


def _first(session: Session, reading: Reading) -> bool:
    """Return whether the caller downloaded nothing of this repository for a while."""
    repo, actor, address = reading
    asked = {"repo": repo, "actor": actor, "address": address, "since": now() - PAUSE}
    return session.execute(_EARLIER, asked).scalar() is None


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
