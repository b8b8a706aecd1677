"""A genetic algorithm on molecular graphs, after the idea of Jensen (2019): two parents are crossed, a child changed.

Crossing cuts one bond between two rings or chains in each parent and joins a part of each. A change appends, inserts,
removes or exchanges an atom, changes the order of a bond, or opens or closes a ring. What RDKit does not accept, or
what has a ring of unusual size, is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from medhub.plugins.chem.molecules import canonical_smiles, parse_smiles

if TYPE_CHECKING:
    from rdkit.Chem import Mol, RWMol

    Random = np.random.Generator

ELEMENTS = {6: 0.6, 7: 0.15, 8: 0.13, 9: 0.04, 16: 0.04, 17: 0.03, 35: 0.01}
"""Atomic numbers that a change may bring in, and how often."""
RING_SIZES = range(3, 8)
MOST_ATOMS = 50
MUTATION_RATE = 0.5
"""Share of crossed children that are changed as well."""
TRIES = 20
"""Attempts at one child before none is returned."""


def breed(first: str, second: str, random: Random) -> str | None:
    """Return a child of two molecules as canonical SMILES, None where none of `TRIES` attempts is a molecule."""
    parents = parse_smiles(first), parse_smiles(second)
    for _ in range(TRIES):
        if (smiles := _accepted(cross(*parents, random))) is not None:
            return (mutate(smiles, random) or smiles) if random.random() < MUTATION_RATE else smiles
    return None


def mutate(smiles: str, random: Random) -> str | None:
    """Return a molecule with one change as canonical SMILES, None where none of `TRIES` attempts is a molecule."""
    mol = parse_smiles(smiles)
    for _ in range(TRIES):
        if (changed := _accepted(change(mol, random))) not in (None, smiles):
            return changed
    return None


def cross(first: Mol, second: Mol, random: Random) -> Mol | None:
    """Return a part of each of two molecules, joined by a single bond; None where one has no bond to cut."""
    from rdkit.Chem import CombineMols, RWMol

    parts = [_part(mol, random) for mol in (first, second)]
    if parts[0] is None or parts[1] is None:
        return None
    (one, one_end), (other, other_end) = parts[0], parts[1]
    joined = RWMol(CombineMols(one, other))
    joined.AddBond(one_end, one.GetNumAtoms() + other_end, _bond_types()[1])
    return joined


def _part(mol: Mol, random: Random) -> tuple[Mol, int] | None:
    """Cut a single bond outside rings, and return one of the two parts and its atom at the cut."""
    from rdkit.Chem import GetMolFrags, RWMol

    bonds = [bond for bond in mol.GetBonds() if not bond.IsInRing() and bond.GetBondTypeAsDouble() == 1]
    if not bonds:
        return None
    bond = bonds[random.integers(len(bonds))]
    end = [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()][random.integers(2)]
    cut = RWMol(mol)
    cut.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    places: list[tuple[int, ...]] = []
    mols = GetMolFrags(cut, asMols=True, sanitizeFrags=False, fragsMolAtomMapping=places)
    number = next(number for number, atoms in enumerate(places) if end in atoms)
    return mols[number], places[number].index(end)


def change(mol: Mol, random: Random) -> Mol | None:
    """Return a molecule with one change, None where the change that was drawn is not possible."""
    from rdkit.Chem import Kekulize, RWMol

    edited = RWMol(mol)
    Kekulize(edited, clearAromaticFlags=True)
    return edited if CHANGES[random.integers(len(CHANGES))](edited, random) else None


def append_atom(mol: RWMol, random: Random) -> bool:
    """Bind a new atom to one that has a hydrogen to spare."""
    free = [atom for atom in mol.GetAtoms() if atom.GetTotalNumHs() > 0]
    if not free:
        return False
    atom = free[random.integers(len(free))]
    _bind(mol, atom.GetIdx(), _new_atom(mol, random), order=int(random.integers(1, 1 + min(2, atom.GetTotalNumHs()))))
    return True


def insert_atom(mol: RWMol, random: Random) -> bool:
    """Put a new atom between two that a single bond binds."""
    bonds = [bond for bond in mol.GetBonds() if bond.GetBondTypeAsDouble() == 1]
    if not bonds:
        return False
    bond = bonds[random.integers(len(bonds))]
    begin, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
    new = _new_atom(mol, random)
    mol.RemoveBond(begin, end)
    _bind(mol, begin, new, order=1)
    _bind(mol, new, end, order=1)
    return True


def remove_atom(mol: RWMol, random: Random) -> bool:
    """Take away an atom of at most two neighbours, which are then bound to each other."""
    atoms = [atom for atom in mol.GetAtoms() if atom.GetDegree() <= 2]
    if not atoms or mol.GetNumAtoms() < 3:
        return False
    atom = atoms[random.integers(len(atoms))]
    around = [neighbour.GetIdx() for neighbour in atom.GetNeighbors()]
    if len(around) == 2:
        if mol.GetBondBetweenAtoms(*around) is not None:
            return False
        _bind(mol, *around, order=1)
    mol.RemoveAtom(atom.GetIdx())
    return True


def exchange_atom(mol: RWMol, random: Random) -> bool:
    """Make an atom one of another element."""
    atom = mol.GetAtomWithIdx(int(random.integers(mol.GetNumAtoms())))
    number = _element(random)
    if number == atom.GetAtomicNum() or atom.GetFormalCharge():
        return False
    atom.SetAtomicNum(number)
    atom.SetNoImplicit(False)
    atom.SetNumExplicitHs(0)
    return True


def change_bond(mol: RWMol, random: Random) -> bool:
    """Give a bond another order."""
    if not mol.GetNumBonds():
        return False
    bond = mol.GetBondWithIdx(int(random.integers(mol.GetNumBonds())))
    order = int(random.integers(1, 3 if bond.IsInRing() else 4))
    if order == bond.GetBondTypeAsDouble():
        return False
    bond.SetBondType(_bond_types()[order])
    return True


def open_ring(mol: RWMol, random: Random) -> bool:
    """Remove a single bond of a ring."""
    bonds = [bond for bond in mol.GetBonds() if bond.IsInRing() and bond.GetBondTypeAsDouble() == 1]
    if not bonds:
        return False
    bond = bonds[random.integers(len(bonds))]
    mol.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return True


def close_ring(mol: RWMol, random: Random) -> bool:
    """Bind two atoms that can spare a hydrogen and make a ring of usual size."""
    from rdkit.Chem import GetDistanceMatrix

    distances = GetDistanceMatrix(mol)
    free = np.array([atom.GetTotalNumHs() > 0 for atom in mol.GetAtoms()])
    sizes = np.isin(distances + 1, RING_SIZES) & free[:, None] & free
    pairs = np.argwhere(np.triu(sizes))
    if not len(pairs):
        return False
    begin, end = pairs[random.integers(len(pairs))].tolist()
    _bind(mol, begin, end, order=1)
    return True


CHANGES: tuple[Callable[[Any, Any], bool], ...] = (
    append_atom, insert_atom, remove_atom, exchange_atom, change_bond, open_ring, close_ring,
)  # fmt: skip


def _new_atom(mol: RWMol, random: Random) -> int:
    from rdkit.Chem import Atom

    return int(mol.AddAtom(Atom(_element(random))))


def _element(random: Random) -> int:
    return int(random.choice([*ELEMENTS], p=[*ELEMENTS.values()]))


def _bind(mol: RWMol, begin: int, end: int, *, order: int) -> None:
    """Add a bond, for which written hydrogens ("[nH]") make room; RDKit counts the others anew."""
    for atom in (mol.GetAtomWithIdx(begin), mol.GetAtomWithIdx(end)):
        atom.SetNumExplicitHs(max(0, atom.GetNumExplicitHs() - order))
    mol.AddBond(begin, end, _bond_types()[order])


def _bond_types() -> dict[int, Any]:
    from rdkit.Chem import BondType

    return {1: BondType.SINGLE, 2: BondType.DOUBLE, 3: BondType.TRIPLE}


def _accepted(mol: Mol | None) -> str | None:
    """Return the canonical SMILES of what is one whole, usual molecule, else None."""
    from rdkit.Chem import SanitizeMol
    from rdkit.rdBase import BlockLogs

    if mol is None:
        return None
    try:
        with BlockLogs():
            SanitizeMol(mol)
        smiles = canonical_smiles(mol)
        whole = parse_smiles(smiles)
    except (ValueError, RuntimeError):  # RDKit's, and InputError, which is a ValueError too
        return None
    usual = all(len(ring) in RING_SIZES for ring in whole.GetRingInfo().AtomRings())
    return smiles if usual and "." not in smiles and whole.GetNumHeavyAtoms() <= MOST_ATOMS else None
