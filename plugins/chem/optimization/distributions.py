"""How molecules are spread over chemistry, as MOSES measures it (Polykovskiy et al. 2020), one molecule at a time.

What has to be counted of a molecule is kept, since one set is compared with several others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhub.plugins.chem.molecules import canonical_smiles, parse_smiles

FINGERPRINT_SIZE, FINGERPRINT_RADIUS = 1024, 2
LEAST_RINGS = 2
"""Of a scaffold that counts."""
CHUNK = 2000
"""Fingerprints that are compared at once."""
KEPT = 200_000
"""Molecules whose fragments and scaffold are kept."""


@lru_cache(maxsize=KEPT)
def fragments(smiles: str) -> tuple[str, ...]:
    """Return the pieces that BRICS cuts a molecule into (Degen et al. 2008)."""
    from rdkit.Chem import MolToSmiles
    from rdkit.Chem.AllChem import FragmentOnBRICSBonds  # type: ignore[attr-defined]

    return tuple(MolToSmiles(FragmentOnBRICSBonds(parse_smiles(smiles))).split("."))


@lru_cache(maxsize=KEPT)
def ring_scaffold(smiles: str) -> str | None:
    """Return a molecule's ring systems and what links them (Bemis and Murcko 1996); None for fewer than two rings."""
    from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

    scaffold = GetScaffoldForMol(parse_smiles(smiles))
    return canonical_smiles(scaffold) if scaffold.GetRingInfo().NumRings() >= LEAST_RINGS else None


def fingerprints(molecules: Iterable[str]) -> NDArray[np.uint8]:
    """Return which folded circular substructures each molecule has: (molecules, FINGERPRINT_SIZE) of 0 and 1."""
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    generator = GetMorganGenerator(radius=FINGERPRINT_RADIUS, fpSize=FINGERPRINT_SIZE)
    rows = [generator.GetFingerprintAsNumPy(parse_smiles(smiles)) for smiles in molecules]
    return np.stack(rows) if rows else np.zeros((0, FINGERPRINT_SIZE), np.uint8)


def nearest(prints: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.floating]:
    """Return the highest Tanimoto similarity of each fingerprint to any of the others: (prints,)."""
    found = np.zeros(len(prints))
    for rows, alike in _similarities(prints, others):
        found[rows] = np.maximum(found[rows], alike.max(axis=1))
    return found


def internal_diversity(prints: NDArray[np.uint8], *, power: int = 1) -> float:
    """Return one less the mean similarity (mean of powers) of all pairs, each fingerprint with itself among them."""
    sums = np.zeros(len(prints))
    for rows, alike in _similarities(prints, prints):
        sums[rows] += (alike**power).sum(axis=1)
    return float(1 - ((sums / len(prints)) ** (1 / power)).mean())


def _similarities(prints: NDArray, others: NDArray) -> Iterator[tuple[slice, NDArray[np.floating]]]:
    """Yield, block by block, which rows of `prints` a block belongs to, and their similarities to some others."""
    for start in range(0, len(prints), CHUNK):
        rows = slice(start, start + CHUNK)
        first = prints[rows].astype(np.float32)
        for begin in range(0, len(others), CHUNK):
            second = others[begin : begin + CHUNK].astype(np.float32)
            shared = first @ second.T
            either = first.sum(1)[:, None] + second.sum(1) - shared
            yield rows, np.divide(shared, either, out=np.ones_like(shared), where=either > 0)


def cosine(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the cosine similarity of two vectors of counts; NaN where one is empty."""
    sizes = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / sizes) if sizes else float("nan")


def cosine_of_counts(first: Counter[str], second: Counter[str]) -> float:
    """Return the cosine similarity of two counts of names."""
    names = [*{**first, **second}]
    return cosine(np.array([first[name] for name in names], float), np.array([second[name] for name in names], float))


def count_fragments(molecules: Sequence[str]) -> Counter[str]:
    """Count the fragments of molecules."""
    return Counter(fragment for smiles in molecules for fragment in fragments(smiles))


def count_scaffolds(molecules: Sequence[str]) -> Counter[str]:
    """Count the scaffolds of molecules that have one."""
    return Counter(scaffold for smiles in molecules if (scaffold := ring_scaffold(smiles)) is not None)
