"""How many groups there are: as many as are found again in other samples of the patients, and lie well apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from .agreement import adjusted_rand
from .config import MOST_GROUPS

MOST_PATIENTS = 2000
"""Patients, drawn at random, on whom the numbers of groups are compared."""
SAMPLES = 10
"""Bootstrap samples in which groups are sought again."""
RESTARTS = 5
FEWEST = 10
"""Patients that the smallest group must have: fewer could be recognised."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A number of groups, and what speaks for it."""

    groups: int
    stability: float
    """Mean adjusted Rand index between the groups and those found in bootstrap samples (Hennig 2007)."""
    silhouette: float

    @property
    def worth(self) -> float:
        """The product of both, 0 where one is negative: groups must be found again and lie apart."""
        return max(self.stability, 0.0) * max(self.silhouette, 0.0)


def try_groups(points: NDArray[np.floating], *, seed: int = 0) -> list[Candidate]:
    """Return each number of groups from 2 on that k-means divides points (patients, numbers) into."""
    random = np.random.default_rng(seed)
    if len(points) > MOST_PATIENTS:
        points = points[random.choice(len(points), MOST_PATIENTS, replace=False)]
    candidates = []
    for groups in range(2, MOST_GROUPS + 1):
        if len(np.unique(points, axis=0)) <= groups:
            break
        found = KMeans(groups, n_init=RESTARTS, random_state=seed).fit_predict(points)
        if groups > 2 and np.bincount(found).min() < FEWEST:
            break
        again = refit(points, groups, samples=SAMPLES, seed=seed)
        stability = np.mean([adjusted_rand(found, other) for other in again.T])
        candidates.append(Candidate(groups=groups, stability=float(stability),
                                    silhouette=float(silhouette_score(points, found))))  # fmt: skip
    return candidates


def refit(points: NDArray[np.floating], groups: int, *, samples: int, seed: int, mixture: bool = False) -> NDArray:
    """Return to which group each point belongs (points, samples) by groups that were fitted to a bootstrap sample."""
    from sklearn.mixture import GaussianMixture

    random = np.random.default_rng(seed)
    columns = []
    for sample in range(samples):
        drawn = points[random.integers(len(points), size=len(points))]
        fitted = (
            GaussianMixture(groups, covariance_type="diag", n_init=2, random_state=sample, reg_covar=1e-4)
            if mixture
            else KMeans(groups, n_init=3, random_state=sample)
        )
        columns.append(fitted.fit(drawn).predict(points))
    return np.stack(columns, axis=1)
