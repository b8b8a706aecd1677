"""What the relatives of a sequence do: alignments with sequences whose functions are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

GAP_OPEN, GAP_EXTEND = 12, 1  # parasail counts a gap's first letter in the cost of opening it: BLAST's 11 and 1


def align(sequence: str, others: Sequence[str], *, alphabet: str) -> Array:
    """Return the score (others,) of the best local alignment of a sequence with each of the others.

    Smith and Waterman's by parasail (Daily 2016), with BLOSUM62 for proteins.
    """
    import parasail

    matrix = parasail.blosum62 if alphabet == "protein" else parasail.dnafull
    profile = parasail.profile_create_sat(sequence, matrix)
    found = (parasail.sw_striped_profile_sat(profile, other, GAP_OPEN, GAP_EXTEND) for other in others)
    return np.array([each.score for each in found], dtype=float)


def compare(similar: Array, labels: Array) -> Array:
    """Return how much nearer the nearest sequence with each function is than the nearest without it: (labels,).

    `similar` are the scores of alignments with sequences that have `labels` (sequences, labels), 0 or 1. Of the two
    best scores the former's share is returned; one point more, parted as the function is frequent, decides where
    nothing aligns.
    """
    having, lacking = (np.where(labels == value, similar[:, None], 0).max(0, initial=0) for value in (1, 0))
    frequency = labels.mean(0) if len(labels) else np.full(labels.shape[1], 0.5)
    return (having + frequency) / (having + lacking + 1)
