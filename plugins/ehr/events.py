"""What is known of patients: events in one schema (that of MEDS), and the record that one patient's events are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from medhub.errors import InputError

from .findings import Findings

SCHEMA = pa.schema(
    [
        pa.field("subject_id", pa.int64(), nullable=False),
        pa.field("time", pa.timestamp("us")),
        pa.field("code", pa.string(), nullable=False),
        pa.field("numeric_value", pa.float32()),
        pa.field("text_value", pa.string()),
        pa.field("unit", pa.string()),
    ]
)
"""MEDS's columns, and the unit. Times are UTC without a zone; one without a time is static, as the sex is."""

BIRTH, DEATH = "MEDS_BIRTH", "MEDS_DEATH"
VISIT, VISIT_END = "VISIT/", "VISIT_END"
"""What the code of an event begins with that starts a visit, and the code of one that ends it."""

Time = np.datetime64


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One patient's history of n events, sorted by time, static ones first; its arrays cannot be written into.

    `subject` is the number of the patient in the data, and part of no input of a model. Free text is left out.
    """

    subject: int
    times: NDArray[np.datetime64]
    """(n,) datetime64[us]; NaT for what is static."""
    codes: NDArray[np.object_]
    """(n,) strings: "VOCABULARY/code"."""
    values: NDArray[np.float32]
    """(n,) in the unit beside, NaN where an event has none."""
    units: NDArray[np.object_]
    """(n,) strings, None where there is none."""

    def __post_init__(self) -> None:
        kinds: dict[str, Any] = {"times": "datetime64[us]", "codes": object, "values": np.float32, "units": object}
        for name, kind in kinds.items():
            array = np.asarray(getattr(self, name), dtype=kind).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
            if array.shape != self.times.shape or array.ndim != 1:
                raise InputError(f"a record has {len(self.times)} times but {len(array)} {name}; give one an event")
        static = self.static
        timed = self.times[static:]
        if np.isnat(timed).any() or (timed[1:] < timed[:-1]).any():
            raise InputError("a record's events are not in the order of time, static ones first; sort: check_events")

    def __len__(self) -> int:
        return len(self.times)

    def __eq__(self, other: object) -> bool:
        """Whether two records have the same subject and the same events."""
        if not isinstance(other, Record) or self.subject != other.subject or len(self) != len(other):
            return False
        pairs = [(getattr(self, name), getattr(other, name)) for name in ("times", "codes", "values", "units")]
        return all(np.array_equal(a, b, equal_nan=a.dtype != object) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]

    @property
    def static(self) -> int:
        """How many events are static; they are the first."""
        return int(np.count_nonzero(np.isnat(self.times)))

    @property
    def start(self) -> Time | None:
        """Time of the first event but the birth, None where there is none."""
        timed = self.times[self.static :][self.codes[self.static :] != BIRTH]
        return timed[0] if len(timed) else None

    @property
    def end(self) -> Time | None:
        """Time of the last event, None where there is none."""
        return self.times[-1] if len(self) > self.static else None

    @property
    def static_part(self) -> Record:
        """The record of the static events."""
        return self.select(slice(self.static))

    @property
    def timed_part(self) -> Record:
        """The record of the events that have a time; the birth is one of them."""
        return self.select(slice(self.static, None))

    def select(self, which: NDArray[np.bool_ | np.integer] | slice) -> Record:
        """Return the record of some of its events, given as a mask, as positions in their order, or as a slice."""
        return Record(
            subject=self.subject, times=self.times[which], codes=self.codes[which], values=self.values[which],
            units=self.units[which],
        )  # fmt: skip

    def under(self, prefix: str) -> Record:
        """Return the record of the events whose code begins with `prefix`."""
        return self.select(np.fromiter((code.startswith(prefix) for code in self.codes), bool, len(self)))

    def without(self, *prefixes: str) -> Record:
        """Return the record of the events whose code begins with none of `prefixes`."""
        return self.select(np.fromiter((not code.startswith(prefixes) for code in self.codes), bool, len(self)))

    def before(self, time: Time) -> Record:
        """Return what was known before a moment: the events strictly before it, and the static ones."""
        return self.between(None, time)

    def between(self, start: Time | None, end: Time | None) -> Record:
        """Return the events at `start` or later and strictly before `end`; None is no limit.

        Static events stay, and so does the birth where it is before `end`: without it nobody has an age.
        """
        static = self.static
        timed = self.times[static:]
        stop = len(self) if end is None else static + int(np.searchsorted(timed, end))
        begin = static if start is None else min(static + int(np.searchsorted(timed, start)), stop)
        births = static + np.flatnonzero(self.codes[static:begin] == BIRTH)
        return self.select(np.concatenate([np.arange(static), births, np.arange(begin, stop)]))

    def first(self, code: str) -> Time | None:
        """Return the time of the first event of a code, None where there is none or it is static."""
        at = np.flatnonzero(self.codes[self.static :] == code)
        return self.times[self.static + at[0]] if len(at) else None

    def value(self, code: str) -> float | None:
        """Return the last value of a code, None where there is none."""
        found = self.values[self.codes == code]
        found = found[~np.isnan(found)]
        return float(found[-1]) if len(found) else None


class Records(Sequence[Record]):
    """Patients' records in an order, wherever their events are: in memory (EventTable) or on disk (EventStore)."""

    subjects: NDArray[np.int64]
    """(patients,) their numbers, in the order of the records."""
    names: dict[int, str]
    """The ids, by number, of those patients whose id was no number; as they identify people, no checkpoint has them."""
    findings: Findings
    """What was done to the events when they were read."""

    @abstractmethod
    def record(self, place: int) -> Record:
        """Return the record of the patient at a place in the order, from 0."""

    def __len__(self) -> int:
        return len(self.subjects)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        """Return the record of the patient at a place in the order, or those of a slice."""
        places = range(len(self))[index]
        return self.record(places) if isinstance(places, int) else [self.record(place) for place in places]

    def name(self, record: Record) -> str:
        """Return the id that a record's patient has in the user's own data."""
        return self.names.get(record.subject, str(record.subject))


class EventTable(Records):
    """Events in memory that are sorted by patient and time, as records."""

    def __init__(self, table: pa.Table, *, findings: Findings | None = None, names: dict[int, str] | None = None):
        """Take a table of SCHEMA as `check_events` gives it."""
        self.table = table
        self.findings = Findings() if findings is None else findings
        self.names = names or {}
        subjects = table["subject_id"].to_numpy()
        self._starts = np.flatnonzero(np.diff(subjects, prepend=subjects[:1] - 1))
        self._ends = np.append(self._starts[1:], len(subjects))
        self.subjects = subjects[self._starts]
        self._times = table["time"].to_numpy()
        self._values = table["numeric_value"].to_numpy()
        self._codes, self._units = _strings(table["code"]), _strings(table["unit"])

    def record(self, place: int) -> Record:
        """Return the record of the patient at a place in the order; its arrays are views."""
        rows = slice(self._starts[place], self._ends[place])
        return Record(
            subject=int(self.subjects[place]), times=self._times[rows], codes=self._codes[rows],
            values=self._values[rows], units=self._units[rows],
        )  # fmt: skip


def as_table(records: Sequence[Record]) -> pa.Table:
    """Return records as one table of SCHEMA, patient after patient."""
    columns = {
        "subject_id": np.repeat([record.subject for record in records], [len(record) for record in records]),
        "time": _joined([record.times for record in records], "datetime64[us]"),
        "code": _joined([record.codes for record in records], object),
        "numeric_value": pa.array(_joined([record.values for record in records], np.float32), from_pandas=True),
        "text_value": pa.nulls(sum(map(len, records)), pa.string()),
        "unit": _joined([record.units for record in records], object),
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def _joined(arrays: list[NDArray], kind: Any) -> NDArray:
    return np.concatenate(arrays) if arrays else np.zeros(0, kind)


def _strings(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """Return strings as objects, each of which is in memory once; None for null."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    words = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return words[encoded.indices.fill_null(len(words) - 1).to_numpy()]
