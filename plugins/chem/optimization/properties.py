"""What molecules are optimised for, each a figure of one molecule, and how alike two molecules are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rdkit.Chem import Mol

FINGERPRINT_SIZE, FINGERPRINT_RADIUS = 2048, 2  # the usual ECFP4, with which similarity constraints are stated
LARGEST_USUAL_RING = 6

ZINC_MEANS = {"logp": 2.4570953396190123, "sa": -3.0525811293166134, "cycle": -0.0485696876403053}
ZINC_DEVIATIONS = {"logp": 1.434324401111988, "sa": 0.8335207024513095, "cycle": 0.2860212110245455}
"""Of the 250,000 molecules of ZINC to which the literature standardises penalised logP (Jin et al. 2018)."""


def qed(mol: Mol) -> float:
    """Return the drug-likeness, 0 to 1 (Bickerton et al. 2012)."""
    from rdkit.Chem import QED

    return float(QED.qed(mol))


def logp(mol: Mol) -> float:
    """Return the logarithm of the octanol-water partition coefficient (Wildman and Crippen 1999)."""
    from rdkit.Chem.rdMolDescriptors import CalcCrippenDescriptors

    return float(CalcCrippenDescriptors(mol)[0])


def sa(mol: Mol) -> float:
    """Return how hard the synthesis looks, from 1 (easy) to 10 (Ertl and Schuffenhauer 2009)."""
    return float(_sascorer().calculateScore(mol))


def penalised_logp(mol: Mol) -> float:
    """Return logP less synthetic accessibility less the excess of the largest ring, each standardised to ZINC.

    Gómez-Bombarelli et al. 2018, in the form of Jin et al. 2018.
    """
    largest = max((len(ring) for ring in mol.GetRingInfo().AtomRings()), default=0)
    terms = {"logp": logp(mol), "sa": -sa(mol), "cycle": -float(max(0, largest - LARGEST_USUAL_RING))}
    return sum((value - ZINC_MEANS[name]) / ZINC_DEVIATIONS[name] for name, value in terms.items())


PROPERTIES: dict[str, Callable[[Mol], float]] = {"qed": qed, "plogp": penalised_logp, "sa": sa}
"""By the name that an oracle, a property head and a result give each."""


def measure(mol: Mol) -> dict[str, float]:
    """Return every property of a molecule by name."""
    return {name: compute(mol) for name, compute in PROPERTIES.items()}


def similarities(mol: Mol, others: Sequence[Mol]) -> NDArray[np.floating]:
    """Return the Tanimoto similarity of a molecule's circular substructures to each other one's, (others,)."""
    from rdkit.DataStructs import BulkTanimotoSimilarity

    generator = _fingerprints()
    prints = [generator.GetFingerprint(other) for other in others]
    return np.array(BulkTanimotoSimilarity(generator.GetFingerprint(mol), prints))


@cache
def _fingerprints() -> Any:
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    return GetMorganGenerator(radius=FINGERPRINT_RADIUS, fpSize=FINGERPRINT_SIZE)


@cache
def _sascorer() -> Any:
    """Import the score that RDKit ships beside its library, with its table of fragments."""
    from rdkit.Contrib.SA_Score import sascorer

    return sascorer
