"""The sets of drugs that are recommended: those that enough patients were given, and each drug alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from medhub.errors import LabelError

from ..vocabulary import LEAST


@dataclass(frozen=True, eq=False)
class Choices:
    """Sets of drugs, (choices, drugs) of 0 and 1.

    A model gives each set a probability rather than each drug: drugs are not given independently of each other.
    """

    sets: NDArray[np.float32]

    @classmethod
    def fit(cls, given: NDArray[np.floating], patients: Sequence[str], *, singles: bool) -> Self:
        """Take of `given` (rows, drugs) the sets that LEAST patients got and, with `singles`, each drug alone.

        Small sets come first. A rarer set could identify somebody. Raises LabelError where there is nothing to choose
        between.
        """
        sets, number_of = np.unique(given, axis=0, return_inverse=True)
        people: list[set[str]] = [set() for _ in sets]
        for number, patient in zip(number_of.tolist(), patients, strict=True):
            people[number].add(patient)
        frequent = sets[[len(who) >= LEAST for who in people]]
        alone = np.eye(given.shape[1], dtype=np.float32)[: None if singles else 0]
        every = np.unique(np.concatenate([frequent, alone]), axis=0)
        if len(every) < 2:
            raise LabelError(
                f"of {len(sets)} sets of drugs {len(frequent)} were given to {LEAST} patients; recommending needs two"
            )
        return cls(every[np.lexsort((*every.T, every.sum(1)))].astype(np.float32))

    @classmethod
    def of(cls, lists: Iterable[Iterable[int]], *, drugs: int) -> Self:
        """Make choices of what `lists` returns."""
        rows = [np.isin(np.arange(drugs), [*numbers]) for numbers in lists]
        return cls(np.array(rows, np.float32).reshape(-1, drugs))

    def lists(self) -> list[list[int]]:
        """Return the numbers of each set's drugs, as JSON knows them."""
        return [np.flatnonzero(row).tolist() for row in self.sets]

    def nearest(self, given: NDArray[np.floating]) -> NDArray[np.intp]:
        """Return of each of `given` (rows, drugs) the number of the choice that agrees with it most."""
        return agreement(given, self.sets).argmax(1)

    def marginals(self, distribution: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the probability of each drug, (rows, drugs), from that of each set, (rows, choices)."""
        return (distribution @ self.sets).clip(0, 1)

    def decide(self, distribution: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the set, (rows, drugs), that agrees most with what `distribution` (rows, choices) expects.

        That is the set of the greatest expected Jaccard index, which is often not the likeliest one.
        """
        return self.sets[(distribution @ self._agreement).argmax(1)]

    @cached_property
    def _agreement(self) -> NDArray[np.float32]:
        return agreement(self.sets, self.sets).astype(np.float32)


def agreement(sets: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the Jaccard index of each of `sets` (n, drugs) with each of `others` (m, drugs), (n, m).

    It is the number of drugs in both by that of drugs in either, and 1 of two empty sets.
    """
    both = sets @ others.T
    either = sets.sum(1)[:, None] + others.sum(1) - both
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))
