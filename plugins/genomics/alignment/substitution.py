"""What a column of two letters scores before anything is learnt: BLOSUM62, and match or mismatch of nucleotides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medhub.sequences.alphabets import DNA, PROTEIN, Alphabet

_BLOSUM62 = """
 4 -1 -2 -2  0 -1 -1  0 -2 -1 -1 -1 -1 -2 -1  1  0 -3 -2  0  0
-1  5  0 -2 -3  1  0 -2  0 -3 -2  2 -1 -3 -2 -1 -1 -3 -2 -3 -1
-2  0  6  1 -3  0  0  0  1 -3 -3  0 -2 -3 -2  1  0 -4 -2 -3 -1
-2 -2  1  6 -3  0  2 -1 -1 -3 -4 -1 -3 -3 -1  0 -1 -4 -3 -3 -1
 0 -3 -3 -3  9 -3 -4 -3 -3 -1 -1 -3 -1 -2 -3 -1 -1 -2 -2 -1 -2
-1  1  0  0 -3  5  2 -2  0 -3 -2  1  0 -3 -1  0 -1 -2 -1 -2 -1
-1  0  0  2 -4  2  5 -2  0 -3 -3  1 -2 -3 -1  0 -1 -3 -2 -2 -1
 0 -2  0 -1 -3 -2 -2  6 -2 -4 -4 -2 -3 -3 -2  0 -2 -2 -3 -3 -1
-2  0  1 -1 -3  0  0 -2  8 -3 -3 -1 -2 -1 -2 -1 -2 -2  2 -3 -1
-1 -3 -3 -3 -1 -3 -3 -4 -3  4  2 -3  1  0 -3 -2 -1 -3 -1  3 -1
-1 -2 -3 -4 -1 -2 -3 -4 -3  2  4 -2  2  0 -3 -2 -1 -2 -1  1 -1
-1  2  0 -1 -3  1  1 -2 -1 -3 -2  5 -1 -3 -1  0 -1 -3 -2 -2 -1
-1 -1 -2 -3 -1  0 -2 -3 -2  1  2 -1  5  0 -2 -1 -1 -1 -1  1 -1
-2 -3 -3 -3 -2 -3 -3 -3 -1  0  0 -3  0  6 -4 -2 -2  1  3 -1 -1
-1 -2 -2 -1 -3 -1 -1 -2 -2 -3 -3 -1 -2 -4  7 -1 -1 -4 -3 -2 -2
 1 -1  1  0 -1  0  0  0 -1 -2 -2  0 -1 -2 -1  4  1 -3 -2 -2  0
 0 -1  0 -1 -1 -1 -1 -2 -2 -1 -1 -1 -1 -2 -1  1  5 -2 -2  0  0
-3 -3 -4 -4 -2 -2 -3 -2 -2 -3 -2 -3 -1  1 -4 -3 -2 11  2 -3 -2
-2 -2 -2 -3 -2 -1 -2 -3  2 -1 -1 -2 -1  3 -3 -2 -2  2  7 -1 -1
 0 -3 -3 -3 -1 -2 -2 -3 -3  3  1 -2  1 -1 -2 -2  0 -3 -1  4 -1
 0 -1 -1 -1 -2 -1 -1 -1 -1 -1 -1 -1 -1 -1 -2  0  0 -2 -1 -1 -1
"""
_NUCLEOTIDES = """
 5 -4 -4 -4 -2
-4  5 -4 -4 -2
-4 -4  5 -4 -2
-4 -4 -4  5 -2
-2 -2 -2 -2 -1
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Substitution:
    """A substitution matrix with the gap costs that are usual with it."""

    name: str
    alphabet: Alphabet
    table: str
    """Rows and columns in the order of the alphabet's letters, then the wildcard."""
    unit: float
    """What a score of 1 is in natural logarithms of odds."""
    gap_open: int
    """Cost of a gap of any length, beside `gap_extend` for each residue in it."""
    gap_extend: int

    @property
    def letters(self) -> str:
        """The letters of rows and columns."""
        return self.alphabet.letters + self.alphabet.wildcard

    def matrix(self) -> NDArray[np.int64]:
        """Return the scores of two letters (letters, letters)."""
        return np.array(self.table.split(), dtype=np.int64).reshape(len(self.letters), -1)


SUBSTITUTIONS: dict[str, Substitution] = {
    "protein": Substitution(
        name="BLOSUM62",  # Henikoff and Henikoff 1992
        alphabet=PROTEIN,
        table=_BLOSUM62,
        unit=math.log(2) / 2,
        gap_open=11,
        gap_extend=1,
    ),
    "dna": Substitution(
        name="NUC.4.4",
        alphabet=DNA,
        table=_NUCLEOTIDES,
        unit=0.1915,  # with which odds of equally frequent nucleotides sum to 1
        gap_open=10,
        gap_extend=1,
    ),
}
"""Matrices by the name of their alphabet."""
