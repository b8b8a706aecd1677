"""The letters of SMILES: a token is an atom, a bond, a branch or the number of a ring."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from medhub.plugins.chem.molecules import SMILES_TOKEN, Spelling

ATOM = re.compile(r"\[|[A-Za-z*]")
"""What begins a token that is an atom."""
PADDING, UNKNOWN = 0, 1
FIRST = 2  # number of the first token of a vocabulary
MOST_TOKENS = 256  # an unsigned byte a token


def find_vocabulary(spellings: Iterable[Spelling]) -> list[str]:
    """Return the most frequent tokens in the order of the alphabet, as many as there are numbers for."""
    found = Counter(token for spelling in spellings for token in SMILES_TOKEN.findall(spelling.smiles))
    return sorted(token for token, _ in found.most_common(MOST_TOKENS - FIRST))


def number_tokens(spellings: list[Spelling], vocabulary: list[str]) -> NDArray[np.uint8]:
    """Return the token numbers of several spellings of a molecule, (length, spellings), padded to the longest."""
    number_of = {token: number for number, token in enumerate(vocabulary, start=FIRST)}
    rows = [
        [number_of.get(token, UNKNOWN) for token in SMILES_TOKEN.findall(spelling.smiles)] for spelling in spellings
    ]
    tokens = np.full((max(map(len, rows)), len(rows)), PADDING, dtype=np.uint8)
    for column, row in enumerate(rows):
        tokens[: len(row), column] = row
    return tokens


def atoms_of_tokens(spelling: Spelling) -> NDArray[np.int64]:
    """Return the atom that each token of a spelling is, or that stands before it, as the molecule counts its atoms."""
    is_atom = np.array([ATOM.match(token) is not None for token in SMILES_TOKEN.findall(spelling.smiles)])
    return np.array(spelling.order)[np.cumsum(is_atom) - 1]
