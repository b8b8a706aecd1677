"""Which sequences are of one family, so that no split tests on near copies of what training has seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

WORD = 4
"""Letters of the words that relatives share."""
AT_ONCE = 512
"""Sequences that are compared with all others at a time."""


def similar_families(sequences: Sequence[str], *, share: float) -> list[str]:
    """Return a name a sequence, which those bear that are linked, if by others, by shared words.

    Two sequences are linked when the `share` of the shorter one's different words of four letters stands in the other
    too. Of words that two relatives of identity p have, p**4 agree: .3 is an identity of about 74 %, .1 of 56 %.
    """
    words = _words(sequences)
    counts = np.diff(words.indptr)
    links = [_links(words, counts, start=start, share=share) for start in range(0, len(sequences), AT_ONCE)]
    one, other = np.concatenate(links, axis=1)
    table = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(len(sequences), len(sequences)))
    _, family = connected_components(table, directed=False)
    return [f"family {number}" for number in family]


def _words(sequences: Sequence[str]) -> csr_array:
    """Return which words each sequence has: (sequences, words) of 1, the shortest ones being a word by themselves."""
    number_of: dict[str, int] = {}
    columns, ends = [], [0]
    for sequence in sequences:
        words = {sequence[start : start + WORD] for start in range(max(1, len(sequence) - WORD + 1))}
        columns += sorted(number_of.setdefault(word, len(number_of)) for word in words)
        ends.append(len(columns))
    shape = len(sequences), len(number_of)
    return csr_array((np.ones(len(columns), dtype=np.float32), np.array(columns), np.array(ends)), shape=shape)


def _links(words: csr_array, counts: np.ndarray, *, start: int, share: float) -> np.ndarray:
    """Return which sequences the ones from `start` on are linked with: their numbers, (2, links)."""
    common = (words[start : start + AT_ONCE] @ words.T).tocoo()
    one, other = common.row + start, common.col
    linked = common.data >= share * np.minimum(counts[one], counts[other])
    return np.stack([one[linked], other[linked]])
