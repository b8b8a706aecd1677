"""Pairs of sequences in the forms that users have: two strings, FASTA text, a FASTA file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medhub.errors import InputError
from medhub.sequences.alphabets import Alphabet
from medhub.sequences.fasta import Record, is_file, read_fasta

SIDES = ("first", "second")
MOST_CELLS = 2**25
"""Residues of one sequence times those of the other, up to which a pair is aligned: 5,792 of each."""


@dataclass(frozen=True, kw_only=True)
class SequencePair:
    """Two sequences to be aligned."""

    first: Record
    second: Record


def read_pair(raw: Any, *, alphabet: Alphabet) -> SequencePair:
    """Read two sequences from {"first": ..., "second": ...}, each a string or FASTA of one record, or FASTA of two.

    FASTA is a path or text. Raises InputError for another number of records, letters that are not of the alphabet, and
    sequences that are too long together.
    """
    if isinstance(raw, SequencePair):
        pair = raw
    elif isinstance(raw, Mapping):
        if sorted(raw) != [*SIDES]:
            raise InputError(f"a pair has the keys 'first' and 'second', but this one {', '.join(map(repr, raw))}")
        pair = SequencePair(**{side: _one(raw[side], side, alphabet) for side in SIDES})
    elif _is_fasta(raw):
        records = read_fasta(raw, alphabet=alphabet)
        if len(records) != 2:
            raise InputError(f"{_title(raw)} holds {len(records)} sequence(s); give the two that are to be aligned")
        pair = SequencePair(first=records[0], second=records[1])
    else:
        raise InputError(
            f"a pair of sequences cannot be read from {type(raw).__name__} {str(raw)[:40]!r}; give a dict with 'first' "
            "and 'second', or FASTA of two records as text or path"
        )
    cells = len(pair.first.sequence) * len(pair.second.sequence)
    if cells > MOST_CELLS:
        raise InputError(
            f"{pair.first.name} and {pair.second.name} have {len(pair.first.sequence):,} and "
            f"{len(pair.second.sequence):,} residues; every pair of them is compared, and more than {MOST_CELLS:,} do "
            "not fit the memory. Cut out the regions that matter"
        )
    return pair


def spread_pairs(raw: Any, *, alphabet: Alphabet) -> list[Any] | None:
    """Return the pairs of consecutive records of a FASTA of more than two; None for anything else.

    Raises InputError for an odd number of records.
    """
    if not _is_fasta(raw):
        return None
    records = read_fasta(raw, alphabet=alphabet)
    if len(records) <= 2:
        return None
    if len(records) % 2:
        raise InputError(
            f"{_title(raw)} holds {len(records)} sequences, an odd number; each two that follow one another are aligned"
        )
    return [SequencePair(first=first, second=second) for first, second in zip(records[::2], records[1::2], strict=True)]


def _one(raw: Any, side: str, alphabet: Alphabet) -> Record:
    """Read one side of a pair."""
    if isinstance(raw, Record):
        return raw
    if not isinstance(raw, str | Path) or not str(raw).strip():
        raise InputError(f"the {side} sequence is {raw!r}; give its letters, or FASTA of one record as text or path")
    records = read_fasta(raw, alphabet=alphabet)
    if len(records) != 1:
        raise InputError(f"the {side} sequence is FASTA of {len(records)} records; give one")
    bare = isinstance(raw, str) and ">" not in raw and not is_file(raw)
    return replace(records[0], name=side) if bare else records[0]


def _is_fasta(raw: Any) -> bool:
    return isinstance(raw, Path) or (isinstance(raw, str) and (raw.lstrip().startswith(">") or is_file(raw)))


def _title(raw: str | Path) -> str:
    return str(raw) if is_file(raw) else "the FASTA text"
