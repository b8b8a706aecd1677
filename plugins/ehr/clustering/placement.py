"""Where a model places a patient: what metrics compare, and what a result is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhub.processing import as_rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """A patient among groups."""

    probabilities: NDArray[np.float32]
    """(groups,)"""
    latent: NDArray[np.float32]
    """(width,) the place in the space in which the groups were found."""
    inputs: NDArray[np.float32]
    """(inputs,) what is known of the patient, in deviations from the mean, 0 where unknown."""
    mixture: bool = False
    """Whether the groups are a mixture of Gaussians; else they are k-means's."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        """Return all numbers as one array."""
        return np.array(np.concatenate([self.probabilities, self.latent, self.inputs]), dtype=dtype)


def place(
    probabilities: NDArray[np.floating],
    latent: NDArray[np.floating],
    inputs: NDArray[np.floating],
    *,
    mixture: bool = False,
) -> NDArray:
    """Return the placements of several patients, whose numbers are the rows of the arrays."""
    return as_rows([
        Placement(probabilities=p, latent=z, inputs=x, mixture=mixture)
        for p, z, x in zip(*(np.asarray(a, np.float32) for a in (probabilities, latent, inputs)), strict=True)
    ])  # fmt: skip


def column(placements: Sequence[Placement] | NDArray, name: str) -> NDArray[np.float64]:
    """Return one of the arrays of all placements, (patients, numbers)."""
    return np.stack([getattr(placement, name) for placement in placements]).astype(np.float64)


def groups_of(placements: Sequence[Placement] | NDArray) -> NDArray[np.int64]:
    """Return the most probable group of each placement, (patients,)."""
    return column(placements, "probabilities").argmax(axis=1)
