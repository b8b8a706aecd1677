"""Fmax and Smin, as CAFA measures predicted functions (Radivojac et al. 2013; Clark and Radivojac 2013).

Both try every threshold from .01 to 1 and take the best: Fmax by precision and recall, averaged over sequences, and
Smin by what is missed and what is wrongly said, weighted by how much each function tells.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import Metric

Array = NDArray[np.floating]
THRESHOLDS = np.arange(1, 101) / 100


def weigh(metric: Metric, information: Array) -> Metric:
    """Return Smin with the bits (labels,) that each function tells, and any other metric as it is."""
    if metric.name != "smin":
        return metric
    return replace(metric, prepare=partial(_uncertainty, information=information))


def _agreement(scores: Array, targets: Array) -> tuple[NDArray, ...]:
    """Return each row's precision and recall (rows, thresholds), and where each is defined."""
    yes, known = targets == 1, ~np.isnan(targets)
    told = np.stack([((scores >= t) & known).sum(1) for t in THRESHOLDS], axis=1)
    right = np.stack([((scores >= t) & yes).sum(1) for t in THRESHOLDS], axis=1)
    there = yes.sum(1, keepdims=True)
    return right / np.maximum(told, 1), told > 0, right / np.maximum(there, 1), there > 0


def _fmax(precision: Array, tells: NDArray[np.bool_], recall: Array, has: NDArray[np.bool_]) -> float:
    if not has.any():
        return float("nan")
    # precision over the sequences of which anything is told, recall over all that have a function
    p = precision.sum(0) / np.maximum(tells.sum(0), 1)
    r = recall.sum(0) / has.sum()
    return float((2 * p * r / np.maximum(p + r, 1e-12)).max())


def _uncertainty(scores: Array, targets: Array, *, information: Array | None = None) -> tuple[Array, Array]:
    """Return the bits of each row that are missed, and those that are wrongly told: each (rows, thresholds).

    Without `information` every function tells one bit. A single column of several is not told apart from others, so
    that nothing is known of what it tells.
    """
    if information is None:
        information = np.ones(scores.shape[1])
    if len(information) != scores.shape[1]:
        unknown = np.full((len(scores), len(THRESHOLDS)), np.nan)
        return unknown, unknown
    missed = np.stack([((scores < t) & (targets == 1)) @ information for t in THRESHOLDS], axis=1)
    wrong = np.stack([((scores >= t) & (targets == 0)) @ information for t in THRESHOLDS], axis=1)
    return missed, wrong


def _smin(missed: Array, wrong: Array) -> float:
    return float(np.hypot(missed.mean(0), wrong.mean(0)).min())


METRICS: dict[str, Metric] = {
    "fmax": Metric("fmax", _fmax, best=1.0, prepare=_agreement),
    "smin": Metric("smin", _smin, best=0.0, higher_is_better=False, prepare=_uncertainty),
}
