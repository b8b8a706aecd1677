"""The database: migrations give exactly the tables of the code, and transactions keep what they promise."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select

from medhub.server import accounts
from medhub.server.database import Database
from medhub.server.tables import Account, Table


def test_the_migrations_make_the_tables_of_the_code(database: Database, tmp_path: Path) -> None:
    database.upgrade()
    engine = create_engine(f"sqlite:///{tmp_path}/hub.sqlite")
    with engine.connect() as connection:
        # the search table is SQLite's own, made by trigrams.create in both ways
        ours = {"compare_type": True, "include_name": lambda name, kind, _: not (kind == "table" and "search" in name)}
        context = MigrationContext.configure(connection, opts=ours)
        assert compare_metadata(context, Table.metadata) == []
    engine.dispose()


def test_a_write_that_fails_changes_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            accounts.create_account(session, "alice")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as session:
        assert session.execute(select(Account)).all() == []


def test_a_read_sees_one_state_while_others_write(database: Database) -> None:
    with database.read() as session:
        assert session.execute(select(Account)).all() == []
        with database.write() as writing:
            accounts.create_account(writing, "alice")
        assert session.execute(select(Account)).all() == []
    with database.read() as session:
        assert len(session.execute(select(Account)).all()) == 1
