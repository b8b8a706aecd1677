"""A molecule as a graph of numbers: what each atom and each bond is, and which atoms a bond joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rdkit.Chem import Atom, Bond, Mol

ELEMENTS = (6, 7, 8, 9, 14, 15, 16, 17, 35, 53, 5, 11, 50, 80, 34, 33)
"""Atomic numbers that have a place of their own, C, N, O, F, Si, P, S, Cl, Br, I, B, Na, Sn, Hg, Se, As; others share
one."""
PLACE_OF_ELEMENT = {number: place for place, number in enumerate(ELEMENTS)}

ATOM_PROPERTIES = {
    "element": len(ELEMENTS) + 1, "neighbours": 7, "charge": 5, "hydrogens": 5, "hybridisation": 8, "aromatic": 2,
    "in a ring": 2,
}  # fmt: skip
"""What is known of an atom, and how many values of it are told apart; what lies beyond counts as the last."""
BOND_PROPERTIES = {"order": 5, "conjugated": 2, "in a ring": 2}
"""The same of a bond, whose order is single, double, triple, aromatic, or any other."""
ATOM_FEATURES, BOND_FEATURES = sum(ATOM_PROPERTIES.values()), sum(BOND_PROPERTIES.values())
ORDERS = {1: 0, 2: 1, 3: 2, 12: 3}  # by RDKit's number of the bond type


def graph_features(mol: Mol) -> dict[str, NDArray]:
    """Return a molecule's graph.

    `atoms` (atoms, ATOM_FEATURES) and `bonds` (directed bonds, BOND_FEATURES) are uint8, 1 where a property has a
    value. A bond stands twice, once in each direction, one behind the other; `ends` (directed bonds, 2) of int16 are
    the atoms from and to which it leads.
    """
    atoms = [_atom_values(atom) for atom in mol.GetAtoms()]
    bonds = [_bond_values(bond) for bond in mol.GetBonds()]
    pairs = np.array([(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()], np.int16)
    pairs = pairs.reshape(-1, 2)
    return {
        "atoms": _one_hot(atoms, ATOM_PROPERTIES),
        "bonds": _one_hot(bonds, BOND_PROPERTIES).repeat(2, axis=0),
        "ends": np.stack([pairs, pairs[:, ::-1]], axis=1).reshape(-1, 2),
    }


def _atom_values(atom: Atom) -> tuple[int, ...]:
    return (
        PLACE_OF_ELEMENT.get(atom.GetAtomicNum(), len(ELEMENTS)), atom.GetDegree(), atom.GetFormalCharge() + 2,
        atom.GetTotalNumHs(), int(atom.GetHybridization()), atom.GetIsAromatic(), atom.IsInRing(),
    )  # fmt: skip


def _bond_values(bond: Bond) -> tuple[int, ...]:
    return ORDERS.get(int(bond.GetBondType()), 4), bond.GetIsConjugated(), bond.IsInRing()


def _one_hot(rows: list[tuple[int, ...]], properties: dict[str, int]) -> NDArray[np.uint8]:
    """Return (rows, all values of all properties), 1 where a property has the value."""
    sizes = np.array([*properties.values()])
    values = np.array(rows, dtype=int).reshape(-1, len(sizes)).clip(0, sizes - 1)
    found = np.zeros((len(rows), sizes.sum()), np.uint8)
    found[np.arange(len(rows))[:, None], values + np.cumsum(sizes) - sizes] = 1
    return found
