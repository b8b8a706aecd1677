"""Metrics of recommended sets of drugs, as means over visits.

Scores are (rows, 2, drugs): the probability of each drug, and the recommended set as 0 and 1. Where it is known how a
patient fared, a visit counts with that outcome over the probability of the treatment: what counts is to agree with
treatments after which patients fared well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import METRICS as CORE
from medhub.metrics import Metric

Array = NDArray[np.floating]
COLUMNS = ("jaccard", "exact", "f1", "prauc", "precision@1", "recall@3")
"""Figures of a visit, by the metric that is their mean."""
FEW = 3
BINS = 15


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What was given in a visit, (drugs,) of 0 and 1; see `LABELS` in cohort.py."""

    given: NDArray[np.float32]
    outcome: float
    propensity: float
    conflicts: NDArray[np.float32]
    """Which drugs interact, (drugs, drugs), the same of every row."""

    @property
    def weight(self) -> float:
        """What the visit counts: 1 where the outcome is not known."""
        return 1.0 if np.isnan(self.outcome) else self.outcome / self.propensity


def perfect(targets: NDArray, *, count: int) -> NDArray:
    """Return the scores that agree with targets entirely."""
    given = np.stack([truth.given for truth in targets])
    return np.stack([given, given], axis=1)


def interaction_rate(sets: Array, conflicts: Array) -> float:
    """Return the share of interacting pairs among all pairs of drugs in sets (rows, drugs); NaN where there is none."""
    return _share(*_pairs(sets, conflicts))


def _pairs(sets: Array, conflicts: Array) -> tuple[Array, Array]:
    """Count the interacting and all pairs of drugs of each set, (rows,) each."""
    sizes = sets.sum(1)
    return np.einsum("na,ab,nb->n", sets, conflicts, sets) / 2, sizes * (sizes - 1) / 2


def _visits(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    """Return the weight of each visit, and its figures (rows, COLUMNS), NaN where it has none."""
    given = np.stack([truth.given for truth in targets]).astype(float)
    probabilities, chosen = scores[:, 0].astype(float), scores[:, 1].astype(float)
    both, wanted, found = (given * chosen).sum(1), given.sum(1), chosen.sum(1)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(given, order, axis=1)  # (rows, drugs), the most probable drug first
    precision = ranked.cumsum(1) / np.arange(1, given.shape[1] + 1)
    figures = [
        _divided(both, wanted + found - both, empty=1.0),
        (given == chosen).all(1).astype(float),
        _divided(2 * both, wanted + found, empty=1.0),
        _divided((ranked * precision).sum(1), wanted),
        _divided(ranked[:, 0], (wanted > 0).astype(float)),
        _divided(ranked[:, :FEW].sum(1), np.minimum(wanted, FEW)),
    ]
    return np.array([truth.weight for truth in targets]), np.stack(figures, axis=1)


def _drugs(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    """Return the probabilities of the drugs and whether they were given, (rows, drugs) each."""
    return scores[:, 0].astype(float), np.stack([truth.given for truth in targets]).astype(float)


def _recommended_pairs(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    return _conflicting(scores[:, 1], targets)


def _given_pairs(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    return _conflicting(np.stack([truth.given for truth in targets]), targets)


def _conflicting(sets: Array, targets: NDArray) -> tuple[Array, Array]:
    """Return the interacting pairs and all pairs of each set; no pair counts where nothing is said to interact."""
    conflicts = targets[0].conflicts
    interacting, every = _pairs(sets.astype(float), conflicts)
    return interacting, every if conflicts.any() else np.zeros_like(every)


def _followed(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    """Return the outcome of each patient who got what is recommended over its probability, and the weight of that."""
    given = np.stack([truth.given for truth in targets])
    outcomes = np.array([truth.outcome for truth in targets])
    follows = (given == scores[:, 1]).all(1) & ~np.isnan(outcomes)
    weights = np.where(follows, 1 / np.array([truth.propensity for truth in targets]), 0.0)
    return weights * np.nan_to_num(outcomes), weights


def _mean(weights: Array, figures: Array, *, column: int) -> float:
    figures = figures[:, column]
    weights = np.where(np.isnan(figures), 0.0, weights)
    return _share(weights * np.nan_to_num(figures), weights)


def _share(parts: Array, wholes: Array) -> float:
    return float(parts.sum() / wholes.sum()) if wholes.sum() else np.nan


def _divided(parts: Array, wholes: Array, *, empty: float = np.nan) -> Array:
    return np.where(wholes > 0, parts / np.maximum(wholes, 1), empty)


def _a_drug(compute: Callable[[Array, Array], float], probabilities: Array, given: Array) -> Array:
    columns = range(given.shape[1])
    return np.array([compute(probabilities[:, [column]], given[:, [column]]) for column in columns])


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(Metric(name, partial(_mean, column=n), best=1.0, prepare=_visits) for n, name in enumerate(COLUMNS)),
        Metric("auprc", partial(_a_drug, CORE["auprc"].compute), best=1.0, prepare=_drugs, per_label=True),
        Metric("ece", CORE["ece"].compute, best=0.0, prepare=_drugs, higher_is_better=False),
        Metric("ddi_rate", _share, prepare=_recommended_pairs, best=0.0, higher_is_better=False),
        Metric("ddi_rate_given", _share, prepare=_given_pairs, best=0.0, higher_is_better=False),
        Metric("policy_value", _share, prepare=_followed, best=1.0),
    )
}
