"""The audit log: who read or wrote what, append-only, each line chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from medhub.server.tables import AuditRecord, now

if TYPE_CHECKING:
    from medhub.server.access import Principal

START = "0" * 64
"""What the first line is chained to."""


def record(
    session: Session,
    principal: Principal,
    action: str,
    *,
    repo: str = "",
    commit: str = "",
    path: str = "",
    size: int = 0,
    note: str = "",
) -> None:
    """Append a line, in the write transaction of what it tells, so that neither can stand without the other.

    `action` is "noun.verb" ("repo.create", "file.read"); `repo` is "model ns/name"; `size` counts bytes.
    """
    last = session.execute(select(AuditRecord).order_by(AuditRecord.number.desc()).limit(1)).scalar()
    line = AuditRecord(
        number=last.number + 1 if last else 1, time=now(),
        actor=principal.name or "", token_id=principal.token_id or "", address=principal.address,
        action=action, repo=repo, commit=commit, path=path, bytes=size, note=note,
    )  # fmt: skip
    line.hash = _hash(line, last.hash if last else START)
    session.add(line)
    session.flush()


def lines(session: Session, *, since: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the log's lines after number `since` as plain data, oldest first."""
    found = session.execute(select(AuditRecord).where(AuditRecord.number > since).order_by(AuditRecord.number))
    for line in found.scalars().yield_per(1000):
        yield _content(line) | {"hash": line.hash}


def verify(session: Session) -> list[str]:
    """Return what is wrong with the chain, a sentence each: a line that was changed, is missing or was slipped in."""
    faults = []
    previous, number = START, 0
    for line in session.execute(select(AuditRecord).order_by(AuditRecord.number)).scalars().yield_per(1000):
        if line.number != number + 1:
            faults.append(f"audit lines {number + 1} to {line.number - 1} are missing")
        elif line.hash != _hash(line, previous):
            faults.append(f"audit line {line.number} is not what was written")
        previous, number = line.hash, line.number
    return faults


def _content(line: AuditRecord) -> dict[str, Any]:
    names = ("number", "actor", "token_id", "address", "action", "repo", "commit", "path", "bytes", "note")
    return {"time": line.time.isoformat()} | {name: getattr(line, name) for name in names}


def _hash(line: AuditRecord, previous: str) -> str:
    return hashlib.sha256((previous + json.dumps(_content(line), sort_keys=True)).encode()).hexdigest()
