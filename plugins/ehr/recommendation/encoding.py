"""A record as visits, and each visit as a row of numbers: drugs, other codes, values, and the time since the last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medhub.errors import LabelError

from ..events import BIRTH, VISIT_END, Record, Time
from ..scaling import Scaler
from ..visits import visits
from ..vocabulary import Vocabulary

TREATMENTS = ("RxNorm/", "ATC/", "NDC/", "CVX/", "DRUG/")
"""What the codes of drugs begin with, unless a data set says otherwise."""
MOMENT = np.timedelta64(1, "s")
LONG = 365.0
"""Days; the logarithm of the time between visits is counted in that of so many."""


def is_treatment(code: str) -> bool:
    """Whether a code is that of a drug."""
    return code.startswith(TREATMENTS)


def after_findings(record: Record, *, late: Callable[[str], bool] = is_treatment) -> Record:
    """Return a record in which what is `late` stands a second behind all else of its moment.

    Where times are days only, drugs seem to be given before the diagnosis is known.
    """
    marked = np.fromiter((late(code) for code in record.codes), bool, len(record))
    times = np.where(marked, record.times + MOMENT, record.times)
    order = np.argsort(times[record.static :], kind="stable") + record.static
    order = np.concatenate([np.arange(record.static), order])
    return replace(record.select(order), times=times[order])


def later_treatments(record: Record) -> Sequence[Time]:
    """Return the moment of the first drug of each visit but the first: when something must be recommended."""
    found = []
    for visit in visits(record)[1:]:
        given = [time for time, code in zip(visit.times, visit.codes, strict=True) if is_treatment(code)]
        found += given[:1]
    return found


@dataclass(frozen=True, kw_only=True)
class VisitEncoder:
    """What a visit's numbers are; as a dataclass it goes into JSON."""

    drugs: tuple[str, ...]
    """Codes of the drugs that a model knows."""
    vocabulary: Vocabulary
    """All other codes."""
    scaler: Scaler | None
    """The codes with values; None where there are none."""
    timed: bool
    """Whether the time between visits says something: where the days are made up it is always the same."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "drugs", tuple(self.drugs))
        if isinstance(self.vocabulary, dict):  # as JSON gives it
            object.__setattr__(self, "vocabulary", Vocabulary(**self.vocabulary))
        if isinstance(self.scaler, dict):
            object.__setattr__(self, "scaler", Scaler(**self.scaler))

    @classmethod
    def fit(cls, records: Iterable[Record], *, drugs: Sequence[str]) -> VisitEncoder:
        """Learn codes and scales of ten patients or more from training records, one a patient."""
        left_out = {*drugs, BIRTH, VISIT_END}
        records = [record.timed_part for record in records]
        vocabulary = Vocabulary.fit(records, keep=lambda code: code not in left_out)
        try:
            scaler = Scaler.fit(records, keep={*vocabulary.codes}.__contains__)
        except LabelError:  # no code has values
            scaler = None
        gaps = {gap for record in records for gap in _gaps(visits(record))[1:].tolist()}
        return cls(drugs=tuple(drugs), vocabulary=vocabulary, scaler=scaler, timed=len(gaps) > 1)

    @property
    def names(self) -> list[str]:
        """The name of each number of a visit."""
        values = self.scaler.codes if self.scaler else ()
        return [*self.drugs, *self.vocabulary.codes, "other codes", *(f"{code}, value" for code in values),
                *["time since the visit before"][: self.timed]]  # fmt: skip

    @property
    def units(self) -> Mapping[str, str]:
        """The unit that the values of each code must have."""
        pairs = zip(self.scaler.codes, self.scaler.units, strict=True) if self.scaler else ()
        return {code: unit for code, unit in pairs if unit is not None}

    def split(self, record: Record) -> list[Record]:
        """Return the visits of a record, the coming one last.

        That is the last one of the record, as long as no drug was given in it; else it is an empty one.
        """
        found = visits(record)
        if not found or any(code in self.drugs or is_treatment(code) for code in found[-1].codes):
            found.append(record.select(slice(0)))
        return found

    def encode(self, visits: Sequence[Record]) -> NDArray[np.float16]:
        """Return the numbers of visits, (visits, len(names))."""
        drugs = [np.isin(self.drugs, visit.codes.astype(str)) for visit in visits]
        codes = self.vocabulary.multi_hot(visits)
        others = [[np.log1p(self.unknown(visit))] for visit in visits]
        values = np.stack([self._values(visit) for visit in visits])
        rows = [np.array(drugs), codes, np.array(others), values, _gaps(visits)[:, None][:, : self.timed]]
        return np.concatenate(rows, axis=1).astype(np.float16)

    def unknown(self, record: Record) -> int:
        """Return how many timed events have a code that the model does not know."""
        return sum(code not in self._known for code in record.timed_part.codes)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset((*self.drugs, *self.vocabulary.codes, BIRTH, VISIT_END))

    def _values(self, visit: Record) -> NDArray[np.float32]:
        """Return the last value of each variable in a visit, 0, the mean, where there is none."""
        if self.scaler is None:
            return np.zeros(0, np.float32)
        row = np.zeros(len(self.scaler.codes), np.float32)
        _, variables, values = self.scaler.scale(visit)
        row[variables] = values
        return row


def _gaps(visits: Sequence[Record]) -> NDArray[np.float64]:
    """Return the time since the visit before, on a scale of logarithms; 0 of the first visit and of an empty one."""
    starts = np.array([visit.times[0] if len(visit) else np.datetime64("NaT") for visit in visits], "datetime64[us]")
    days = np.diff(starts, prepend=starts[:1]) / np.timedelta64(1, "D")
    return np.log1p(np.nan_to_num(days)) / np.log1p(LONG)
