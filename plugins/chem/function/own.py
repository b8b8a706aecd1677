"""The user's own sequences: FASTA and a table of functions, with an ontology where these are its terms; or one CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medhub.data import Table
from medhub.errors import InputError, LabelError, suggest
from medhub.sequences.alphabets import alphabet_of
from medhub.sequences.fasta import is_file, read_fasta
from medhub.sequences.rows import Line, read_csv

from .grouping import similar_families
from .ontology import Ontology, read_obo
from .rows import rows_of

COLUMNS = ("sequence", "name", "labels", "group", "split")
SPLITS = ("train", "validation", "test")
SHARE = 0.3
"""Share of its words that a sequence has in common with a relative, where the user names no group."""
LEAST_ANNOTATED = 10
"""Sequences that a term of an ontology is annotated to at least; of rarer ones nothing can be learnt."""


@dataclass(frozen=True, kw_only=True)
class _Annotated:
    """A sequence as the user gave it; `group` and `split` are empty where they gave none."""

    place: str
    sequence: str
    labels: frozenset[str]
    group: str = ""
    split: str = ""


def own_files(path: str | Path) -> Table:
    """Read a CSV with the columns `sequence` and `labels`, or a folder with FASTA, a CSV and, if any, an OBO file.

    In a folder the CSV has the columns `name`, of a FASTA record, and `labels`. Labels are parted by ";", and none is
    none; with an OBO file they are its terms, and whoever has a term has all that it implies. A CSV may also have the
    columns `group` and `split`; without the former, similar sequences are of one group. Raises InputError or
    LabelError, naming the file and its record or line.
    """
    path = Path(path)
    if path.is_dir():
        return _in_folder(path)
    if is_file(path.name):
        raise InputError(
            f"{path} is FASTA alone, which tells no functions; give a folder with it and a CSV with the columns name "
            "and labels"
        )
    rows = [_annotated(line, line.values["sequence"]) for line in _read_labels(path, key="sequence")]
    return _table(path, rows, ontology=None, dropped={})


def _in_folder(folder: Path) -> Table:
    fasta, table = _files(folder, "FASTA file")[0], _files(folder, "CSV")[0]
    ontology = next((read_obo(file) for file in _files(folder, "OBO file", needed=False)), None)
    sequences = {record.name: record.sequence for record in read_fasta(fasta, alphabet=None)}
    rows = []
    for line in _read_labels(table, key="name"):
        name = line.values["name"]
        if name not in sequences:
            raise InputError(
                f"{line.place}: {fasta.name} has no record {name!r} left{suggest(name, sequences)} Give each line the "
                "name of one record, and each record one line"
            )
        rows.append(_annotated(line, sequences.pop(name), ontology=ontology))
    return _table(folder, rows, ontology=ontology, dropped={"record without a line in the CSV": len(sequences)})


def _files(folder: Path, kind: str, *, needed: bool = True) -> list[Path]:
    """Return the one file of a kind in a folder, or none where it is not needed."""
    files = [file for file in sorted(folder.iterdir()) if not file.name.startswith(".") and _kind(file) == kind]
    if len(files) > 1 or (needed and not files):
        raise InputError(
            f"{folder} holds {len(files)} files that are a {kind}; give one FASTA file of the sequences, one CSV of "
            "their labels and at most one OBO file"
        )
    return files


def _kind(file: Path) -> str:
    """Return what a file holds, judged by its name."""
    if is_file(file.name):
        return "FASTA file"
    name = file.name.lower().removesuffix(".gz")
    return "CSV" if name.endswith(".csv") else "OBO file" if name.endswith(".obo") else ""


def _read_labels(path: Path, *, key: str) -> list[Line]:
    """Read a CSV whose column `key` is never empty, and `labels` may be."""
    lines = read_csv(path, needs=(key,))
    if "labels" not in lines[0].values:
        known = lines[0].values
        raise InputError(
            f"{path} has no column 'labels'{suggest('labels', known)} Columns: {', '.join(known)}; write in it the "
            "functions of each sequence, parted by ;"
        )
    return lines


def _annotated(line: Line, sequence: str, *, ontology: Ontology | None = None) -> _Annotated:
    labels = {label.strip() for label in line.values["labels"].split(";")} - {""}
    if ontology is not None:
        try:
            labels = ontology.implied(map(ontology.known, sorted(labels)))
        except InputError as error:
            raise LabelError(f"{line.place}: {error}") from error
    split = line.values.get("split", "")
    if split and split not in SPLITS:
        raise InputError(f"{line.place}: no split {split!r}{suggest(split, SPLITS)} Splits: {', '.join(SPLITS)}")
    return _Annotated(
        place=line.place, sequence=sequence.upper().removesuffix("*"), labels=frozenset(labels),
        group=line.values.get("group", ""), split=split,
    )  # fmt: skip


def _table(path: Path, rows: Sequence[_Annotated], *, ontology: Ontology | None, dropped: dict[str, int]) -> Table:
    alphabet = alphabet_of([row.sequence for row in rows])
    for row in rows:
        alphabet.check(row.sequence, name=row.place)
    labels = _chosen(path, rows, ontology)
    families = similar_families([row.sequence for row in rows], share=SHARE)
    given = [row.split != "" for row in rows]
    if any(given) and not all(given):
        raise InputError(f"{rows[given.index(False)].place} has no split, but others have; name all or none")
    links = _links(labels, ontology)
    records = [
        {
            "input": row.sequence,
            "labels": [float(label in row.labels) for label in labels],
            "group": row.group or family,
            "links": [(one, other) for one, other in links if labels[one] in row.labels],
            **({"split": row.split} if all(given) else {}),
        }
        for row, family in zip(rows, families, strict=True)
    ]
    names = tuple(labels if ontology is None else (f"{id} {ontology.names[id]}" for id in labels))
    return Table(rows=rows_of(records), label_names=names, dropped=dropped)


def _chosen(path: Path, rows: Sequence[_Annotated], ontology: Ontology | None) -> list[str]:
    """Return the labels that are learnt: all, or the terms that are often enough there and imply others."""
    counts = Counter(label for row in rows for label in row.labels)
    if ontology is not None:  # what everything implies, the root, says nothing
        counts = Counter({id: n for id, n in counts.items() if n >= LEAST_ANNOTATED and ontology.parents[id]})
    if not counts:
        need = f" that {LEAST_ANNOTATED} sequences have" if ontology is not None else ""
        raise LabelError(f"{path} has no label{need}; write the functions of each sequence, parted by ;")
    return sorted(counts)


def _links(labels: Sequence[str], ontology: Ontology | None) -> list[tuple[int, int]]:
    """Return the pairs of labels, by their numbers, of which the first directly implies the second."""
    number_of = {label: number for number, label in enumerate(labels)}
    above = {} if ontology is None else ontology.parents
    return [
        (number_of[label], number_of[parent])
        for label in labels
        for parent in above.get(label, ())
        if parent in number_of
    ]
