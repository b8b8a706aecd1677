"""Where the pairs come from: BAliBASE's families, BRCA1 of the mammals, the user's own alignments, made-up evolution.

Every row's `input` is two sequences without gaps, its `labels` the columns that a reference alignment vouches for, and
`group` the family, so that a split by group tests on proteins unlike those of the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from medhub.data import File, Source, Table
from medhub.sequences.alphabets import DNA, PROTEIN
from medhub.sequences.fasta import Record, iterate_fasta, read_fasta

from .. import flip
from .own import own_files
from .rows import LABEL_NAMES, as_record, bare_sequence, rows_of, spread_over_identity
from .substitution import SUBSTITUTIONS

__all__ = ["DATASETS", "own_files", "synthetic"]

PAIRS = 30
"""Most pairs of a family, or of a window of genes."""
WINDOW = 300
"""Columns of BRCA1 that are aligned at a time."""

SEEN = 20
"""Residues in a row that no protein of balifam may have in common with one of FLIP's that are trained on."""

RELATED = {
    "SH3": ("PF00018", "PF14604"),
    "immunoglobulin": ("PF07654", "PF07679", "PF07686"),
    "helix-turn-helix": ("PF00046", "PF00538", "PF01371", "PF01381", "PF11427"),
    "HMG box": ("PF00505", "PF09011"),
    "P-loop": ("PF00009", "PF00142", "PF00625", "PF02223"),
    "aminotransferase": ("PF00155", "PF00202"),
    "glycosyl hydrolase": ("PF00150", "PF00232", "PF02836"),
}
"""Families of one clan of Pfam's (its table Pfam-A.clans), which descend from one protein: they stay together."""


def _load_balifam(paths: Mapping[str, Path]) -> Table:
    """Make rows of up to `PAIRS` pairs of each family, those without a known column left out.

    Whoever lets the reader start from one that learnt FLIP's secondary structures has not seen these proteins' either.
    """
    clan = {family: name for name, families in RELATED.items() for family in families}
    references = {
        PurePosixPath(name).stem: read_fasta(paths[name], alphabet=None)
        for name in sorted(name for name in paths if name.startswith("balifam/balifam100/ref/"))
    }
    bare = [bare_sequence(record.sequence) for records in references.values() for record in records]
    learnt = [
        record.sequence
        for record in iterate_fasta(paths["flip-ss3/sequences.fasta.gz"], alphabet=PROTEIN)
        if "SET=test" not in record.description
    ]
    seen = flip.akin(bare, learnt, run=SEEN)
    made: list[dict[str, Any]] = []
    for family, records in references.items():
        unseen = [record for record in records if bare_sequence(record.sequence) not in seen]
        made += spread_over_identity(unseen, group=clan.get(family, family), most=PAIRS)
    return Table(
        rows=rows_of(made), label_names=LABEL_NAMES,
        notes=("The reference alignments are BAliBASE 3's, made from structures; only columns that it calls reliable "
               "are learnt from and scored.",
               f"Of each family at most {PAIRS} pairs are taken, evenly from the least to the most alike, so that "
               "large families do not outweigh small ones.",
               "Families of one clan (SH3, immunoglobulin, helix-turn-helix, HMG box, P-loop, aminotransferase, "
               "glycosyl hydrolase) stand on one side of the split. Remoter kinship, such as that of all TIM barrels, "
               "is not looked for.",
               f"Left out before pairs were made: {sum(sequence in seen for sequence in bare)} of {len(bare):,} "
               f"proteins, which share {SEEN} residues in a row with a protein that flip-ss3 trains on. Remoter kin of "
               "those that remain may stand there."),
    )  # fmt: skip


def _load_brca1(paths: Mapping[str, Path]) -> Table:
    """Make rows of pairs of mammals, window by window of the alignment."""
    records = read_fasta(paths["brca1.fasta"], alphabet=None)
    made: list[dict[str, Any]] = []
    for start in range(0, len(records[0].sequence) - WINDOW // 2, WINDOW):
        parts = [
            Record(name=record.name, sequence=_letters(record.sequence[start : start + WINDOW])) for record in records
        ]
        made += spread_over_identity(parts, group=f"columns from {start + 1}", most=2 * PAIRS)
    return Table(
        rows=rows_of(made), label_names=LABEL_NAMES,
        notes=("Pairs of mammals are alike: most are aligned nearly right by any method.",
               f"One gene in windows of {WINDOW} columns: a window stands on one side of the split, its neighbours "
               "may stand on the other."),
    )  # fmt: skip


def _letters(sequence: str) -> str:
    """Return an aligned sequence with what is unknown as a gap, or flanks of N would pass for aligned nucleotides."""
    return "".join(letter if letter in DNA.letters else "-" for letter in sequence.upper())


DATASETS: dict[str, Source] = {
    "balifam": Source(
        name="balifam",
        version="f2a46ac",
        title="balifam: 59 families of proteins with reference alignments from structures (BAliBASE 3)",
        files=(
            *flip.files("flip-ss3/", names=["sequences.fasta.gz"]),
            File(
                name="balifam/SHA256SUMS",
                sha256="64261cdc9bdf2f9bc6f3168220b088424a109ec46337b8725ebda15313082dc1",
                bytes=17013,
                manifest=True,
            ),
        ),
        licence="CC0 1.0 (the collection's; BAliBASE states none); FLIP, whose proteins are left out: AFL-3.0",
        citation="Edgar, Muscle5, Nature Communications 13:6968 (2022); Thompson et al., BAliBASE 3.0, Proteins "
        "61:127 (2005)",
        homepage="https://github.com/rcedgar/balifam",
        group_by="family",
        load=_load_balifam,
        splits=("group",),
        mirror=".",
    ),
    "brca1": Source(
        name="brca1",
        version="cogent3 2026.10.22",
        title="BRCA1 of 55 mammals, aligned, in windows of 300 columns",
        files=(
            File(
                name="brca1.fasta",
                sha256="e222b606d2372ff6e470949f30847c3d42090e86b4db48bfd3d16fc6651d4bef",
                bytes=168104,
                wheel="cogent3==2026.10.22",
                member="cogent3/_dataset/brca1.fasta",
            ),
        ),
        licence="BSD-3-Clause (the package's)",
        citation="Huttley et al., cogent3 (2026); Murphy et al., Science 294:2348 (2001)",
        homepage="https://github.com/cogent3/cogent3",
        group_by="window of the gene",
        load=_load_brca1,
        splits=("group",),
    ),
}


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make up proteins of 20 to 40 residues and their descendants: substitutions as BLOSUM62 has them, and indels.

    Two pairs each descend from one ancestor, the second of them over a longer time. Identities run from about 15 to
    90 %.
    """
    random = np.random.default_rng(seed)
    replace = _replacements()
    records = []
    for number in range(size):
        if number % 2 == 0:
            ancestor = random.integers(len(PROTEIN.letters), size=random.integers(20, 41))
        change = random.uniform(0.1, 0.5) if number % 2 == 0 else random.uniform(0.6, 0.95)
        records.append(as_record(*_evolve(ancestor, replace, change, random), group=f"family {number // 2}"))
    return Table(rows=rows_of(records), label_names=LABEL_NAMES)


def _replacements() -> np.ndarray:
    """Return, for each amino acid, how often the others take its place: as BLOSUM62's odds have it."""
    count = len(PROTEIN.letters)
    substitution = SUBSTITUTIONS["protein"]
    odds = np.exp(substitution.matrix()[:count, :count] * substitution.unit)
    np.fill_diagonal(odds, 0.0)
    return odds / odds.sum(1, keepdims=True)


def _evolve(ancestor: np.ndarray, replace: np.ndarray, change: float, random: np.random.Generator) -> tuple[str, str]:
    """Return an ancestor and a descendant, aligned; a share `change` of its residues is replaced."""
    first, second = [], []
    place = 0
    while place < len(ancestor):
        letter = PROTEIN.letters[ancestor[place]]
        kind = random.random()
        length = int(random.geometric(0.5))
        if kind < 0.02 and place:  # an insertion
            first.append("-" * length)
            second.append("".join(random.choice([*PROTEIN.letters], size=length)))
        elif kind < 0.04 and place:  # a deletion
            lost = ancestor[place : place + length]
            first.append("".join(PROTEIN.letters[code] for code in lost))
            second.append("-" * len(lost))
            place += len(lost)
            continue
        if random.random() < change:
            second.append(PROTEIN.letters[random.choice(len(PROTEIN.letters), p=replace[ancestor[place]])])
        else:
            second.append(letter)
        first.append(letter)
        place += 1
    return "".join(first), "".join(second)
