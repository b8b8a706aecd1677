"""What the probability of a position is worth: a temperature, and how far off the probabilities are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

BINS = 15


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the temperature at which logits (positions, labels) are likeliest to give labels (Guo et al. 2017)."""

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits / math.exp(log_temperature), axis=1)
        return -float(log_probabilities[np.arange(len(labels)), labels].mean())

    return math.exp(minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded").x)


def calibration_error(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the expected calibration error of the most probable labels (Guo et al. 2017, equation 3)."""
    gaps = calibration_gaps(softmax(logits, axis=1), labels)
    return float(np.abs(gaps).sum() / len(labels))


def calibration_gaps(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.floating]:
    """Return right answers less confidences, summed over the positions of each of BINS equal bins of confidence."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return np.bincount(bin_of, weights=right - confidence.astype(float), minlength=BINS).astype(float)
