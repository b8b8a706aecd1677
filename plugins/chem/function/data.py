"""Where the sequences come from: peptides, resistance genes, the user's own files, and proteins made up for tests.

Every row's `input` is a sequence in upper case, `labels` are 1 or 0 for each function, `links` are pairs of the row's
functions of which the first implies the second, and `group` is the family of similar sequences.
"""

from __future__ import annotations

import numpy as np

from medhub.data import File, Source, Table
from medhub.sequences.alphabets import PROTEIN

from .own import own_files
from .peptides import load_peptides
from .resistance import load_resistance
from .rows import rows_of

__all__ = ["DATASETS", "own_files", "synthetic"]

DATASETS: dict[str, Source] = {
    "antimicrobial-peptides": Source(
        name="antimicrobial-peptides",
        version="modlamp 4.3.3",
        title="AMPvsUniProt: antimicrobial peptides beside other peptides",
        files=(
            File(
                name="AMPvsUniProt.csv",
                sha256="e1db3dd659179118dcfca63723385f2f0c95c49d27060a90f7a9d5848250eb48",
                bytes=191952,
                wheel="modlamp==4.3.3",
                member="modlamp/data/AMPvsUniProt.csv",
            ),
        ),
        licence="BSD-3-Clause",
        citation="Müller, Gabernet, Hiss and Schneider, modlAMP: Python for antimicrobial peptides, Bioinformatics "
        "2017 (10.1093/bioinformatics/btx285)",
        homepage="https://modlamp.org",
        group_by="family of similar peptides",
        load=load_peptides,
        splits=("group", "random"),
    ),
    "resistance-genes": Source(
        name="resistance-genes",
        version="abricate 947a460 (2026-01-31)",
        title="ResFinder: genes of acquired resistance, and the classes of antibiotics",
        files=(
            File(
                name="resfinder.fasta.gz",
                sha256="177a58b765cf2a926985f312488f6fc1b506d428c26cd7390e55b89dae27b074",
                bytes=346414,
            ),
        ),
        licence="Apache-2.0",
        citation="Bortolaia et al., ResFinder 4.0 for predictions of phenotypes from genotypes, Journal of "
        "Antimicrobial Chemotherapy 2020 (10.1093/jac/dkaa345)",
        homepage="https://bitbucket.org/genomicepidemiology/resfinder_db",
        group_by="family of similar proteins",
        load=load_resistance,
        splits=("official", "group"),
        mirror="resfinder",
    ),
}

LABEL_NAMES = ("enzyme", "kinase", "secreted")
ENZYME, KINASE, SIGNAL = "GDSG", "HRDLK", "LLLAL"
"""Motifs that tell the functions of made-up proteins: of serine proteases, of kinases, and of signal peptides."""


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make up proteins of 30 to 60 amino acids whose functions follow from motifs; a kinase is an enzyme too."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(size):
        enzyme, secreted = random.random(2) < 0.5
        kinase = bool(enzyme and random.random() < 0.5)
        letters = random.choice([*PROTEIN.letters], int(random.integers(30, 61)))
        sequence = "".join(letters)
        for motif, there in ((ENZYME, enzyme), (KINASE, kinase), (SIGNAL, secreted)):
            place = int(random.integers(0, len(sequence)))
            sequence = sequence[:place] + (motif if there else "") + sequence[place:]
        rows.append(
            {
                "input": sequence,
                "labels": [float(enzyme), float(kinase), float(secreted)],
                "links": [(1, 0)] if kinase else [],
                "group": f"protein {number}",
            }
        )
    return Table(rows=rows_of(rows), label_names=LABEL_NAMES)
