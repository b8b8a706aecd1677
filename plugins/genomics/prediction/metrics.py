"""Metrics of labels a position. Scores are arrays of (length, labels) a row, targets of (length,) class numbers.

Positions whose target is negative are not scored. What is dear is counted once a sequence, so that a bootstrap of whole
sequences is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import BINS, Metric, calibration_gaps

from .segments import segment_overlap

Array = NDArray[np.floating]
SMALLEST = 1e-12
"""The probability that one of 0 counts as, so that a single wrong certainty does not make a perplexity infinite."""


def perfect(targets: NDArray, *, count: int) -> NDArray:
    """Return the scores that agree with targets entirely; positions that are not scored get the first label."""
    scores = np.empty(len(targets), dtype=object)
    for row, labels in enumerate(targets):
        scores[row] = np.eye(count, dtype=np.float32)[np.maximum(labels, 0)]
    return scores


def _scored(scores: NDArray, targets: NDArray) -> Iterator[tuple[Array, NDArray[np.integer]]]:
    """Yield the probabilities and labels of each sequence's scored positions."""
    for probabilities, labels in zip(scores, targets, strict=True):
        yield probabilities[labels >= 0], labels[labels >= 0]


def _a_row(
    count: Callable[[Array, NDArray[np.integer]], Array], scores: NDArray, targets: NDArray
) -> tuple[Array, Array]:
    """Return what `count` makes of each sequence, and how many positions of it are scored."""
    rows = [*_scored(scores, targets)]
    return np.array([count(*row) for row in rows], float), np.array([len(labels) for _, labels in rows], float)


def _right(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    """Count right positions and all scored ones, (rows,) each."""
    return _a_row(lambda found, labels: np.sum(found.argmax(axis=1) == labels), scores, targets)


def _hits(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    """Count right and all positions of each label, (rows, labels) each."""
    width = scores[0].shape[1] if len(scores) else 0
    hits, counts = np.zeros((2, len(scores), width))
    for row, (found, labels) in enumerate(_scored(scores, targets)):
        counts[row] = np.bincount(labels, minlength=width)
        hits[row] = np.bincount(labels[found.argmax(axis=1) == labels], minlength=width)
    return hits, counts


def _overlaps(scores: NDArray, targets: NDArray) -> tuple[Array]:
    """Return the segment overlap of each sequence, NaN where none of its positions is scored."""
    pairs = zip(scores, targets, strict=True)
    return (np.array([segment_overlap(np.where(true >= 0, found.argmax(1), -1), true) for found, true in pairs]),)


def _surprise(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    """Return the negative log-likelihood of each sequence's scored positions, and their number."""

    def surprise(found: Array, labels: NDArray[np.integer]) -> Array:
        return -np.log(found[np.arange(len(labels)), labels].astype(float).clip(SMALLEST)).sum()

    return _a_row(surprise, scores, targets)


def _gaps(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    """Return how far right answers and confidences are apart, (rows, BINS), and the number of scored positions."""

    def gap(found: Array, labels: NDArray[np.integer]) -> Array:
        return calibration_gaps(found.max(axis=1), found.argmax(axis=1) == labels)

    gaps, counts = _a_row(gap, scores, targets)
    return gaps.reshape(-1, BINS), counts


def _share(parts: Array, wholes: Array) -> float:
    return float(parts.sum() / wholes.sum()) if wholes.sum() else np.nan


def _share_a_label(parts: Array, wholes: Array) -> Array:
    parts, wholes = parts.sum(axis=0), wholes.sum(axis=0)
    return np.divide(parts, wholes, out=np.full(len(wholes), np.nan), where=wholes > 0)


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("q3", _share, best=1.0, prepare=_right),
        Metric("recall", _share_a_label, best=1.0, prepare=_hits, per_label=True),
        Metric("sov", _mean, best=1.0, prepare=_overlaps),
        Metric(
            "perplexity", lambda sums, counts: np.exp(_share(sums, counts)), best=1.0, prepare=_surprise,
            higher_is_better=False,
        ),
        Metric(
            "ece", lambda gaps, counts: np.abs(gaps.sum(axis=0)).sum() / max(counts.sum(), 1), best=0.0, prepare=_gaps,
            higher_is_better=False,
        ),
    )
}  # fmt: skip
