"""Which sequences belong together, so that no split tests on what training has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from medhub.sequences.alphabets import DNA, alphabet_of

SHARED = 16
"""Letters in a row that two sequences share by descent and hardly ever by chance: one in four billion."""


def sequence_group(sequence: str) -> str:
    """Return a name that a DNA sequence and its reverse complement share, and equal proteins."""
    opposite = DNA.reverse_complement(sequence) if alphabet_of([sequence]) is DNA else sequence
    return hashlib.sha256(min(sequence, opposite).encode()).hexdigest()[:16]


def families(sequences: Sequence[str]) -> list[str]:
    """Return a name a sequence, which those bear that are linked, if by others, by `SHARED` letters in a row."""
    first_with: dict[str, int] = {}
    links = []
    for number, sequence in enumerate(sequences):
        for start in range(len(sequence) - SHARED + 1):
            links.append((first_with.setdefault(sequence[start : start + SHARED], number), number))
    one, other = np.array(links).reshape(-1, 2).T
    size = len(sequences)
    _, family = connected_components(coo_matrix((np.ones(len(one)), (one, other)), shape=(size, size)), directed=False)
    return [f"family {number}" for number in family]
