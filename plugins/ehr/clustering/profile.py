"""A patient's record as one vector on common scales: the space in which patients are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import skew

from medhub.errors import LabelError

from ..events import BIRTH, DEATH, VISIT, VISIT_END, Record, Time
from ..features import STATISTICS, summary, summary_names
from ..people import ETHNICITY, RACE, SEX, age
from ..scaling import Scaler
from ..vocabulary import OTHER, Vocabulary

LEFT_OUT = (BIRTH, DEATH, VISIT, VISIT_END, SEX, RACE, ETHNICITY)
"""What codes begin with that are no inputs: groups of patients shall be of one illness, not of one sex or race."""
COUNT = STATISTICS.index("count")
SKEWED = 1.0
"""Skewness from which on a number's logarithm is taken."""
EXTREME = 3.0
"""Deviations at which a number is cut off."""
FEWEST_KNOWN = 0.2
"""Share of the training patients that must have a number for it to be an input."""

Learnt = TypeVar("Learnt", Scaler, Vocabulary)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The inputs: statistics of values, age, codes; as a dataclass it goes into JSON.

    How often something was measured is left out, for it tells more of the hospital than of the patient.
    """

    scaler: Scaler | None
    """Codes with a value."""
    codes: Vocabulary | None
    """Codes without one."""
    columns: tuple[int, ...]
    """Which of all numbers are inputs: those that vary, are often known, and repeat no other."""
    offsets: tuple[float | None, ...]
    """Of those whose logarithm is taken, what is added before; None for the others."""
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("columns", "offsets", "means", "deviations"):  # JSON knows lists only
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, kind in (("scaler", Scaler), ("codes", Vocabulary)):
            if isinstance(found := getattr(self, name), dict):
                object.__setattr__(self, name, kind(**found))

    @classmethod
    def fit(cls, records: Sequence[Record], index: Sequence[Time]) -> Profile:
        """Learn the inputs from training records and their index times; raise LabelError where there are none."""
        scaler = _fitted(Scaler, records)
        plain = [record.select(np.isnan(record.values)) for record in records]
        raw = cls(scaler=scaler, codes=_fitted(Vocabulary, plain), columns=(), offsets=(), means=(), deviations=())
        table = np.stack([raw._numbers(record, at) for record, at in zip(records, index, strict=True)])
        columns = _varied(table)
        if not columns:
            raise LabelError(f"the {len(records)} patients have no value or code in common; give more of their events")
        offsets, means, deviations = zip(*(_scale(table[:, column]) for column in columns), strict=True)
        return cls(scaler=scaler, codes=raw.codes, columns=tuple(columns), offsets=offsets, means=means,
                   deviations=deviations)  # fmt: skip

    @property
    def names(self) -> list[str]:
        """The name of each input: "LOINC/2345-7, mean"."""
        names = self._all_names()
        return [names[column] for column in self.columns]

    @property
    def timeless(self) -> int:
        """How many of the inputs, the last ones, are of no series of values."""
        series = len(self.scaler.codes) * len(STATISTICS) if self.scaler else 0
        return sum(column >= series for column in self.columns)

    @property
    def units(self) -> dict[str, str]:
        """The unit of each code that has one."""
        if self.scaler is None:
            return {}
        return {code: unit for code, unit in zip(self.scaler.codes, self.scaler.units, strict=True) if unit is not None}

    def knows(self, record: Record) -> bool:
        """Whether any event of a record is an input."""
        values = self.scaler is not None and (self.scaler.find(record) >= 0).any()
        return bool(values or (self.codes is not None and (self.codes.encode(record) > OTHER).any()))

    def vector(self, record: Record, at: Time) -> NDArray[np.float32]:
        """Return the inputs of a record at the index time, (len(names),), in deviations from the mean; NaN: unknown."""
        numbers = self._numbers(record, at)[[*self.columns]]
        logs = np.array([offset is not None for offset in self.offsets])
        offsets = np.array([offset or 0.0 for offset in self.offsets])
        numbers = np.where(logs, np.log(np.maximum(numbers + offsets, 1e-6)), numbers)
        scaled = (numbers - np.array(self.means)) / np.array(self.deviations)
        return scaled.clip(-EXTREME, EXTREME).astype(np.float32)

    def _numbers(self, record: Record, at: Time) -> NDArray[np.float64]:
        """Return all numbers of a record, inputs or not."""
        years = age(record, at)
        parts = [np.array([np.nan if years is None else years])]
        if self.scaler:
            table = summary(record, self.scaler)
            table[:, COUNT] = np.nan
            parts.insert(0, table.reshape(-1))
        if self.codes:
            parts.append(self.codes.multi_hot([record])[0])
        return np.concatenate(parts).astype(np.float64)

    def _all_names(self) -> list[str]:
        values = summary_names(self.scaler) if self.scaler else []
        return [*values, "age", *(self.codes.codes if self.codes else ())]


def _is_input(code: str) -> bool:
    return not code.startswith(LEFT_OUT)


def _fitted(kind: type[Learnt], records: Sequence[Record]) -> Learnt | None:
    try:
        return kind.fit(records, keep=_is_input)
    except LabelError:  # no code of enough patients
        return None


def _varied(table: NDArray[np.float64]) -> list[int]:
    """Return the columns that vary, are often known and repeat no earlier one (a value that was measured once)."""
    found: dict[bytes, int] = {}
    for column, values in enumerate(table.T):
        known = values[~np.isnan(values)]
        if len(known) >= FEWEST_KNOWN * len(values) and len(known) > 1 and known.std() > 1e-6:
            found.setdefault(values.astype(np.float32).tobytes(), column)
    return [*found.values()]


def _scale(values: NDArray[np.float64]) -> tuple[float | None, float, float]:
    """Return what to add before a logarithm (None: take none), and mean and deviation of what comes of it."""
    known = values[~np.isnan(values)]
    offset = None
    if len(np.unique(known)) > 2 and skew(known) > SKEWED:
        offset = float(known.std() / 4 - known.min())  # so that the least value is not far below all others
        known = np.log(known + offset)
    return offset, float(known.mean()), float(known.std())
