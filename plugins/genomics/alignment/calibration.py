"""What the probability of a column is worth: Platt scaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from .metrics import judge

LEAST_SLOPE = 0.05
"""Where the probability says less than that about being right, it is left as it is."""
CLOSEST = 1e-6
"""To 0 and 1: probabilities of 32 bits are no surer."""


def fit_calibration(scores: NDArray, truths: NDArray) -> list[float] | None:
    """Return slope and offset that make of each column's logit the logit of its being right (Platt 1999).

    Every pair of sequences weighs the same. Returns None where the reference judges no column, or all alike.
    """
    logits, outcomes, weights = [], [], []
    for answer, truth in zip(scores, truths, strict=True):
        right, judged = judge(answer, truth)
        logits.append(_logit(answer.posteriors[judged]))
        outcomes.append(right[judged])
        weights.append(np.full(judged.sum(), 1 / max(1, judged.sum())))
    outcome = np.concatenate(outcomes)
    if len(np.unique(outcome)) < 2:
        return None
    model = LogisticRegression(C=np.inf).fit(
        np.concatenate(logits)[:, None], outcome, sample_weight=np.concatenate(weights)
    )
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return [slope, offset] if slope >= LEAST_SLOPE else None


def calibrated(posteriors: NDArray[np.floating], calibration: Sequence[float] | None) -> NDArray[np.floating]:
    """Return what probabilities mean; 0 stays, as the mark of no column."""
    if calibration is None:
        return posteriors
    slope, offset = calibration
    return np.where(posteriors > 0, expit(slope * _logit(posteriors) + offset), 0.0).astype(posteriors.dtype)


def _logit(posteriors: NDArray[np.floating]) -> NDArray[np.floating]:
    return logit(np.asarray(posteriors, float).clip(CLOSEST, 1 - CLOSEST))
