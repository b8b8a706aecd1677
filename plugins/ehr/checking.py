"""Events as they should be: sorted, each once, none in the future or before the birth, one unit for each code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medhub.errors import InputError

from .code_units import conversions, most_frequent, unit_counts
from .events import BIRTH, SCHEMA, Time
from .findings import Findings

PLACED = pa.schema(
    [*(field.with_nullable(True) for field in SCHEMA), pa.field("file", pa.string()), pa.field("row", pa.int64())]
)
"""What readers give: events, and where each stands in the user's files."""
AGES = ("age", "loinc/21612-7", "loinc/30525-0")
"""Codes, in lower case, whose value is an age."""
DAY = np.timedelta64(1, "D")


def check_events(
    table: pa.Table, *, now: Time | None = None, units: Mapping[str, str] | None = None
) -> tuple[pa.Table, Findings]:
    """Return events by SCHEMA, sorted by patient and time with static ones first, and what was wrong with them.

    Left out are events without a patient or a code, after `now` (by default a day from now, as time zones differ), on a
    day before the patient's birth, second births, negative ages, exact copies, and values whose unit contradicts their
    code's. That is the one in `units`, else the most frequent of this table; what can be converted into it, is.
    Events of the same time keep their order. Raises InputError where a column is missing or of another type.
    """
    table = conform(table)
    wanted = most_frequent(unit_counts(table)) if units is None else units
    findings = Findings()
    work = _Work(table, findings)
    work.drop(~_filled(table["subject_id"]) | ~_filled(table["code"]), "event without a patient or a code")
    work.clear_values(np.isinf(work.values), "value that is not finite, taken as missing")
    limit = np.datetime64("now") + DAY if now is None else now
    work.drop(work.times > limit, "event in the future")
    work.drop((work.values < 0) & _isin(work.table["code"], AGES), "negative age")
    work.sort()
    work.drop(_births(work)[0], "second birth of a patient")
    work.drop(work.times.astype("datetime64[D]") < _births(work)[1], "event before the patient's birth")
    _unify(work, wanted)
    work.drop(_copies(work.table), "exact copy of an event")
    return work.table.select(SCHEMA.names).cast(SCHEMA), findings


def conform(table: pa.Table) -> pa.Table:
    """Return a table with the columns of PLACED; raise InputError for one that is missing or of another type."""
    return pa.table([_column(table, field) for field in PLACED], schema=PLACED)


def _column(table: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    """Return one column of a table in the type that it must have; null where it may lack, but for the row's number."""
    if field.name not in table.column_names:
        if field.name in ("subject_id", "code"):
            raise InputError(f"there is no column {field.name!r}; events have {', '.join(SCHEMA.names)}")
        return pa.array(np.arange(1, len(table) + 1)) if field.name == "row" else pa.nulls(len(table), field.type)
    column = table[field.name]
    try:
        if pa.types.is_integer(column.type) and pa.types.is_floating(field.type):
            column = column.cast(pa.float64())  # Arrow would refuse whole numbers beyond 2^24
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"column {field.name!r} must hold {field.type}, not {column.type}: {error}") from error


class _Work:
    """A table that is being mended, with its times and values as arrays."""

    def __init__(self, table: pa.Table, findings: Findings) -> None:
        self.findings = findings
        self.set(table)

    def set(self, table: pa.Table) -> None:
        self.table = table.combine_chunks()
        self.subjects: NDArray[np.int64] = table["subject_id"].fill_null(0).to_numpy()
        self.times: NDArray[np.datetime64] = table["time"].to_numpy()
        self.values: NDArray[np.float32] = table["numeric_value"].to_numpy()

    def note(self, which: NDArray[np.bool_], reason: str) -> None:
        """Count the rows of a mask, and say where the first by file stands."""
        rows = np.flatnonzero(which)
        if len(rows):
            first = rows[np.argmin(self.table["row"].to_numpy()[rows])]
            file, row = self.table["file"][first].as_py(), self.table["row"][first].as_py()
            self.findings.add(reason, len(rows), place=f"{file}, row {row}" if file else f"row {row}")

    def drop(self, which: NDArray[np.bool_], reason: str) -> None:
        self.note(which, reason)
        if which.any():
            self.set(self.table.filter(pa.array(~which)))

    def clear_values(self, which: NDArray[np.bool_], reason: str) -> None:
        self.note(which, reason)
        if which.any():
            self.put("numeric_value", pa.array(np.where(which, np.nan, self.values), pa.float32(), from_pandas=True))

    def put(self, name: str, column: Any) -> None:
        self.set(self.table.set_column(self.table.column_names.index(name), name, column))

    def sort(self) -> None:
        """Sort by patient and time; static events, whose time is the least of integers, come first."""
        order = np.argsort(_ranks(self.table["subject_id"]), kind="stable")
        times, subjects = self.times[order], self.subjects[order]
        files = self.table["file"].combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()[order]
        same = subjects[1:] == subjects[:-1]
        back = np.zeros(len(times), bool)
        back[order[1:]] = (times[1:] < times[:-1]) & same & (files[1:] == files[:-1])
        self.note(back, "event earlier than the one before it, sorted")
        moments = times.view(np.int64)
        if ((moments[1:] < moments[:-1]) & same).any():
            order = order[np.lexsort((moments, subjects))]
        if (np.diff(order) != 1).any():
            self.set(self.table.take(pa.array(order)))


def _births(work: _Work) -> tuple[NDArray[np.bool_], NDArray[np.datetime64]]:
    """Return which of the sorted events are a second birth, and the day of birth beside every event, NaT if unknown."""
    rows = np.flatnonzero(pc.equal(work.table["code"], BIRTH).to_numpy() & ~np.isnat(work.times))
    person = np.cumsum(np.diff(work.subjects, prepend=work.subjects[:1]) != 0)
    people, first = np.unique(person[rows], return_index=True)
    repeated = np.zeros(len(person), bool)
    repeated[np.delete(rows, first)] = True
    days = np.full(person[-1] + 1 if len(person) else 0, np.datetime64("NaT"), "datetime64[D]")
    days[people] = work.times[rows[first]].astype("datetime64[D]")
    return repeated, days[person]


def _copies(table: pa.Table) -> NDArray[np.bool_]:
    """Return which rows are exact copies of an earlier one; rows are compared where a hash says that it may be so."""
    hashes = np.zeros(len(table), np.uint64)
    for name in SCHEMA.names:
        hashes = (hashes ^ _bits(table[name].combine_chunks())) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(32)
    found = pa.array(hashes).dictionary_encode()
    if len(found.dictionary) == len(table):
        return np.zeros(len(table), bool)
    numbers = found.indices.to_numpy()
    places = np.flatnonzero((np.bincount(numbers) > 1)[numbers])
    suspects = table.select(SCHEMA.names).take(pa.array(places)).append_column("at", pa.array(places))
    first = suspects.group_by(SCHEMA.names, use_threads=False).aggregate([("at", "min")])["at_min"].to_numpy()
    copies = np.zeros(len(table), bool)
    copies[places] = True
    copies[first] = False
    return copies


def _bits(column: pa.Array) -> NDArray[np.uint64]:
    """Return a number for each value of a column, the same for equal ones."""
    if pa.types.is_string(column.type):
        return column.dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.uint64)
    if pa.types.is_floating(column.type):
        return column.to_numpy(zero_copy_only=False).view(np.uint32).astype(np.uint64)
    return column.to_numpy(zero_copy_only=False).view(np.uint64)


def _unify(work: _Work, wanted: Mapping[str, str]) -> None:
    """Bring values into their code's unit, and leave out those that contradict it."""
    if work.table["unit"].null_count == len(work.table):
        return
    found = conversions(work.table, wanted)
    work.note(found.changes, "value converted into the unit of its code")
    values = (work.values * found.scales + found.offsets).astype(np.float32)
    work.put("numeric_value", pa.array(values, from_pandas=True))
    work.put("unit", found.units)
    work.drop(found.contradicts, "unit that contradicts its code's")


def _ranks(column: pa.ChunkedArray) -> NDArray[np.unsignedinteger]:
    """Return the place of each number in the order of those that there are, in few bits, so that they sort fast."""
    found = column.combine_chunks().dictionary_encode()
    ranks = np.empty(len(found.dictionary), np.uint16 if len(found.dictionary) < 2**16 else np.uint32)
    ranks[np.argsort(found.dictionary.to_numpy())] = np.arange(len(ranks))
    return ranks[found.indices.to_numpy()]


def _filled(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return (pc.not_equal(column, "") if column.type == pa.string() else column.is_valid()).fill_null(False).to_numpy()


def _isin(column: pa.ChunkedArray, words: tuple[str, ...]) -> NDArray[np.bool_]:
    return pc.is_in(pc.utf8_lower(column), pa.array(words)).to_numpy()
