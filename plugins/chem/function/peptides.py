"""AMPvsUniProt: peptides that kill microbes beside other peptides, as the modlAMP package has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from medhub.data import Table
from medhub.sequences.alphabets import PROTEIN

from .grouping import similar_families
from .rows import rows_of

LABEL_NAMES = ("antimicrobial",)
SHARE = 0.3
"""Share of its words that a peptide has in common with a relative."""


def load_peptides(paths: Mapping[str, Path]) -> Table:
    """Return the peptides without copies, and without those that stand in both classes."""
    _, *lines = paths["AMPvsUniProt.csv"].read_text(encoding="ascii").splitlines()  # the first line says the counts
    classes: dict[str, set[str]] = {}
    copies: Counter[str] = Counter()
    for line in filter(None, lines):
        sequence, label = (part.strip() for part in line.split(","))
        PROTEIN.check(sequence, name=sequence)
        classes.setdefault(sequence, set()).add(label)
        copies[sequence] += 1
    kept = [sequence for sequence, labels in classes.items() if len(labels) == 1]
    rows = [
        {"input": sequence, "labels": [float(min(classes[sequence]))], "group": family}
        for sequence, family in zip(kept, similar_families(kept, share=SHARE), strict=True)
    ]
    disputed = [sequence for sequence in classes if sequence not in {*kept}]
    return Table(
        rows=rows_of(rows),
        label_names=LABEL_NAMES,
        dropped={
            "another copy of a peptide": copies.total() - len(classes),
            "peptide that stands in both classes": len(disputed),
        },
        notes=(
            "Which of the others are antimicrobial, nobody tested: they are pieces of UniProt without that keyword.",
            "56 % of the others begin with methionine, as proteins do before they are cut, and 2 % of the "
            "antimicrobial ones; none of the others has more than 50 letters, and 10 % of these have. A model can "
            "learn that instead of what kills microbes.",
        ),
    )
