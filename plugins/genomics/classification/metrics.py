"""Metrics of this task beside the core's: the recall of each class, whose complement is the error of that class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import Metric


def recall(scores: NDArray[np.floating], targets: NDArray[np.integer]) -> NDArray[np.floating]:
    """Return the share of each class's examples that are told as that class (labels,), NaN for one without any."""
    right = scores.argmax(axis=1) == targets
    counts = np.bincount(targets, minlength=scores.shape[1])
    found = np.bincount(targets, weights=right, minlength=scores.shape[1])
    return np.divide(found, counts, out=np.full(len(counts), np.nan), where=counts > 0)


METRICS: dict[str, Metric] = {"recall": Metric("recall", recall, best=1.0, per_label=True)}
