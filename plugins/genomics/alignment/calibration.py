"""What the probability of a column is worth: Platt scaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from medhub.calibration import fit_platt

from .metrics import judge

CLOSEST = 1e-6
"""To 0 and 1: probabilities of 32 bits are no surer."""


def fit_calibration(scores: NDArray, truths: NDArray) -> list[float] | None:
    """Return slope and offset that make of each column's logit the logit of its being right (Platt 1999).

    Every pair of sequences weighs the same. Returns None where `fit_platt` does.
    """
    logits, outcomes, weights = [], [], []
    for answer, truth in zip(scores, truths, strict=True):
        right, judged = judge(answer, truth)
        logits.append(_logit(answer.posteriors[judged]))
        outcomes.append(right[judged])
        weights.append(np.full(judged.sum(), 1 / max(1, judged.sum())))
    weight = np.concatenate(weights)
    columns = len(weight) / max(1.0, weight.sum())  # of a pair, on average
    return fit_platt(np.concatenate(logits), np.concatenate(outcomes), weights=weight * columns)


def calibrated(posteriors: NDArray[np.floating], calibration: Sequence[float] | None) -> NDArray[np.floating]:
    """Return what probabilities mean; 0 stays, as the mark of no column."""
    if calibration is None:
        return posteriors
    slope, offset = calibration
    return np.where(posteriors > 0, expit(slope * _logit(posteriors) + offset), 0.0).astype(posteriors.dtype)


def _logit(posteriors: NDArray[np.floating]) -> NDArray[np.floating]:
    return logit(np.asarray(posteriors, float).clip(CLOSEST, 1 - CLOSEST))
