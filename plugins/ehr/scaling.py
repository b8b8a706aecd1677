"""Values on one scale: mean and deviation of each variable in the training records, without the outliers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError, LabelError

from .events import Record
from .units import conversion, spell
from .vocabulary import LEAST

OUTLIERS = 0.001
"""Share of values at either end beyond which a value is set to the last one within."""


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """The variables of a model: codes with values, their units and their scales; as a dataclass it goes into JSON.

    What is beyond `lowest` and `highest` is set to them, then `mean` is taken away and the rest divided by `deviation`.
    """

    codes: tuple[str, ...]
    units: tuple[str | None, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("codes", "units", "means", "deviations", "lowest", "highest"):  # JSON knows lists only
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @classmethod
    def fit(cls, records: Iterable[Record], *, keep: Callable[[str], bool] | None = None, least: int = LEAST) -> Scaler:
        """Learn the variables with values of at least `least` patients, of those codes that `keep` chooses.

        They are in the order of the alphabet. All values are held in memory, some 30 bytes each. Raises LabelError
        where there is none, and InputError where a code's values have two units.
        """
        numbers: dict[str, int] = {}
        units: dict[str, str] = {}
        parts: list[tuple[NDArray[np.int32], NDArray[np.float32], int]] = []
        for record in records:
            valued = record.select(~np.isnan(record.values))
            codes = [numbers.setdefault(code, len(numbers)) for code in valued.codes]
            parts.append((np.array(codes, np.int32), valued.values, record.subject))
            for code, unit in zip(valued.codes, valued.units, strict=True):
                if unit is not None and units.setdefault(code, unit) != unit:
                    raise InputError(f"{code} has values in {units[code]} and in {unit}; check_events makes them one")
        columns: dict[str, list[float]] = {name: [] for name in ("means", "deviations", "lowest", "highest")}
        of = np.concatenate([codes for codes, _, _ in parts]) if parts else np.zeros(0, np.int32)
        values = np.concatenate([values for _, values, _ in parts]) if parts else np.zeros(0, np.float32)
        people = np.repeat([subject for _, _, subject in parts], [len(codes) for codes, _, _ in parts])
        order = np.argsort(of, kind="stable")
        groups = np.split(order, np.searchsorted(of[order], np.arange(1, len(numbers))))
        chosen = []
        for code, number in sorted(numbers.items()):
            rows = groups[number]
            if (keep is not None and not keep(code)) or len(np.unique(people[rows])) < least:
                continue
            chosen.append(code)
            for name, value in _scale(values[rows]).items():
                columns[name].append(value)
        if not chosen:
            raise LabelError(f"no code has values of {least} patients or more; give more patients, or more values")
        return cls(codes=tuple(chosen), units=tuple(units.get(code) for code in chosen),
                   **{name: tuple(column) for name, column in columns.items()})  # fmt: skip

    def find(self, record: Record) -> NDArray[np.int64]:
        """Return the variable of each event, (n,); -1 for those that have no value or are no variable."""
        variables = self._variables
        found = np.fromiter(map(variables.get, record.codes.tolist(), repeat(-1)), np.int64, len(record))
        return np.where(np.isnan(record.values), -1, found)

    def scale(self, record: Record) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return place in the record, variable and scaled value of each event that has these, all (k,).

        A value in another unit than the training's is converted; InputError is raised where that cannot be.
        """
        variables = self.find(record)
        places = np.flatnonzero(variables >= 0)
        variables = variables[places]
        values = record.values[places].astype(np.float64)
        for at in np.flatnonzero(record.units[places] != self._units[variables]):
            values[at] = self._converted(values[at], record.units[places[at]], int(variables[at]))
        values = np.clip(values, self._array[2][variables], self._array[3][variables])
        return places, variables, ((values - self._array[0][variables]) / self._array[1][variables]).astype(np.float32)

    def _converted(self, value: float, unit: str | None, variable: int) -> float:
        """Return a value in the variable's unit; where either is not stated, they are taken to be the same."""
        wanted, unit = self.units[variable], spell(unit)
        if unit is None or wanted is None:
            return value
        scale, offset = conversion(unit, wanted, code=self.codes[variable])
        return value * scale + offset

    @cached_property
    def _variables(self) -> dict[str, int]:
        return {code: number for number, code in enumerate(self.codes)}

    @cached_property
    def _units(self) -> NDArray[np.object_]:
        return np.array(self.units, dtype=object)

    @cached_property
    def _array(self) -> NDArray[np.float64]:
        return np.array([self.means, self.deviations, self.lowest, self.highest])


def _scale(values: NDArray[np.float32]) -> dict[str, float]:
    """Return the scale of one variable's values."""
    lowest, highest = np.quantile(values.astype(np.float64), [OUTLIERS, 1 - OUTLIERS])
    inside = np.clip(values.astype(np.float64), lowest, highest)
    # a variable that has one value only (a ventilator that is on) has no deviation
    return {"means": float(inside.mean()), "deviations": float(inside.std()) or 1.0, "lowest": float(lowest),
            "highest": float(highest)}  # fmt: skip
