"""The audit log: who read or wrote what, append-only, each line chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from medhub.server.tables import Table, now

if TYPE_CHECKING:
    from medhub.server.access import Principal

START = "0" * 64
"""What the first line is chained to."""
# every read passes here: plain statements, built once, cost a third of what rows as objects do
LOG = Table.metadata.tables["audit"]
LAST = select(LOG.c.number, LOG.c.hash).order_by(LOG.c.number.desc()).limit(1)
ADD = insert(LOG)


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
    last, previous = session.execute(LAST).first() or (0, START)
    line = {
        "number": last + 1, "time": now(),
        "actor": principal.name or "", "token_id": principal.token_id or "", "address": principal.address,
        "action": action, "repo": repo, "commit": commit, "path": path, "bytes": size, "note": note,
    }  # fmt: skip
    session.execute(ADD, {**line, "hash": _hash(line, previous)})


def lines(session: Session, *, since: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the log's lines after number `since` as plain data, oldest first."""
    found = session.execute(select(LOG).where(LOG.c.number > since).order_by(LOG.c.number))
    for line in found.yield_per(1000).mappings():
        yield _content(line) | {"hash": line["hash"]}


def verify(session: Session) -> list[str]:
    """Return what is wrong with the chain, a sentence each: a line that was changed, is missing or was slipped in."""
    faults = []
    previous, number = START, 0
    for line in session.execute(select(LOG).order_by(LOG.c.number)).yield_per(1000).mappings():
        if line["number"] != number + 1:
            faults.append(f"audit lines {number + 1} to {line['number'] - 1} are missing")
        elif line["hash"] != _hash(line, previous):
            faults.append(f"audit line {line['number']} is not what was written")
        previous, number = line["hash"], line["number"]
    return faults


def _content(line: Mapping[Any, Any]) -> dict[str, Any]:
    names = ("number", "actor", "token_id", "address", "action", "repo", "commit", "path", "bytes", "note")
    return {"time": line["time"].isoformat()} | {name: line[name] for name in names}


def _hash(line: Mapping[Any, Any], previous: str) -> str:
    return hashlib.sha256((previous + json.dumps(_content(line), sort_keys=True)).encode()).hexdigest()
