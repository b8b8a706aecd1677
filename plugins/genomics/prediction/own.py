"""The user's own sequences: FASTA beside FASTA of labels, a CSV, or sequences alone to learn what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medhub.data import Table
from medhub.errors import InputError, LabelError, suggest
from medhub.sequences.alphabets import alphabet_of
from medhub.sequences.fasta import SUFFIXES, Record, is_file, read_fasta
from medhub.sequences.rows import Line, make_rows, read_csv

from .rows import LABELS, as_labels, check_lengths, next_letters

MOST_LABELS = 32


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A sequence with a label a letter; `group` and `split` are None where the user gave none."""

    place: str
    sequence: str
    labels: str
    mask: str | None = None
    group: str | None = None
    split: str | None = None


def own_files(path: str | Path) -> Table:
    """Read a folder with sequences.fasta and labels.fasta, a CSV with columns `sequence` and `labels`, or a FASTA file.

    A label is one character a position. mask.fasta, or a column `mask`, of 1 and 0 says which positions are scored; a
    CSV may also have columns `group` and `split`; without the former, equal sequences are of one group. A FASTA file
    alone has no labels: what is learnt from it is the next letter. Raises InputError or LabelError, naming record or
    line.
    """
    path = Path(path)
    if path.is_dir():
        return _labelled_table(_read_folder(path))
    if path.name.lower().endswith((".csv", ".csv.gz")):
        return _labelled_table([_from_line(line) for line in read_csv(path, needs=("sequence", "labels"))])
    if is_file(path.name) or not path.exists():
        return _next_table(path)
    raise InputError(
        f"{path} is no file of sequences; give a folder with sequences.fasta and labels.fasta, a .csv, or a file that "
        f"ends in {', '.join(SUFFIXES)}"
    )


def _next_table(path: Path) -> Table:
    records = read_fasta(path, alphabet=None)
    alphabet = alphabet_of(record.sequence.upper().removesuffix("*") for record in records)
    records = read_fasta(path, alphabet=alphabet)
    rows = [
        {"input": r.sequence, "labels": next_letters(r.sequence, alphabet), "group": group}
        for r, group in zip(records, _groups(r.sequence for r in records), strict=True)
    ]
    return Table(rows=make_rows(rows, labels=LABELS), label_names=tuple(alphabet.letters))


def _read_folder(folder: Path) -> list[Labelled]:
    """Read FASTA of sequences, of labels and, where there is one, of masks, whose records bear the same names."""
    sequences = _fasta_in(folder, "sequences")
    labels, masks = (
        {record.name: record.sequence for record in _fasta_in(folder, name, optional=name == "mask")}
        for name in ("labels", "mask")
    )
    known = {record.name for record in sequences}
    for kind, texts in (("labels", labels), ("mask", masks)):
        if texts and (missing := [record.name for record in sequences if record.name not in texts]):
            raise InputError(f"{folder}: {kind} has no record {missing[0]!r}{suggest(missing[0], texts)} Every "
                             "sequence needs one")  # fmt: skip
        if extra := [name for name in texts if name not in known]:
            raise InputError(f"{folder}: {kind} has a record {extra[0]!r}, but there is no such sequence"
                             f"{suggest(extra[0], known)}")  # fmt: skip
    return [
        Labelled(place=f"record {record.name!r}", sequence=record.sequence, labels=labels[record.name],
                 mask=masks.get(record.name))
        for record in sequences
    ]  # fmt: skip


def _fasta_in(folder: Path, name: str, *, optional: bool = False) -> list[Record]:
    """Read the FASTA file of a name in a folder, whichever of FASTA's endings it has."""
    found = [path for path in sorted(folder.iterdir()) if path.name.split(".")[0] == name and is_file(path.name)]
    if not found and optional:
        return []
    if len(found) != 1:
        raise InputError(f"{folder} needs one file {name}.fasta, but has {len(found)}; "
                         "put sequences.fasta and labels.fasta there")  # fmt: skip
    return read_fasta(found[0], alphabet=None)


def _from_line(line: Line) -> Labelled:
    values = line.values
    return Labelled(
        place=line.place, sequence=values["sequence"], labels=values["labels"], mask=values.get("mask") or None,
        group=values.get("group"), split=values.get("split"),
    )  # fmt: skip


def _labelled_table(items: Sequence[Labelled]) -> Table:
    sequences = [item.sequence.upper() for item in items]
    alphabet = alphabet_of(sequences)
    for item, sequence in zip(items, sequences, strict=True):
        alphabet.check(sequence, name=item.place)
        check_lengths(item.place, sequence, item.labels, item.mask)
    names = _label_names(items)
    rows = [
        {"input": sequence, "labels": as_labels(item.labels, item.mask, names), "group": item.group or group,
         **({} if item.split is None else {"split": item.split})}
        for item, sequence, group in zip(items, sequences, _groups(sequences), strict=True)
    ]  # fmt: skip
    return Table(rows=make_rows(rows, labels=LABELS), label_names=tuple(names))


def _label_names(items: Iterable[Labelled]) -> list[str]:
    """Return the labels of scored positions in their order; raise LabelError for too few or too many."""
    names = sorted({
        label for item in items
        for label, scored in zip(item.labels, item.mask or "1" * len(item.labels), strict=True) if scored == "1"
    })  # fmt: skip
    if not 2 <= len(names) <= MOST_LABELS:
        raise LabelError(f"the sequences have {len(names)} different labels: {''.join(names)[:MOST_LABELS]!r}; give "
                         f"from 2 to {MOST_LABELS}, one character a position")  # fmt: skip
    return names


def _groups(sequences: Iterable[str]) -> list[str]:
    """Number the different sequences, so that equal ones are of one group."""
    numbers: dict[str, int] = {}
    return [f"sequence {numbers.setdefault(sequence, len(numbers) + 1)}" for sequence in sequences]
