"""What training records tell of how to read others: how far back they reach, and how dense they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..events import BIRTH, Record, Time
from ..features import HOUR

REACH = 0.99
"""Share of the training records whose reach the window has: the longest would be one patient's."""
USUAL_STEPS = 48
"""Steps into which histories with more moments than that are cut, where the config does not say."""


def measure_extent(timed: Sequence[Record], index: Sequence[Time]) -> tuple[NDArray[np.floating], NDArray[np.integer]]:
    """Return how many hours each record reaches back from its index time, and at how many moments it has events."""
    hours, moments = np.zeros(len(timed)), np.zeros(len(timed), int)
    for row, (record, at) in enumerate(zip(timed, index, strict=True)):
        if record.start is not None:
            hours[row] = (at - record.start) / np.timedelta64(1, "us") / HOUR
            moments[row] = len(np.unique(record.times[record.codes != BIRTH]))
    return hours, moments


def usual_step(window: float, moments: NDArray[np.integer]) -> float:
    """Return a step for records that mostly have more than USUAL_STEPS moments, in whole hours from one on; else 0."""
    if np.median(moments) <= USUAL_STEPS:
        return 0.0
    step = window / USUAL_STEPS
    return float(round(step)) if step >= 1 else step
