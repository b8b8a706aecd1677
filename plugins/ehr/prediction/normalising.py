"""Values on a scale on which each variable is spread like a normal distribution, whatever its own tails are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..events import Record
from ..scaling import Scaler

MOST_KNOTS = 64
LEAST_VALUES = 10
"""Values between two knots, so that no knot is a patient's."""


@dataclass(frozen=True, kw_only=True)
class NormalScores:
    """What each variable's values, in the scaler's scale, become; as a dataclass it goes into JSON.

    Between knots the scores are interpolated. A variable with fewer than two keeps its values.
    """

    knots: tuple[tuple[float, ...], ...]
    scores: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name in ("knots", "scores"):  # JSON knows lists only
            object.__setattr__(self, name, tuple(map(tuple, getattr(self, name))))

    @classmethod
    def fit(cls, records: Iterable[Record], scaler: Scaler) -> NormalScores:
        """Learn the distribution of each of the scaler's variables from training records."""
        parts = [scaler.scale(record)[1:] for record in records]
        variables = np.concatenate([variables for variables, _ in parts])
        values = np.concatenate([values for _, values in parts])
        order = np.argsort(variables, kind="stable")
        ends = np.cumsum(np.bincount(variables, minlength=len(scaler.codes)))
        found = [_knots(own) for own in np.split(values[order], ends[:-1])]
        return cls(knots=tuple(knots for knots, _ in found), scores=tuple(scores for _, scores in found))

    def transform(self, values: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of values (steps, variables) where the mask is 1, and 0, the median, elsewhere."""
        found = values.copy()
        for variable in np.flatnonzero(mask.any(axis=0)):
            if len(self.knots[variable]) > 1:
                found[:, variable] = np.interp(values[:, variable], self.knots[variable], self.scores[variable])
        return found * mask


def _knots(values: NDArray[np.float32]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return quantiles of one variable's values, and the normal distribution's at the same levels."""
    count = min(MOST_KNOTS, len(values) // LEAST_VALUES)
    if count < 2:
        return (), ()
    levels = (np.arange(count) + 0.5) / count
    # equal quantiles, as of a score with few steps, become one knot with their mean score
    knots, which = np.unique(np.quantile(values.astype(float), levels).round(4), return_inverse=True)
    scores = np.bincount(which, weights=ndtri(levels)) / np.bincount(which)
    return (tuple(knots.tolist()), tuple(scores.round(4).tolist())) if len(knots) > 1 else ((), ())
