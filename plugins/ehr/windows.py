"""Who is looked at, when, and what may be known by then: index times, windows around them, and who fell out and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np

from medhub.errors import InputError

from .events import BIRTH, DEATH, Record, Time

NOW = timedelta(0)
NO_INDEX = "patient without an index time"
EMPTY = "too few events in the observation window"
NO_LABEL = "label not known"


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stretch of time relative to the index time: from `start` on, and strictly before `end`; None is no limit."""

    start: timedelta | None
    end: timedelta | None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InputError(f"the window from {self.start} to {self.end} is empty; its start must be before its end")

    def around(self, index: Time) -> tuple[Time | None, Time | None]:
        """Return the window's limits for an index time."""
        return _shifted(index, self.start), _shifted(index, self.end)


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A named rule by which an index time falls out. It may see the whole record: it chooses, and feeds no model."""

    name: str
    """What falls out, as the flow table says it: "discharged to a hospice"."""
    excludes: Callable[[Record, Time], bool]


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """What the rows of a task are: one for each index time of each patient that no criterion excludes.

    Raises InputError where the observation window reaches to the index time or beyond (its end is never after it, and
    events at its end are outside), or where the prediction window begins before it.
    """

    index: Callable[[Record], Sequence[Time]]
    """The moments at which the model is asked, none where there is none; see `since_start`, `at_each`, `at_end`."""
    observation: Window
    """What the model sees: nothing at or after the index time."""
    prediction: Window
    """What the label is found in: nothing before the index time."""
    criteria: tuple[Criterion, ...] = ()
    least: int = 1
    """Fewest events, but static ones and the birth, that an observation window must hold."""

    def __post_init__(self) -> None:
        if self.observation.end is None or self.observation.end > NOW:
            raise InputError(
                f"the observation window ends {self.observation.end} after the index time, so that the model would see "
                "what it must foretell; end it at timedelta(0) or before"
            )
        if self.prediction.start is None or self.prediction.start < NOW:
            raise InputError(
                f"the prediction window starts {self.prediction.start} from the index time: the model would see "
                "what it must foretell; start it at timedelta(0) or later"
            )


@dataclass(frozen=True, kw_only=True)
class Case:
    """One index time of one patient."""

    record: Record
    """The events of the observation window: all that a model is given."""
    index: Time
    future: Record
    """The events of the prediction window, with the static ones: for the label alone."""
    followed: bool
    """Whether the patient's record reaches the end of the prediction window, or says that they died."""
    label: Any = None


@dataclass(frozen=True, kw_only=True)
class Flow:
    """How many patients and rows there were, and how many rows fell out at each step."""

    patients: int
    index_times: int
    rows: int
    patients_left: int
    dropped: dict[str, int] = field(default_factory=dict)
    """By reason; the patients without an index time are one of them. It is what a Table's `dropped` takes."""

    def lines(self) -> list[str]:
        """Return the flow as a table of text, a step a line."""
        return [f"{count:>10,}  {step}" for step, count in self._steps()]

    def markdown(self) -> str:
        """Return the flow as a Markdown table, for a model card."""
        return "\n".join(["| step | number |", "|---|---|", *(f"| {step} | {n:,} |" for step, n in self._steps())])

    def _steps(self) -> list[tuple[str, int]]:
        return [
            ("patients", self.patients), ("index times", self.index_times),
            *((f"left out: {reason}", count) for reason, count in self.dropped.items()),
            ("rows", self.rows), ("patients in them", self.patients_left),
        ]  # fmt: skip


def build(records: Iterable[Record], cohort: Cohort, *, label: Callable[[Case], Any]) -> tuple[list[Case], Flow]:
    """Return the cases of a cohort with their labels, in the order of the records, and who fell out.

    `label` finds a case's label in `case.future`, and returns None where it cannot be known, as when a patient without
    the outcome was not followed to the end of the window. Every criterion counts those that the ones before it left.
    """
    dropped = {NO_INDEX: 0, **{criterion.name: 0 for criterion in cohort.criteria}, EMPTY: 0, NO_LABEL: 0}
    cases: list[Case] = []
    patients = index_times = 0
    for record in records:
        times = cohort.index(record)
        patients, index_times = patients + 1, index_times + len(times)
        dropped[NO_INDEX] += not len(times)
        for time in times:
            case = cut(record, cohort, time)
            reason = _reason(record, case, cohort)
            found = None if reason else label(case)
            if reason is None and found is not None:
                cases.append(replace(case, label=found))
            else:
                dropped[reason or NO_LABEL] += 1
    left = len({case.record.subject for case in cases})
    kept = {reason: count for reason, count in dropped.items() if count}
    return cases, Flow(patients=patients, index_times=index_times, dropped=kept, rows=len(cases), patients_left=left)


def cut(record: Record, cohort: Cohort, index: Time) -> Case:
    """Return what the windows hold at an index time; the label is not yet known."""
    index = index.astype("datetime64[us]")
    limit = cohort.prediction.around(index)[1]
    end = record.end
    died = len(record) > 0 and bool((record.codes == DEATH).any())
    return Case(
        record=record.between(*cohort.observation.around(index)),  # ends at the index time or before
        index=index,
        future=record.between(*cohort.prediction.around(index)),
        followed=died or limit is None or (end is not None and bool(end >= limit)),
    )


def since_start(delay: timedelta) -> Callable[[Record], Sequence[Time]]:
    """Return the finder of one index time: so long after a patient's first event."""
    return lambda record: [] if record.start is None else [record.start + np.timedelta64(delay)]


def at_end(record: Record) -> Sequence[Time]:
    """Return the moment behind a patient's last event: when a model is asked about a record as it stands."""
    return [] if record.end is None else [record.end + np.timedelta64(1, "us")]


def at_each(prefix: str, *, delay: timedelta = NOW) -> Callable[[Record], Sequence[Time]]:
    """Return the finder of many index times: so long after every event whose code begins with `prefix`."""

    def find(record: Record) -> Sequence[Time]:
        found = record.under(prefix)
        return [*np.unique(found.times[found.static :]) + np.timedelta64(delay)]

    return find


def _reason(record: Record, case: Case, cohort: Cohort) -> str | None:
    """Return why a case falls out, None where it does not."""
    for criterion in cohort.criteria:
        if criterion.excludes(record, case.index):
            return criterion.name
    seen = case.record
    timed = len(seen) - seen.static - int((seen.codes[seen.static :] == BIRTH).sum())
    return EMPTY if timed < cohort.least else None


def _shifted(index: Time, by: timedelta | None) -> Time | None:
    return None if by is None else index + np.timedelta64(by)
