"""What is true of a patient from the start (age, sex, height, kind of ward) as one vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from medhub.errors import LabelError

from .events import Record, Time
from .people import age
from .scaling import Scaler
from .vocabulary import Vocabulary

Learnt = TypeVar("Learnt", Scaler, Vocabulary)


@dataclass(frozen=True, kw_only=True)
class Statics:
    """The static features of a model: age, static values, static codes; as a dataclass it goes into JSON."""

    age_mean: float
    age_deviation: float
    values: Scaler | None
    """Static events with a value (a height); None where there are none."""
    codes: Vocabulary | None
    """Static events without a value (SEX/F); None where there are none."""

    def __post_init__(self) -> None:
        for name, kind in (("values", Scaler), ("codes", Vocabulary)):
            found = getattr(self, name)
            if isinstance(found, dict):  # as JSON gives it
                object.__setattr__(self, name, kind(**found))

    @classmethod
    def fit(
        cls, records: Sequence[Record], index: Sequence[Time], *, keep: Callable[[str], bool] | None = None
    ) -> Statics:
        """Learn from training records and their index times, of those codes that `keep` chooses."""
        ages = [years for record, at in zip(records, index, strict=True) if (years := age(record, at)) is not None]
        static = [record.static_part for record in records]
        valued = [record.select(~np.isnan(record.values)) for record in static]
        plain = [record.select(np.isnan(record.values)) for record in static]
        return cls(
            age_mean=float(np.mean(ages)) if ages else 0.0, age_deviation=float(np.std(ages) if ages else 0) or 1.0,
            values=_fitted(lambda: Scaler.fit(valued, keep=keep)),
            codes=_fitted(lambda: Vocabulary.fit(plain, keep=keep)),
        )  # fmt: skip

    @property
    def names(self) -> list[str]:
        """The name of each number of `vector`."""
        values = self.values.codes if self.values else ()
        codes = self.codes.codes if self.codes else ()
        return ["age", "age known", *values, *(f"{code} known" for code in values), *codes]

    def vector(self, record: Record, at: Time) -> NDArray[np.float32]:
        """Return a record's static features at the index time, (len(names),): 0 for a value that is not known."""
        years = age(record, at)
        parts: list[NDArray] = [np.array([0.0, 0.0] if years is None else [self._scaled(years), 1.0])]
        static = record.static_part
        if self.values:
            _, variables, values = self.values.scale(static)
            row = np.zeros((2, len(self.values.codes)))
            row[:, variables] = np.stack([values, np.ones(len(values))])
            parts.append(row.reshape(-1))
        if self.codes:
            parts.append(self.codes.multi_hot([static])[0])
        return np.concatenate(parts).astype(np.float32)

    def _scaled(self, years: float) -> float:
        return (years - self.age_mean) / self.age_deviation


def _fitted(fit: Callable[[], Learnt]) -> Learnt | None:
    try:
        return fit()
    except LabelError:  # no code of enough patients
        return None
