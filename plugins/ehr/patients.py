"""From what a user has (a file, a FHIR bundle, a table, a record) to one patient's record before an index time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from medhub.errors import InputError

from .events import BIRTH, Record, Time
from .readers import read_events
from .rows import INPUT, from_input
from .windows import at_end


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """A patient at an index time."""

    name: str
    record: Record
    index: Time
    changed: dict[str, int] = field(default_factory=dict)
    """What was wrong with the events that were read, by reason."""

    def at(self, index: Time) -> Patient:
        """Return the same patient as known at an earlier moment."""
        return Patient(name=self.name, record=self.record.before(index), index=index, changed=self.changed)

    @property
    def events(self) -> Record:
        """The timed events but the birth."""
        timed = self.record.timed_part
        return timed.select(timed.codes != BIRTH)


def read_patient(raw: Any, *, units: Mapping[str, str]) -> Patient:
    """Return the one patient that `raw` holds; raise InputError for none, for several, or for what cannot be read.

    That is anything that `read_events` takes, or {"events": that, "index": time} for an earlier moment than that behind
    the last event; or a row's input, or a Patient. `units` are those that the codes must have.
    """
    if isinstance(raw, Patient):
        return raw
    if is_row(raw):
        record, at = from_input(raw)
        return Patient(name="record", record=record.before(at), index=at)
    index: Time | None = None
    if _is_request(raw):
        index = None if raw["index"] is None else read_time(raw["index"])
        raw = raw["events"]
    patients = read_patients(raw, units=units)
    if len(patients) != 1:
        raise InputError(
            f"there are {len(patients)} patients; give one, or the file or table itself, which gives a list of results"
        )
    (patient,) = patients
    return patient if index is None else patient.at(index)


def read_patients(source: Any, *, units: Mapping[str, str]) -> list[Patient]:
    """Return each patient of a source that `read_events` reads, as known behind their last event."""
    if isinstance(source, str) and not source.strip():
        raise InputError("there is no record; give the path of a file with events")
    table = read_events(source, units=units)
    found = dict(table.findings.counts)
    patients = []
    for number, record in enumerate(table, start=1):
        times = at_end(record)
        if not len(times):  # by number, for an id could end up in a log
            raise InputError(f"patient {number} of {len(table)} has no event with a time; the model needs at least one")
        patients.append(Patient(name=table.name(record), record=record, index=times[0], changed=found))
    return patients


def several_patients(raw: Any, *, units: Mapping[str, str]) -> list[Any] | None:
    """Return the patients of a file, table or Bundle that has more than one; else None."""
    if isinstance(raw, Patient | Record) or is_row(raw) or _is_request(raw):
        return None
    patients = read_patients(raw, units=units)
    return [*patients] if len(patients) > 1 else None


def is_row(raw: Any) -> bool:
    """Whether this is the input of a row of a data set."""
    return isinstance(raw, Mapping) and INPUT.keys() <= raw.keys()


def _is_request(raw: Any) -> bool:
    """Whether a mapping names events and the index time that is asked for."""
    return isinstance(raw, Mapping) and raw.keys() == {"events", "index"}


def read_time(value: Any) -> Time:
    """Return a moment given as text, a datetime or NumPy's datetime64, in UTC; raise InputError for anything else."""
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return value.astype("datetime64[us]")
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"the index {value!r} is no date or time; write it as 2024-05-31T14:30:00") from error
    return np.datetime64(time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None), "us")
