"""The index that finds a piece of text in names and cards without reading them all, for `listing.search`.

SQLite keeps it as a full-text table that triggers fill, PostgreSQL as an index of pg_trgm.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

SHORTEST = 3
"""Letters of a trigram; a shorter text cannot be looked up."""
# ids are hexadecimal digits, which GLOB finds by their trigrams, where = would read the whole table
SQLITE = (
    "CREATE VIRTUAL TABLE repo_search USING fts5 (repo_id, text, tokenize = 'trigram')",
    """CREATE TRIGGER repo_search_insert AFTER INSERT ON repo BEGIN
        INSERT INTO repo_search (repo_id, text) VALUES (new.id, coalesce(new.path, '') || ' ' || new.text);
    END""",
    """CREATE TRIGGER repo_search_update AFTER UPDATE OF path, text ON repo
    WHEN new.path IS NOT old.path OR new.text <> old.text BEGIN
        UPDATE repo_search SET text = coalesce(new.path, '') || ' ' || new.text WHERE repo_id GLOB new.id;
    END""",
    """CREATE TRIGGER repo_search_delete AFTER DELETE ON repo BEGIN
        DELETE FROM repo_search WHERE repo_id GLOB old.id;
    END""",
)
POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX repo_search ON repo USING gin ((coalesce(path, '') || ' ' || text) gin_trgm_ops)",
)


def create(_table: Any, connection: Connection, **_: Any) -> None:
    """Make the index over the table `repo`, which was just made; for SQLAlchemy's after_create and for migrations."""
    for statement in SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL:
        connection.execute(text(statement))
