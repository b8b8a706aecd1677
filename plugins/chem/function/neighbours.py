"""What the relatives of a sequence do: alignments with sequences whose functions are known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

GAP_OPEN, GAP_EXTEND = 12, 1  # parasail counts a gap's first letter in the cost of opening it: BLAST's 11 and 1
GROUPS = ("LIMV", "C", "A", "G", "ST", "P", "FWY", "EDNQ", "KR", "H")
"""Amino acids that often stand for one another: ten letters for twenty (Murphy, Wallqvist and Levy 2000)."""
FOLD = str.maketrans({letter: group[0] for group in GROUPS for letter in group})
SHARPNESS = 4
"""By how much the mean scores of two groups are multiplied before they are rounded."""


def fold(protein: str) -> str:
    """Return a protein in ten letters for twenty.

    Relatives are still found, though which sequence it was cannot be told any more.
    """
    return protein.translate(FOLD)


def align(sequence: str, others: Sequence[str], *, alphabet: str) -> Array:
    """Return the score (others,) of the best local alignment of a sequence with each of the others.

    Smith and Waterman's by parasail (Daily 2016); `alphabet` is "dna", "protein" (BLOSUM62) or "folded" (the mean of
    BLOSUM62 over the amino acids of two groups, for sequences as `fold` returns them).
    """
    import parasail

    matrix, unit = _matrix(alphabet)
    profile = parasail.profile_create_sat(sequence, matrix)
    found = (parasail.sw_striped_profile_sat(profile, other, unit * GAP_OPEN, unit * GAP_EXTEND) for other in others)
    return np.array([each.score for each in found], dtype=float) / unit


@cache
def _matrix(alphabet: str) -> tuple[Any, int]:
    """Return what each pair of letters scores, in so many units."""
    import parasail

    if alphabet != "folded":
        return (parasail.blosum62 if alphabet == "protein" else parasail.dnafull), 1
    place = {letter: number for number, letter in enumerate("ARNDCQEGHILKMFPSTWYV")}  # BLOSUM62's order
    members = [[place[letter] for letter in group] for group in GROUPS]
    scores = np.array(parasail.blosum62.matrix, dtype=float)
    folded = parasail.matrix_create("".join(group[0] for group in GROUPS), 1, -1)
    for row, one in enumerate(members):
        for column, other in enumerate(members):
            folded[row, column] = round(SHARPNESS * scores[np.ix_(one, other)].mean())
    return folded, SHARPNESS


def compare(similar: Array, labels: Array) -> Array:
    """Return how much nearer the nearest sequence with each function is than the nearest without it: (labels,).

    `similar` are the scores of alignments with sequences that have `labels` (sequences, labels), 0 or 1. Of the two
    best scores the former's share is returned; one point more, parted as the function is frequent, decides where
    nothing aligns.
    """
    having, lacking = (np.where(labels == value, similar[:, None], 0).max(0, initial=0) for value in (1, 0))
    frequency = labels.mean(0) if len(labels) else np.full(labels.shape[1], 0.5)
    return (having + frequency) / (having + lacking + 1)
