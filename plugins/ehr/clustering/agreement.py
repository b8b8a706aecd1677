"""How far two ways of dividing the same patients agree: written out, as a bootstrap asks it thousands of times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def adjusted_rand(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Return the Rand index of two divisions (patients,), adjusted for chance (Hubert and Arabie 1985): 1 if alike."""
    table = _contingency(first, second)
    pairs, rows, columns = (_pairs(counts).sum() for counts in (table, table.sum(1), table.sum(0)))
    expected = rows * columns / max(_pairs(np.array(float(len(first)))), 1.0)
    most = (rows + columns) / 2
    return 1.0 if most == expected else float((pairs - expected) / (most - expected))


def shared_information(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Return the mutual information of two divisions (patients,), normalised by the mean of their entropies.

    NaN where both have but one part.
    """
    table = _contingency(first, second) / len(first)
    rows, columns = table.sum(1), table.sum(0)
    entropy = (_entropy(rows) + _entropy(columns)) / 2
    return float((_entropy(rows) + _entropy(columns) - _entropy(table)) / entropy) if entropy > 0 else float("nan")


def _contingency(first: NDArray[np.integer], second: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return how many patients are in each pair of parts, (parts of the first, parts of the second)."""
    width = int(second.max()) + 1
    counts = np.bincount(first * width + second, minlength=(int(first.max()) + 1) * width)
    return counts.reshape(-1, width).astype(float)


def _pairs(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts * (counts - 1) / 2


def _entropy(shares: NDArray[np.float64]) -> float:
    known = shares[shares > 0]
    return float(-(known * np.log(known)).sum())
