"""Making probabilities mean what they say: a temperature, and the line of a logit, fitted to what came true.

Both smooth what they are fitted to by one observation more of each kind, as Platt (Probabilistic outputs for support
vector machines, 1999) does: where every answer is right, n rows cannot show more than that certainty, and without it
the best fit would be an endless one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax
from sklearn.linear_model import LogisticRegression

Array = NDArray[np.floating]

LEAST_SLOPE = 0.05
"""Logits whose line is flatter say next to nothing about what is right."""


def fit_temperature(logits: Array, targets: NDArray) -> float:
    """Return the temperature at which logits / temperature give the least negative log-likelihood (Guo et al. 2017).

    For classes, logits are (examples, classes) and targets class numbers (examples,); for labels both are (examples,
    labels), and a NaN target is a missing label. Returns 1 where no label is known.
    """
    logits = logits.astype(np.float64)
    if targets.ndim == 1:
        outcomes = (targets[:, None] == np.arange(logits.shape[1])).astype(float)
        smoothing, known = 1 / (len(targets) + 2), np.ones_like(outcomes, dtype=bool)
        outcomes = (1 - smoothing) * outcomes + smoothing / logits.shape[1]
    else:
        known = ~np.isnan(targets)
        smoothing = 1 / (known.sum(axis=0) + 2)
        outcomes = np.where(known, (1 - smoothing) * np.nan_to_num(targets) + smoothing / 2, 0.0)
    if not known.any():
        return 1.0

    def loss(log_temperature: float) -> float:
        cooled = logits / math.exp(log_temperature)
        if targets.ndim == 1:
            return -float((outcomes * log_softmax(cooled, axis=1)).sum())
        likelihood = outcomes * log_expit(cooled) + (1 - outcomes) * log_expit(-cooled)
        return -float(likelihood[known].sum())

    return math.exp(minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded").x)


def fit_platt(logits: Array, right: NDArray[np.bool_], *, weights: Array | None = None) -> list[float] | None:
    """Return slope and offset that make of a logit the logit of its being right (Platt 1999).

    All are (examples,); an example of weight w counts as w observations. Returns None where all or none are right, and
    where logits tell so little that the slope would be below `LEAST_SLOPE`: scaling never turns their order round.
    """
    weights = np.ones(len(right)) if weights is None else weights
    observed = np.array([weights[~right].sum(), weights[right].sum()])
    if not observed.all():
        return None
    smoothing = 1 / (observed + 2)
    share = np.where(right, 1 - smoothing[1], smoothing[0])  # of an example that counts as right
    model = LogisticRegression(C=np.inf, solver="newton-cholesky").fit(
        np.concatenate([logits, logits])[:, None],
        np.repeat([1, 0], len(right)),
        sample_weight=np.concatenate([weights * share, weights * (1 - share)]),
    )
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return [slope, offset] if slope >= LEAST_SLOPE else None
