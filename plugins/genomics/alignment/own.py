"""The user's own alignments: pairs or a whole alignment as FASTA, a folder of those, or a CSV of aligned pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medhub.data import Table
from medhub.errors import InputError, LabelError
from medhub.sequences.alphabets import ALPHABETS, GAPS, guess
from medhub.sequences.fasta import SUFFIXES, Record, read_fasta
from medhub.sequences.rows import read_csv

from .rows import LABEL_NAMES, as_record, rows_of, spread_over_identity

PAIRS = 30
"""Most pairs that are made of one alignment."""


def own_files(path: str | Path) -> Table:
    """Read aligned sequences, gaps written as `-` or `.`; columns with a letter in lower case are not learnt from.

    A FASTA file holds one alignment, all of whose records are equally long, or pairs of records that follow one
    another. A folder holds such files, and the pairs of each are kept together. A CSV has the columns `first` and
    `second`, and optionally `group` and `split`. Raises InputError that names the file and the place.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.lower().removesuffix(".gz").endswith(SUFFIXES))
        if not files:
            raise InputError(f"{path} holds no FASTA file; put alignments there that end in {', '.join(SUFFIXES)}")
        records = [record for file in files for record in _read_fasta(file, group=file.name)]
    elif path.name.lower().removesuffix(".gz").endswith(".csv"):
        records = _read_csv(path)
    else:
        records = _read_fasta(path, group=None)
    known = [record for record in records if record["labels"]]
    if not known:
        raise LabelError(f"{path} has no column of two letters in upper case; those in lower case are not learnt from")
    return Table(
        rows=rows_of(known), label_names=LABEL_NAMES, dropped={"without a known column": len(records) - len(known)}
    )


def _read_fasta(path: Path, *, group: str | None) -> list[dict[str, Any]]:
    """Read one alignment, or pairs; without a `group` each pair, or each sequence's pairs, have one of their own."""
    records = read_fasta(path, alphabet=None, gaps=True)
    for record in records:
        _check(record.sequence, f"{path.name}, record {record.name!r} (line {record.line})")
    if len(records) > 2 and len({len(record.sequence) for record in records}) == 1:
        return [*spread_over_identity(records, group=group or path.name, most=PAIRS)]
    if len(records) % 2:
        raise InputError(
            f"{path} holds {len(records)} records of different lengths; make them one alignment, all equally long, or "
            "pairs that follow one another"
        )
    pairs = zip(records[::2], records[1::2], strict=True)
    return [_pair(*pair, place=path.name, group=group or f"pair {number}") for number, pair in enumerate(pairs)]


def _pair(first: Record, second: Record, *, place: str, group: str) -> dict[str, Any]:
    if len(first.sequence) != len(second.sequence):
        raise InputError(
            f"{place}: {first.name!r} has {len(first.sequence)} columns and {second.name!r} {len(second.sequence)}; "
            "write both with their gaps, so that they are equally long"
        )
    return as_record(first.sequence, second.sequence, group=group)


def _read_csv(path: Path) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(read_csv(path, needs=("first", "second"))):
        sides = []
        for side in ("first", "second"):
            _check(line.values[side], f"{line.place}, column {side!r}")
            sides.append(Record(name=side, sequence=line.values[side]))
        group = line.values.get("group") or f"pair {number}"
        record = _pair(*sides, place=line.place, group=group)
        records.append(record | {"split": line.values["split"]} if "split" in line.values else record)
    return records


def _check(sequence: str, place: str) -> None:
    """Raise InputError unless an aligned sequence is written in letters of one alphabet and gaps."""
    letters = sequence.upper()
    ALPHABETS[guess(letters) or "protein"].check(letters, name=place, gaps=True)
    if not letters.strip(GAPS):
        raise InputError(f"{place} has nothing but gaps; remove it")
