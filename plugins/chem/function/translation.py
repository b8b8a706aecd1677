"""From a gene to its protein, by the code of bacteria."""

from __future__ import annotations

from itertools import product

from medhub.errors import InputError
from medhub.sequences.alphabets import DNA

CODE = dict(
    zip(
        map("".join, product("TCAG", repeat=3)),
        "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG",
        strict=True,
    )
)
"""Amino acids by codon, NCBI's translation table 11; * ends a protein."""
STARTS = ("ATG", "GTG", "TTG")
"""The codons that bacterial genes mostly start with."""
LEAST = 7
"""Amino acids that a gene's protein has at least."""


def translate(gene: str, *, name: str) -> str:
    """Return the protein of a gene in upper case, on either strand: of a whole gene or of the longest stretch.

    A whole gene goes from a start to a stop; of anything else the longest stretch between stops is taken. Ambiguous
    codons become X. Raises InputError, with the record's name, where no stretch is as long as the shortest peptides.
    """
    gene = gene.replace("U", "T")
    strands = gene, DNA.reverse_complement(gene)
    for strand in strands:
        protein = _read(strand)
        if len(strand) % 3 == 0 and strand.startswith(STARTS) and protein.find("*") == len(protein) - 1:
            return protein[:-1]
    stretches = (stretch for strand in strands for frame in range(3) for stretch in _read(strand[frame:]).split("*"))
    protein = max(stretches, key=len)  # of equally long ones the first: the given strand's
    if len(protein) < LEAST:
        raise InputError(
            f"record {name!r}: no frame of these {len(gene)} nucleotides codes for {LEAST} amino acids; give the gene "
            "whole, or its protein"
        )
    return protein


def _read(strand: str) -> str:
    """Return the amino acids of a strand from its first letter on, * for stops, X for what is ambiguous."""
    return "".join(CODE.get(strand[start : start + 3], "X") for start in range(0, len(strand) - 2, 3))
