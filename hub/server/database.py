"""The database: short transactions that read or write, and the migrations that bring it up to date."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """SQL behind two doors: `read`, and `write`, which is alone from its first statement on.

    Rows stay usable after their transaction ends; there are no lazy relations that would reach back.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, **_options(url))
        self._writers = self._engine.execution_options(writes=True)
        # threads of one process queue here and not in SQLite's polling; other processes wait in SQLite
        self._turn = threading.Lock()
        if url.startswith("sqlite"):
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that sees one state of the database and changes nothing."""
        with Session(self._engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end, or changes nothing where an error leaves it."""
        with self._turn, Session(self._writers, expire_on_commit=False) as session, session.begin():
            session.connection()  # takes the lock now, so that what is read below cannot change before it is written
            yield session

    def upgrade(self) -> None:
        """Bring the tables to this version's form; quick where they have it already."""
        with self._writers.begin() as connection:
            if _revision(connection) == _newest():
                return
            from alembic import command

            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"pool_size": 64, "max_overflow": 0, "connect_args": {"timeout": 30, "check_same_thread": False}}
    return {"pool_size": 20, "pool_pre_ping": True}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _newest() -> str:
    """Return the newest migration's name; they are numbered files, so that a start need not load them."""
    return max(path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _revision(connection: Connection) -> str | None:
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _config() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
