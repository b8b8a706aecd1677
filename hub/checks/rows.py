"""Comparing what a processor says of rows: arrays, or objects that NumPy can turn into arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

TOLERANCE = 1e-5
"""How far two scores of one input may differ, of 1 or of the larger: float32 sums in another order, and no more."""


def close_rows(first: Any, second: Any) -> bool:
    """Say whether two rows, or two arrays of rows, differ by rounding only."""
    return _agree(first, second, lambda one, other: np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE))


def same_rows(first: Any, second: Any) -> bool:
    """Say whether two rows, or two arrays of rows, are equal bit for bit."""
    return _agree(first, second, np.array_equal)


def _agree(first: Any, second: Any, alike: Callable[[Any, Any], bool]) -> bool:
    one, other = np.asarray(first), np.asarray(second)
    if one.dtype == object:
        return len(one) == len(other) and all(_agree(*pair, alike) for pair in zip(one, other, strict=True))
    return one.shape == other.shape and alike(one, other)
