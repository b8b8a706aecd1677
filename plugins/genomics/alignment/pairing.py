"""Which residues of two sequences share a column: what a model says of a pair, and what a reference does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

GAP, GAPS = "-", "-."
"""What is written where a residue is missing, and what is read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairing:
    """For each residue of the first sequence, the residue of the second that shares its column."""

    partners: NDArray[np.int64]
    """(length of the first,): counted from 0, -1 for none, and in a reference for unknown; ascending otherwise."""
    posteriors: NDArray[np.floating]
    """The network's probability of each column, 0 for none."""
    confidence: NDArray[np.floating]
    """The same, calibrated."""
    identity: float = float("nan")
    """Of a reference: share of the known columns whose two residues are the same."""
    score: float = float("nan")
    """Of an answer: see `AlignmentOutput`."""

    @classmethod
    def certain(cls, partners: NDArray[np.integer], *, identity: float = float("nan")) -> Self:
        """Return a pairing whose columns all have probability 1: a reference, or an aligner's that gives none."""
        sure = (partners >= 0).astype(np.float32)
        return cls(partners=partners.astype(np.int64), posteriors=sure, confidence=sure, identity=identity)

    @property
    def pairs(self) -> NDArray[np.int64]:
        """The columns with two residues, (columns, 2)."""
        first = np.flatnonzero(self.partners >= 0)
        return np.stack([first, self.partners[first]], axis=1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        """Return partners and confidence as one array (2, length)."""
        return np.stack([self.partners, self.confidence]).astype(dtype or np.float64)


def partners_of(pairs: NDArray[np.integer] | Sequence[Sequence[int]], length: int) -> NDArray[np.int64]:
    """Return each residue's partner (length,), -1 for none, from pairs (columns, 2)."""
    partners = np.full(length, -1, dtype=np.int64)
    if len(pairs):
        first, second = np.asarray(pairs, dtype=np.int64).T
        partners[first] = second
    return partners


def gapped(first: str, second: str, pairs: NDArray[np.integer]) -> tuple[str, str, list[int]]:
    """Write two sequences one under the other, and say which column is each pair (columns, 2).

    Between two pairs the unpaired residues of the first come before those of the second, as the dynamic programme has
    them; what stands before the first pair and behind the last is written too.
    """
    upper, lower, places = [], [], []
    start, other = 0, 0
    for i, j in [*pairs.tolist(), (len(first), len(second))]:
        upper.append(first[start:i] + GAP * (j - other))
        lower.append(GAP * (i - start) + second[other:j])
        if i < len(first):
            upper.append(first[i])
            lower.append(second[j])
            places.append(sum(map(len, upper)) - 1)
        start, other = i + 1, j + 1
    return "".join(upper), "".join(lower), places


def known_pairs(first: str, second: str) -> list[list[int]]:
    """Return the columns of two aligned sequences that are known: both letters in upper case, neither a gap.

    Lower case marks columns that a reference does not vouch for, as in BAliBASE.
    """
    pairs = []
    i = j = 0
    for one, other in zip(first, second, strict=True):
        if one.isupper() and other.isupper():
            pairs.append([i, j])
        i += one not in GAPS
        j += other not in GAPS
    return pairs
