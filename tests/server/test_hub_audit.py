"""The audit log: a chain in which no line can be changed, dropped or put in between without a trace."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from medhub.server import audit
from medhub.server.access import Principal
from medhub.server.database import Database
from medhub.server.tables import AuditRecord

ALICE = Principal(id="a" * 24, name="alice", token_id="t" * 24, address="10.1.2.3")


def write(database: Database, number: int) -> None:
    with database.write() as session:
        audit.record(session, ALICE, "file.read", repo="model a/b", path=f"{number}.txt", size=number)


def test_lines_say_who_what_and_where_in_order(database: Database) -> None:
    for number in range(3):
        write(database, number)
    with database.read() as session:
        lines = list(audit.lines(session, since=1))
        assert audit.verify(session) == []
    assert [line["number"] for line in lines] == [2, 3]
    assert lines[0]["actor"] == "alice"
    assert lines[0]["address"] == "10.1.2.3"
    assert lines[0]["path"] == "1.txt"


def test_many_writers_make_one_chain(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write(database, number), range(60)))
    with database.read() as session:
        assert audit.verify(session) == []
        assert len(list(audit.lines(session))) == 60


def test_two_processes_make_one_chain(database: Database, tmp_path: Path) -> None:
    for _ in range(2):
        other = Database(f"sqlite:///{tmp_path}/hub.sqlite")  # what another process would open
        for number in range(3):
            write(database, number)
            write(other, number)
        other.close()
    with database.read() as session:
        assert audit.verify(session) == []
        assert [line["number"] for line in audit.lines(session)] == list(range(1, 13))


def test_the_chain_is_of_this_form(database: Database) -> None:
    """Lines of earlier versions stay valid: each hash is of the hash before and the line as JSON, its keys sorted."""
    write(database, 0)
    write(database, 1)
    with database.read() as session:
        lines = list(audit.lines(session))
    previous = "0" * 64
    for line in lines:
        found = line.pop("hash")
        assert line["time"].endswith("+00:00")
        assert hashlib.sha256((previous + json.dumps(line, sort_keys=True)).encode()).hexdigest() == found
        previous = found


def test_a_change_that_fails_leaves_no_line(database: Database) -> None:
    def record_and_fail() -> None:
        with database.write() as session:
            audit.record(session, ALICE, "repo.create")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        record_and_fail()
    with database.read() as session:
        assert list(audit.lines(session)) == []


def test_a_changed_line_is_found(database: Database) -> None:
    for number in range(4):
        write(database, number)
    with database.write() as session:
        session.execute(update(AuditRecord).where(AuditRecord.number == 2).values(actor="bob"))
    with database.read() as session:
        assert audit.verify(session) == ["audit line 2 is not what was written"]


def test_a_dropped_line_is_found(database: Database) -> None:
    for number in range(4):
        write(database, number)
    with database.write() as session:
        session.execute(delete(AuditRecord).where(AuditRecord.number == 2))
    with database.read() as session:
        assert audit.verify(session) == ["audit lines 2 to 2 are missing"]
