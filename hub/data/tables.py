"""What a loader makes of a data set's files: rows with an input, labels and a group."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
from datasets import Dataset

from medhub.data.cache import sha256_of
from medhub.errors import DataError, InputError, suggest

LABELS = "labels"
"""The column of the targets, which a model sees in training only."""
REQUIRED = ("input", LABELS, "group")
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows as a loader returns them.

    Columns: `input`, what the task's processor reads (text, a struct, a `datasets.Image`); `labels`, an integer for
    one of n classes, a list of floats with NaN for unknown for n yes-or-no labels, anything for other tasks; `group`, a
    string that no two parts of a split may share (patient, scaffold, family ...); optionally `split`, the part
    ("train", "validation", "test") that the data set's authors chose. Other columns name subgroups.

    An input that is a file stands as a `datasets.Image` or as a struct with a `path`, never as a bare string, so that
    its content is hashed and not its place on this machine.
    """

    rows: Dataset
    label_names: tuple[str, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many rows fell out while loading, by reason."""
    notes: tuple[str, ...] = ()
    """What a reader of the model card must know: leaks, defects, duplicates."""

    def __post_init__(self) -> None:
        columns = self.rows.column_names
        for name in REQUIRED:
            if name not in columns:
                raise DataError(
                    f"the table has no column {name!r}{suggest(name, columns)} Columns: {', '.join(columns)}; "
                    f"a loader must give {', '.join(REQUIRED)}"
                )
        if not len(self.rows):
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.dropped.items()) or "none was read"
            raise DataError(f"the table has no rows ({reasons}); look at the file it was made from")
        self._check_strings("group")
        if "split" in columns:
            self._check_strings("split")
            if odd := sorted(set(self.rows["split"][:]) - set(PARTS)):
                raise DataError(f"column 'split' holds {odd[0]!r}{suggest(odd[0], PARTS)} Parts: {', '.join(PARTS)}")

    def _check_strings(self, column: str) -> None:
        kind = getattr(self.rows.features[column], "dtype", "list")
        if kind not in ("string", "large_string"):
            raise DataError(f"column {column!r} must hold strings, not {kind}; convert it in the loader")
        if None in self.rows[column][:]:
            raise DataError(
                f"column {column!r} has an empty value in row {self.rows[column][:].index(None)}; "
                "give every row one, if need be one of its own"
            )


def row_keys(rows: Dataset, *, columns: Sequence[str] = REQUIRED) -> list[str]:
    """Return a hash of each row's content over `columns`, the same on every machine.

    A file counts by its bytes, encoded as they are, whether they are embedded or stand at a path.
    """
    keys = []
    for batch in rows.select_columns(list(columns)).with_format("arrow").iter(batch_size=256):
        assert isinstance(batch, pyarrow.Table)
        for row in batch.to_pylist():
            keys.append(hashlib.sha256(repr([_content(row[name]) for name in columns]).encode()).hexdigest())
    return keys


def _content(value: Any) -> Any:
    """Replace bytes and files by the hash of what they hold."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, list):
        return [_content(item) for item in value]
    if isinstance(value, dict):
        others = {name: _content(item) for name, item in value.items() if name not in ("bytes", "path")}
        return sorted({**others, "file": _file_content(value)}.items())
    return value


def _file_content(struct: dict[str, Any]) -> str | None:
    """Return the hash of the file that a struct embeds as `bytes` or names by `path`, None where it does neither."""
    if struct.get("bytes") is not None:
        return hashlib.sha256(struct["bytes"]).hexdigest()
    if struct.get("path") is None:
        return None
    try:
        return sha256_of(Path(struct["path"]))
    except OSError as error:
        raise InputError(f"the file {struct['path']} cannot be read: {error.strerror}; correct its path") from error
