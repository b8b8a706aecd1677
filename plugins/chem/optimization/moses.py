"""MOSES' benchmark of generated molecules, by its own definitions (Polykovskiy et al. 2020).

    predictor = medhub.from_pretrained("druglike-vae")
    measure_generation(predictor.generate(30_000), reference=fetch_reference())

Its code is not used; what it publishes beside its data are the filters.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh

from medhub.errors import InputError
from medhub.plugins.chem.molecules import canonical_smiles, parse_smiles

from .data import DATASETS, read_moses
from .distributions import (
    cosine_of_counts,
    count_fragments,
    count_scaffolds,
    fingerprints,
    internal_diversity,
    nearest,
)

if TYPE_CHECKING:
    from rdkit.Chem import Mol

UNIQUE_AMONG = (1_000, 10_000)
ELEMENTS = frozenset(("C", "N", "S", "O", "F", "Cl", "Br", "H"))
MOST_RING_ATOMS = 7
CHEMNET = "fcd_torch"
"""Package (MIT) that brings ChemNet, the network behind the Fréchet ChemNet distance (Preuer et al. 2018)."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What generated molecules are compared with: MOSES' files, or a sample of them."""

    train: frozenset[str]
    test: Sequence[str]
    test_scaffolds: Sequence[str]
    filters: tuple[Mol, ...]


def fetch_reference(*, most: int | None = None) -> Reference:
    """Read MOSES' molecules and filters; of its test molecules at most so many of each kind, evenly spaced."""
    paths = DATASETS["moses"].fetch()
    tests = [read_moses(paths[name]) for name in ("test.csv.gz", "test_scaffolds.csv.gz")]
    if most is not None:
        tests = [test[np.linspace(0, len(test) - 1, min(most, len(test))).astype(int)] for test in tests]
    return Reference(
        train=frozenset(read_moses(paths["train.csv.gz"])),
        test=tests[0].tolist(),
        test_scaffolds=tests[1].tolist(),
        filters=read_filters(paths),
    )


def read_filters(paths: Mapping[str, Path]) -> tuple[Mol, ...]:
    """Return the substructures that no molecule should have: medicinal chemistry's (MCF) and PAINS."""
    from rdkit.Chem import MolFromSmarts

    with paths["mcf.csv"].open(encoding="utf-8", newline="") as file:
        patterns = [row["smarts"] for row in csv.DictReader(file)]
    with paths["wehi_pains.csv"].open(encoding="utf-8", newline="") as file:
        patterns += [row[0] for row in csv.reader(file) if row]
    return tuple(MolFromSmarts(pattern.strip()) for pattern in patterns)


def measure_generation(generated: Sequence[str | None], *, reference: Reference) -> dict[str, float]:
    """Return MOSES' figures of molecules in the order in which they were generated; None or "" is an invalid one.

    "fcd" is there where `fcd_torch` is installed. Raises InputError where no molecule is valid.
    """
    molecules = [canonical for smiles in generated if (canonical := _canonical(smiles)) is not None]
    if not molecules:
        raise InputError(f"none of {len(generated)} generated molecules is valid; train the network first")
    figures = {"valid": len(molecules) / len(generated)}
    for count in UNIQUE_AMONG:
        first = molecules[:count]
        figures[f"unique@{count}"] = len(set(first)) / len(first)
    distinct = set(molecules)
    figures["novelty"] = len(distinct - reference.train) / len(distinct)
    prints = fingerprints(molecules)
    figures["intdiv"] = internal_diversity(prints)
    figures["intdiv2"] = internal_diversity(prints, power=2)
    figures["filters"] = float(np.mean([passes(smiles, reference.filters) for smiles in molecules]))
    for name, test in (("test", reference.test), ("scaffolds", reference.test_scaffolds)):
        figures |= {f"{figure}/{name}": value for figure, value in _compare(molecules, prints, test).items()}
    return figures


def _compare(molecules: Sequence[str], prints: NDArray[np.uint8], test: Sequence[str]) -> dict[str, float]:
    """Return how like a set of test molecules the generated ones are."""
    figures = {
        "snn": float(nearest(prints, fingerprints(test)).mean()),
        "frag": cosine_of_counts(count_fragments(test), count_fragments(molecules)),
        "scaf": cosine_of_counts(count_scaffolds(test), count_scaffolds(molecules)),
    }
    if find_spec(CHEMNET) is not None:
        figures["fcd"] = frechet_distance(activations(molecules), activations(test))
    return figures


def passes(smiles: str, filters: Sequence[Mol]) -> bool:
    """Whether a molecule has no charge, no unusual element, no ring of eight atoms or more, and no filtered part."""
    from rdkit.Chem import AddHs

    mol = parse_smiles(smiles)
    if any(len(ring) > MOST_RING_ATOMS for ring in mol.GetRingInfo().AtomRings()):
        return False
    if any(atom.GetFormalCharge() or atom.GetSymbol() not in ELEMENTS for atom in mol.GetAtoms()):
        return False
    whole = AddHs(mol)
    return not any(whole.HasSubstructMatch(pattern) for pattern in filters)


def activations(molecules: Sequence[str]) -> NDArray[np.floating]:
    """Return what ChemNet's last hidden layer makes of each molecule: (molecules, 512)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a package that is older than its libraries
        return np.asarray(_chemnet().get_predictions([*molecules]), float)


@cache
def _chemnet() -> Any:
    from fcd_torch import FCD

    return FCD(canonize=False)


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return the distance of the normal distributions that fit two sets of vectors (rows, width): Fréchet 1957."""
    gap = first.mean(axis=0) - second.mean(axis=0)
    one, other = np.cov(first.T), np.cov(second.T)
    # the eigenvalues of the product of two covariances are real and not negative, but for rounding
    values, vectors = np.linalg.eigh(one)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    shared = np.sqrt(eigvalsh(root @ other @ root).clip(0)).sum()
    return float(gap @ gap + np.trace(one) + np.trace(other) - 2 * shared)


def _canonical(smiles: str | None) -> str | None:
    try:
        return canonical_smiles(parse_smiles(smiles)) if smiles else None
    except InputError:
        return None
