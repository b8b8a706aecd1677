"""Metrics of alignments: how many of a reference's columns are found, and whether confidences mean what they say.

Scores and targets are arrays of Pairings. A figure of recall, precision or F1 is the mean over pairs of sequences, so
that long ones do not count for more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import BINS, Metric, calibration_gaps, reliability

from .pairing import Pairing

Array = NDArray[np.floating]

HARD = (0.1, 0.3)
"""From and below which identity a pair counts for recall_10_30: the twilight zone (Rost 1999)."""


def perfect(targets: NDArray, *, count: int) -> NDArray:
    """Return the scores that agree with targets entirely: they themselves."""
    return targets


def _columns(scores: NDArray, targets: NDArray) -> tuple[Array, ...]:
    """Return recall, precision and F1 of each pair of sequences, NaN where there is none, and its identity.

    Recall is the share of the known columns that are found. Precision is the share of the found columns that are
    right, of those that put a residue of a known column into any.
    """
    figures = np.full((3, len(targets)), np.nan)
    for row, (answer, truth) in enumerate(zip(scores, targets, strict=True)):
        right, judged, known = _count(answer, truth)
        if known:
            figures[0, row] = right / known
            figures[1, row] = right / judged if judged else 0.0
            figures[2, row] = 2 * right / (known + judged)
    return *figures, np.array([truth.identity for truth in targets])


def _count(answer: Pairing, truth: Pairing) -> tuple[int, int, int]:
    """Return how many columns are right, how many the reference can judge, and how many it knows."""
    right, judged = judge(answer, truth)
    return int(right.sum()), int(judged.sum()), int((truth.partners >= 0).sum())


def judge(answer: Pairing, truth: Pairing) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which residues of the first sequence stand in a right column, and in one that the reference can judge.

    It can where it knows the column of either residue.
    """
    found = answer.partners >= 0
    right = found & (answer.partners == truth.partners)
    return right, found & ((truth.partners >= 0) | np.isin(answer.partners, truth.partners[truth.partners >= 0]))


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _recall(recall: Array, precision: Array, f1: Array, identity: Array) -> float:
    return _mean(recall)


def _precision(recall: Array, precision: Array, f1: Array, identity: Array) -> float:
    return _mean(precision)


def _f1(recall: Array, precision: Array, f1: Array, identity: Array) -> float:
    return _mean(f1)


def _recall_hard(recall: Array, precision: Array, f1: Array, identity: Array) -> float:
    return _mean(recall[(identity >= HARD[0]) & (identity < HARD[1])])


def _gaps(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    """Return, by bin of confidence, the sum of outcome less confidence (pairs, bins), and how many columns (pairs,)."""
    gaps, counts = np.zeros((len(targets), BINS)), np.zeros(len(targets))
    for row, (answer, truth) in enumerate(zip(scores, targets, strict=True)):
        right, judged = judge(answer, truth)
        gaps[row] = calibration_gaps(answer.confidence[judged], right[judged])
        counts[row] = judged.sum()
    return gaps, counts


def _calibration_error(gaps: Array, counts: Array) -> float:
    """Expected calibration error of columns over equal-width bins (Guo et al. 2017, equation 3)."""
    return float(np.abs(gaps.sum(0)).sum() / counts.sum()) if counts.sum() else float("nan")


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("recall", _recall, best=1.0, prepare=_columns),
        Metric("precision", _precision, best=1.0, prepare=_columns),
        Metric("f1", _f1, best=1.0, prepare=_columns),
        Metric("recall_10_30", _recall_hard, best=1.0, prepare=_columns),
        Metric("ece", _calibration_error, best=0.0, higher_is_better=False, prepare=_gaps),
    )
}

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def _reliability(scores: NDArray, targets: NDArray) -> list[list[str]]:
    confidences, rights = [], []
    for answer, truth in zip(scores, targets, strict=True):
        right, judged = judge(answer, truth)
        confidences.append(answer.confidence[judged])
        rights.append(right[judged])
    return reliability(np.concatenate(confidences), np.concatenate(rights), edges=EDGES)


TABLES = {"Columns by confidence, of those that the reference can judge, and how many of them are right": _reliability}
