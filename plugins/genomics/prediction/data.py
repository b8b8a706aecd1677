"""Where the rows come from: proteins with their secondary structure, the user's own files, and made-up proteins.

Every row's `input` is a sequence, `labels` are the class number of each position (-100 where it is not scored), and
`group` names the sequence, so that equal ones never stand on two sides of a split.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medhub.data import File, Source, Table
from medhub.errors import DataError
from medhub.sequences.alphabets import PROTEIN
from medhub.sequences.fasta import Record, iterate_fasta
from medhub.sequences.rows import make_rows

from .. import flip
from .own import own_files
from .rows import LABELS, as_labels, next_letters

__all__ = ["DATASETS", "own_files", "synthetic"]

STRUCTURES = ("H", "E", "C")
"""Helix (DSSP's H, G, I), strand (E, B) and everything else."""
FAVOURED = {"H": "AELKMQR", "E": "VIYFTW", "C": "GPNSD"}
"""Residues of made-up proteins by structure."""
SHARED = 30
"""Residues in a row that no chain of CB513 may have in common with a chain of the training data."""


def load_flip(paths: Mapping[str, Path]) -> Table:
    """Return the proteins of FLIP's secondary structure task in their official parts; NEW364 is the test part."""
    return Table(rows=make_rows([*_flip(paths, folder="")], labels=LABELS), label_names=STRUCTURES)


def load_flip_proteins(paths: Mapping[str, Path]) -> Table:
    """Return the same proteins without their structure: what is learnt is the next residue."""
    rows = [{**row, "labels": next_letters(row["input"], PROTEIN)} for row in _flip(paths, folder="")]
    return Table(rows=make_rows(rows, labels=LABELS), label_names=tuple(PROTEIN.letters))


def load_cb513(paths: Mapping[str, Path]) -> Table:
    """Return FLIP's train and validation proteins, and the chains of CB513, apart from those akin, to test on."""
    learnt = [row for row in _flip(paths, folder="flip-ss3/") if row["split"] != "test"]
    chains = _cb513(paths["cb513/CB513_HHblits.csv"])
    akin = flip.akin([row["input"] for row in chains], [row["input"] for row in learnt], run=SHARED)
    tested = [row for row in chains if row["input"] not in akin]
    return Table(
        rows=make_rows([*learnt, *tested], labels=LABELS),
        label_names=STRUCTURES,
        dropped={f"chain of CB513 that shares {SHARED} residues in a row with a training chain": len(akin)},
        notes=(
            "CB513's domains of one chain stand in one row; scored are the residues of CB513's domains that are "
            "resolved in the structure.",
            "NetSurfP-2.0's training proteins, of which FLIP's are, were chosen to share less than 25 % of their "
            "residues with CB513's.",
        ),
    )


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make up proteins of 24 to 64 residues: runs of helix, strand and coil, each with residues that it favours.

    One residue in ten is any of the twenty, and the first two and the last two are not scored.
    """
    random = np.random.default_rng(seed)
    rows = []
    for number in range(size):
        sequence, labels = _made_up(random)
        mask = "00" + "1" * (len(sequence) - 4) + "00"
        rows.append({"input": sequence, "labels": as_labels(labels, mask, STRUCTURES), "group": f"protein {number}"})
    return Table(rows=make_rows(rows, labels=LABELS), label_names=STRUCTURES)


def _made_up(random: np.random.Generator) -> tuple[str, str]:
    """Return a made-up protein and its structure."""
    length = random.integers(24, 55)
    labels = ""
    while len(labels) < length:
        others = [name for name in STRUCTURES if not labels.endswith(name)]
        labels += str(random.choice(others)) * int(random.integers(4, 11))
    letters = [random.choice([*(FAVOURED[label] if random.random() < 0.9 else PROTEIN.letters)]) for label in labels]
    return "".join(letters), labels


def _flip(paths: Mapping[str, Path], *, folder: str) -> Iterator[dict[str, Any]]:
    """Yield FLIP's proteins as rows. Its three files have the same records in the same order."""
    names = ("sequences", "sampled", "mask")
    alphabets = (PROTEIN, None, None)
    files = (
        iterate_fasta(paths[f"{folder}{name}.fasta.gz"], alphabet=alphabet)
        for name, alphabet in zip(names, alphabets, strict=True)
    )
    for sequence, labels, mask in zip(*files, strict=True):
        if not sequence.name == labels.name == mask.name:
            raise DataError(f"records {sequence.name!r}, {labels.name!r} and {mask.name!r} stand side by side")
        yield {
            "input": sequence.sequence, "labels": as_labels(labels.sequence, mask.sequence, STRUCTURES),
            "group": sequence.name, "split": _part(labels),
        }  # fmt: skip


def _part(record: Record) -> str:
    """Return the part that a header such as "SET=train VALIDATION=True" names."""
    marks = dict(mark.split("=") for mark in record.description.split())
    return "validation" if marks["VALIDATION"] == "True" else marks["SET"]


def _cb513(path: Path) -> list[dict[str, Any]]:
    """Return CB513's chains; where several of its domains are of one chain, the positions of all are scored."""
    chains: dict[str, list[int]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, skipinitialspace=True):
            sequence = row["input"].replace(" ", "")
            scored = zip(row["cb513_mask"].split(), row["disorder"].split(), strict=True)
            mask = "".join("1" if {*pair} == {"1.0"} else "0" for pair in scored)
            found = as_labels(row["dssp3"].replace(" ", ""), mask, STRUCTURES)
            before = chains.get(sequence, found)
            chains[sequence] = [max(pair) for pair in zip(before, found, strict=True)]
    return [
        {"input": sequence, "labels": labels, "group": f"CB513 chain {number}", "split": "test"}
        for number, (sequence, labels) in enumerate(chains.items(), start=1)
    ]


DATASETS: dict[str, Source] = {
    "cb513": Source(
        name="cb513",
        version="NetSurfP-2.0",
        title="Secondary structure of proteins: FLIP's to train on, CB513 to test on",
        files=(
            *flip.files("flip-ss3/"),
            File(
                name="cb513/CB513_HHblits.csv",
                sha256="829e357259fd132e945af4ea4ffa4233f135e886b749a2fc5111b41102537afc",
                bytes=2016196,
            ),
        ),
        licence="AFL-3.0 (FLIP), CC0-1.0 (CB513 of the PS4 data set)",
        citation=f"{flip.CITATION}; Cuff and Barton 1999, CB513 (10.1002/(SICI)1097-0134(19990301)34:4<508)",
        homepage=flip.HOMEPAGE,
        group_by="sequence",
        load=load_cb513,
        splits=("official",),
        mirror=".",
    ),
    "flip-ss3": Source(
        name="flip-ss3",
        version="2026-04-23",
        title="Secondary structure of proteins: FLIP's split of NetSurfP-2.0's data, tested on NEW364",
        files=flip.files(),
        licence="AFL-3.0",
        citation=flip.CITATION,
        homepage=flip.HOMEPAGE,
        group_by="sequence",
        load=load_flip,
        splits=("official", "group"),
    ),
    "flip-proteins": Source(
        name="flip-proteins",
        version="2026-04-23",
        title="Proteins without labels, the next residue to be learnt: the sequences of flip-ss3",
        files=flip.files(),
        licence="AFL-3.0",
        citation=flip.CITATION,
        homepage=flip.HOMEPAGE,
        group_by="sequence",
        load=load_flip_proteins,
        splits=("official", "group"),
        mirror="flip-ss3",
    ),
}
