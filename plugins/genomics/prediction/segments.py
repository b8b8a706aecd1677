"""Runs of one label, and how far those predicted overlap those observed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def runs(labels: NDArray[np.integer]) -> Iterator[tuple[int, int, int]]:
    """Yield label, start and end (one behind the last position) of each run in labels (length,), in their order."""
    if not len(labels):
        return
    borders = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    for start, end in pairwise(borders):
        yield int(labels[start]), start, end


def segment_overlap(found: NDArray[np.integer], true: NDArray[np.integer]) -> float:
    """Return the segment overlap of predicted with observed labels (length,), from 0 to 1 (Zemla et al. 1999, SOV'99).

    Each pair of an observed and a predicted run of one label that overlap counts with the observed run's length, in the
    share that both have in common, with an allowance for their ends; an observed run that no predicted one meets counts
    in full, with a share of 0. Positions with a negative label belong to no run. NaN where nothing is observed.
    """
    predicted = [run for run in runs(found) if run[0] >= 0]
    total = whole = 0.0
    for label, start, end in runs(true):
        if label < 0:
            continue
        partners = [
            (first, last) for other, first, last in predicted if other == label and first < end and start < last
        ]
        whole += (end - start) * max(len(partners), 1)
        total += (end - start) * sum(_share(start, end, *partner) for partner in partners)
    return total / whole if whole else float("nan")


def _share(start: int, end: int, other_start: int, other_end: int) -> float:
    """Return the share that two overlapping runs have in common, with SOV'99's allowance for their ends."""
    common = min(end, other_end) - max(start, other_start)
    extent = max(end, other_end) - min(start, other_start)
    allowance = min(extent - common, common, (end - start) // 2, (other_end - other_start) // 2)
    return (common + allowance) / extent
