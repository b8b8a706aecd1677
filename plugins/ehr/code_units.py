"""The unit of each code: counted, chosen, and what makes it of every value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from medhub.errors import InputError

from .units import conversion, spell


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversions:
    """How the values of n events come into the units of their codes: `value * scales + offsets`."""

    scales: NDArray[np.float64]
    offsets: NDArray[np.float64]
    units: pa.Array
    """(n,) strings, the unit of each event afterwards."""
    contradicts: NDArray[np.bool_]
    """(n,) whether an event's unit cannot be turned into that of its code."""

    @property
    def changes(self) -> NDArray[np.bool_]:
        """Return which values become others."""
        return (self.scales != 1) | (self.offsets != 0)


def unit_counts(table: pa.Table) -> Counter[tuple[str, str]]:
    """Count the units, in their one spelling, in which the values of each code stand."""
    counts: Counter[tuple[str, str]] = Counter()
    if table["unit"].null_count == len(table):
        return counts
    pairs, pair_of = _pairs(table)
    for (code, unit), count in zip(pairs, np.bincount(pair_of, minlength=len(pairs)).tolist(), strict=True):
        if code is not None and unit is not None:
            counts[code, unit] += count
    return counts


def most_frequent(counts: Mapping[tuple[str, str], int]) -> dict[str, str]:
    """Return the unit in which most values of each code stand; the first by the alphabet of several."""
    chosen: dict[str, tuple[int, str]] = {}
    for (code, unit), count in counts.items():
        chosen[code] = min(chosen.get(code, (0, "")), (-count, unit))
    return {code: unit for code, (_, unit) in chosen.items()}


def conversions(table: pa.Table, wanted: Mapping[str, str]) -> Conversions:
    """Return how events come into the `wanted` units of their codes; without one a unit stays, in its one spelling."""
    pairs, pair_of = _pairs(table)
    scales, offsets = np.ones(len(pairs)), np.zeros(len(pairs))
    contradicts, targets = np.zeros(len(pairs), bool), [unit for _, unit in pairs]
    for number, (code, unit) in enumerate(pairs):
        if code is None or unit is None or code not in wanted:
            continue
        targets[number] = spell(wanted[code])
        try:
            scales[number], offsets[number] = conversion(unit, wanted[code], code=code)
        except InputError:
            contradicts[number] = True
    units = pa.array(targets, pa.string()).take(pa.array(pair_of))
    return Conversions(scales=scales[pair_of], offsets=offsets[pair_of], units=units, contradicts=contradicts[pair_of])


def _pairs(table: pa.Table) -> tuple[list[tuple[str | None, str | None]], NDArray[np.int32]]:
    """Return the pairs of code and unit, in its one spelling, that there are, and the number of each row's, (n,)."""
    codes = table["code"].combine_chunks().dictionary_encode()
    units = table["unit"].combine_chunks().dictionary_encode()
    names = [None, *codes.dictionary.to_pylist()]
    spelt = [None, *(spell(unit) for unit in units.dictionary.to_pylist())]
    code_of, unit_of = (column.indices.fill_null(-1).to_numpy() + 1 for column in (codes, units))
    both = pa.array(code_of.astype(np.int64) * len(spelt) + unit_of).dictionary_encode()
    found = [(names[pair // len(spelt)], spelt[pair % len(spelt)]) for pair in both.dictionary.to_pylist()]
    return found, both.indices.to_numpy()
