"""The rows of this task: two sequences, and which of their residues share a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from datasets import Dataset, List, Value

from medhub.sequences.fasta import Record
from medhub.sequences.rows import make_rows

from .pairing import known_pairs

LABELS = List(List(Value("int64")))
"""Columns that are known: the numbers, from 0, of the first and the second sequence's residue."""
LABEL_NAMES = ("aligned",)


def as_record(first: str, second: str, *, group: str) -> dict[str, Any]:
    """Return two aligned sequences, gaps and all, as what `rows_of` makes a row of."""
    bare = [bare_sequence(sequence) for sequence in (first, second)]
    return {"input": dict(zip(("first", "second"), bare, strict=True)), "labels": known_pairs(first, second),
            "group": group}  # fmt: skip


def bare_sequence(aligned: str) -> str:
    """Return an aligned sequence without its gaps, in upper case."""
    return aligned.replace("-", "").replace(".", "").upper()


def rows_of(records: Sequence[Mapping[str, Any]]) -> Dataset:
    """Return records with `input`, `labels` and `group`, and perhaps `split`, as rows."""
    return make_rows(records, labels=LABELS, input={"first": Value("string"), "second": Value("string")})


def spread_over_identity(records: Sequence[Record], *, group: str, most: int) -> Iterator[dict[str, Any]]:
    """Yield at most so many pairs of the sequences of one alignment, evenly from the least to the most alike.

    Pairs without a known column are left out.
    """
    letters = np.array([[*record.sequence.encode()] for record in records], dtype=np.uint8)
    known = np.array([[letter.isupper() for letter in record.sequence] for record in records])
    pairs, identities = [], []
    for first, second in combinations(range(len(records)), 2):
        both = known[first] & known[second]
        if both.any():
            pairs.append((first, second))
            identities.append((letters[first, both] == letters[second, both]).mean())
    order = np.argsort(identities, kind="stable")
    for place in np.linspace(0, len(order) - 1, min(len(order), most)).round().astype(int):
        first, second = pairs[order[place]]
        yield as_record(records[first].sequence, records[second].sequence, group=group)
