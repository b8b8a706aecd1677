"""Events as readers give them: batch by batch, not yet checked, each with its place in the user's files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medhub.errors import InputError

from ..checking import PLACED, check_events, conform
from ..events import EventTable, Time
from ..findings import Findings

BATCH = 100_000
"""Events that a reader of single items gathers before it hands them on."""


class Subjects:
    """Numbers for the patients of a source: an id that is a whole number is its own, others get -1, -2 and so on."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        """The id by the number of those whose id was no number. They identify patients: they go into no checkpoint."""
        self._numbers: dict[str, int] = {}

    def number(self, ids: pa.Array) -> pa.Array:
        """Return the numbers of ids, (n,) int64; null where an id is missing."""
        if pa.types.is_integer(ids.type) or pa.types.is_floating(ids.type):
            try:
                return ids.cast(pa.int64())
            except pa.ArrowInvalid as error:
                raise InputError(f"subject_id holds numbers that are not whole ({error}); give whole ones") from error
        encoded = ids.cast(pa.string()).dictionary_encode()
        numbers = [self.one(name) for name in encoded.dictionary.to_pylist()]
        return pa.array(numbers, pa.int64()).take(encoded.indices)

    def one(self, name: str) -> int | None:
        """Return the number of one id, None for an empty one."""
        name = name.strip()
        if name.isascii() and name.isdigit() and str(int(name)) == name and len(name) < 19:
            return int(name)
        if not name:
            return None
        number = self._numbers.setdefault(name, -1 - len(self._numbers))
        self.names[number] = name
        return number


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The events of a source, to be gone through once."""

    title: str
    """The source's name in messages."""
    batches: Iterator[pa.Table]
    """Tables of PLACED."""
    subjects: Subjects
    """Filled while the batches are read, as are the findings."""
    findings: Findings = field(default_factory=Findings)

    def table(self, *, now: Time | None = None, units: Mapping[str, str] | None = None) -> EventTable:
        """Read all events into memory, checked; see `check_events`. Raises InputError where none is left."""
        tables = [*self.batches] or [conform(pa.Table.from_pylist([], PLACED))]
        table, found = check_events(pa.concat_tables(tables), now=now, units=units)
        self.findings.merge(found)
        self.check_filled(len(table))
        return EventTable(table, findings=self.findings, names=self.subjects.names)

    def check_filled(self, events: int) -> None:
        """Raise InputError where no event is left, and say what became of them."""
        if not events:
            reasons = "; ".join(line.strip() for line in self.findings.lines())
            raise InputError(f"{self.title} holds no event that can be used ({reasons}); give at least one")


@dataclass(kw_only=True)
class Event:
    """One event of a reader that goes item by item."""

    subject: str
    time: Time | None
    code: str
    value: float | None = None
    text: str | None = None
    unit: str | None = None
    file: str
    row: int


def gather(events: Iterable[Event], subjects: Subjects) -> Iterator[pa.Table]:
    """Yield single events as tables of PLACED."""
    waiting: list[Event] = []
    for event in events:
        waiting.append(event)
        if len(waiting) == BATCH:
            yield _as_table(waiting, subjects)
            waiting = []
    if waiting:
        yield _as_table(waiting, subjects)


def placed(columns: Mapping[str, Any], *, file: str, first_row: int) -> pa.Table:
    """Return columns of equal length by their names in SCHEMA as a table of PLACED; those that lack are null."""
    length = len(columns["code"])
    rows = pa.array(np.arange(first_row, first_row + length))
    return conform(pa.table({**columns, "file": pa.repeat(file, length), "row": rows}))


def parse_times(texts: pa.Array, *, column: str, file: str, rows: Sequence[int] | range) -> pa.Array:
    """Return ISO 8601 times as timestamp[us], null where empty; times with a zone become UTC.

    Raises InputError, with the row, for a text that is no time.
    """
    if pa.types.is_timestamp(texts.type):
        return texts.cast(pa.timestamp("us", texts.type.tz)).cast(pa.timestamp("us"))
    if pa.types.is_date(texts.type):
        return texts.cast(pa.timestamp("us"))
    texts = texts.cast(pa.string())
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    for zone in (None, "UTC"):
        try:
            return texts.cast(pa.timestamp("us", zone)).cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            continue
    for row, text in zip(rows, texts.to_pylist(), strict=True):
        if text is not None and not _is_time(text):
            raise InputError(
                f"{file}, row {row}: {column} {text!r} is no date or time; write it as 2024-05-31T14:30:00"
            )
    raise InputError(f"{file}: some times of {column} have a zone and some have none; write all in one way")


def _is_time(text: str) -> bool:
    for zone in (None, "UTC"):
        try:
            pa.array([text]).cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
        return True
    return False


def _as_table(events: Sequence[Event], subjects: Subjects) -> pa.Table:
    return pa.table(
        [
            pa.array([subjects.one(event.subject) for event in events], pa.int64()),
            pa.array([event.time for event in events], pa.timestamp("us")),
            pa.array([event.code for event in events], pa.string()),
            pa.array([event.value for event in events], pa.float32()),
            pa.array([event.text for event in events], pa.string()),
            pa.array([event.unit for event in events], pa.string()),
            pa.array([event.file for event in events], pa.string()),
            pa.array([event.row for event in events], pa.int64()),
        ],
        schema=PLACED,
    )
