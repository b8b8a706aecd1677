"""The user's own sequences: a folder with a FASTA file a class, or a CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Value

from medhub.data import Table
from medhub.errors import InputError, LabelError, suggest
from medhub.sequences.alphabets import alphabet_of
from medhub.sequences.fasta import SUFFIXES, is_file, read_fasta
from medhub.sequences.rows import make_rows, read_csv

from .grouping import sequence_group

COLUMNS = ("sequence", "label")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class _Labelled:
    """A sequence as the user gave it; `group` and `split` are empty where they gave none."""

    place: str
    sequence: str
    label: str
    group: str = ""
    split: str = ""


def own_files(path: str | Path) -> Table:
    """Read a folder with a FASTA file a class, or a CSV with the columns `sequence` and `label`.

    A CSV may also have columns `group` and `split`; without the former, equal sequences, on either strand of DNA, are
    of one group. Raises InputError or LabelError, naming the file and its record or line.
    """
    path = Path(path)
    if path.is_dir():
        return _table(path, _in_folder(path))
    if is_file(path.name):
        raise InputError(
            f"{path} is one FASTA file, which tells no classes; give a folder with a file a class, or a CSV with the "
            f"columns {', '.join(COLUMNS)}"
        )
    lines = read_csv(path, needs=COLUMNS)
    return _table(path, [_Labelled(place=line.place, **_wanted(line.values)) for line in lines])


def _wanted(values: dict[str, str]) -> dict[str, str]:
    return {name: values.get(name, "") for name in (*COLUMNS, "group", "split")}


def _in_folder(folder: Path) -> list[_Labelled]:
    files = [file for file in sorted(folder.iterdir()) if is_file(file.name) and not file.name.startswith(".")]
    if len(files) < 2:
        raise InputError(
            f"{folder} holds {len(files)} FASTA files; give one a class, named for it and ending in "
            f"{', '.join(SUFFIXES)}"
        )
    return [
        _Labelled(place=f"{file.name}, record {record.name!r}", sequence=record.sequence, label=_class_of(file))
        for file in files
        for record in read_fasta(file, alphabet=None)
    ]


def _class_of(file: Path) -> str:
    """Return a file's name without its endings."""
    return Path(file.name.removesuffix(".gz").removesuffix(".bgz")).stem


def _table(path: Path, sequences: Sequence[_Labelled]) -> Table:
    names = tuple(sorted({row.label for row in sequences}))
    if len(names) < 2:
        raise LabelError(f"{path} has the class {names[0]!r} only; training needs two")
    texts = [row.sequence.upper().removesuffix("*") for row in sequences]
    alphabet = alphabet_of(texts)
    records = []
    for row, text in zip(sequences, texts, strict=True):
        if row.split and row.split not in SPLITS:
            raise InputError(
                f"{row.place}: no split {row.split!r}{suggest(row.split, SPLITS)} Splits: {', '.join(SPLITS)}"
            )
        alphabet.check(text, name=row.place)
        group = row.group or sequence_group(text)
        records.append({"input": text, "labels": names.index(row.label), "group": group, "split": row.split})
    given = [record["split"] != "" for record in records]
    if any(given) and not all(given):
        raise InputError(f"{sequences[given.index(False)].place} has no split, but others have; name all or none")
    if not any(given):
        records = [{name: value for name, value in record.items() if name != "split"} for record in records]
    return Table(rows=make_rows(records, labels=Value("int64")), label_names=names)
