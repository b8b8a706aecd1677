"""Molecules as the tasks of chemistry know them: parsed, cleaned, and named the same however they were written.

RDKit does the chemistry. It speaks through a global log; here its messages are caught call by call, and become errors.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError, MedHubError

if TYPE_CHECKING:
    from rdkit.Chem import Mol

MOST_ATOMS = 200
"""Heavy atoms above which a molecule is a polymer or a protein, of which the tasks here know nothing."""
SMILES_TOKEN = re.compile(r"\[[^]]*\]|Br|Cl|%\d\d|.")
"""A bracketed atom, a two-letter element, a ring closure above nine, or any other letter (Schwaller et al. 2019)."""


def read_molecule(raw: Any) -> Mol:
    """Parse and clean one molecule, given as to `parse_molecule`.

    Raises InputError for what is no molecule or beyond the tasks' scope, beginning with its place where it names one.
    """
    try:
        return standardise(parse_molecule(raw))
    except InputError as error:
        place = raw.get("place") if isinstance(raw, dict) else None
        raise InputError(f"{place}: {error}" if place else str(error)) from None


def parse_molecule(raw: Any) -> Mol:
    """Parse a SMILES, or a dict with `smiles` or an SDF record's `molblock`; an RDKit molecule stays as it is."""
    if isinstance(raw, dict) and "molblock" in raw:
        return parse_molblock(raw["molblock"])
    if isinstance(raw, _chem().Mol):
        return raw
    return parse_smiles(raw.get("smiles") if isinstance(raw, dict) else raw)


def parse_smiles(smiles: Any) -> Mol:
    """Parse one SMILES as it is written; raise InputError with the text and RDKit's reason."""
    if not isinstance(smiles, str):
        raise InputError(f"a {type(smiles).__name__} is no molecule; give a SMILES string, such as 'CCO' for ethanol")
    text = smiles.strip()
    if not text:
        raise InputError("the SMILES is empty; write a molecule, such as 'CCO' for ethanol")
    if len(text.split()) > 1:  # RDKit would take the first and forget the others
        raise InputError(f"{_shortened(text)!r} holds spaces; give one SMILES at a time, without names")
    mol, reason = _parsed(_chem().MolFromSmiles, text)
    if mol is None:
        raise InputError(f"{_shortened(text)!r} is not a valid SMILES: {reason}; correct it")
    return mol


def parse_molblock(molblock: str) -> Mol:
    """Parse a molecule of an SDF or MOL file; raise InputError with RDKit's reason."""
    mol, reason = _parsed(_chem().MolFromMolBlock, molblock)
    if mol is None:
        raise InputError(f"the record is not a valid MOL block: {reason}; export it anew")
    return mol


def standardise(mol: Mol) -> Mol:
    """Return the largest organic fragment, uncharged where possible, without atom maps, its atoms in canonical order.

    All spellings of a molecule, and its salts, become the same object atom by atom. Metals that are drawn as covalently
    bound stay: an organotin compound is not its ligand. Raises InputError for what has no carbon or is too large.
    """
    chem = _chem()
    from rdkit.rdBase import BlockLogs

    if not any(atom.GetAtomicNum() == 6 for atom in mol.GetAtoms()):
        raise InputError(
            f"{_shortened(canonical_smiles(mol))!r} has no carbon; the tasks of chemistry know organic molecules only"
        )
    chooser, uncharger = _cleaners()
    with BlockLogs():
        clean = uncharger.uncharge(chooser.choose(chem.RemoveHs(mol)))
    if clean.GetNumHeavyAtoms() > MOST_ATOMS:
        raise InputError(
            f"{_shortened(canonical_smiles(mol))!r} has {clean.GetNumHeavyAtoms()} heavy atoms; "
            f"at most {MOST_ATOMS} are understood"
        )
    for atom in clean.GetAtoms():
        atom.SetAtomMapNum(0)
    return parse_smiles(canonical_smiles(clean))


def is_mixture(mol: Mol) -> bool:
    """Whether a parsed molecule consists of several parts: a salt, a solvate or another mixture."""
    return len(_chem().GetMolFrags(mol)) > 1


def canonical_smiles(mol: Mol) -> str:
    """Return RDKit's canonical SMILES, with stereochemistry."""
    return _chem().MolToSmiles(mol)


def scaffold(mol: Mol) -> str:
    """Return the SMILES of the ring systems and what links them, without stereochemistry (Bemis and Murcko 1996).

    A molecule without a ring has no scaffold and gets its own SMILES, a group of its own. chemprop and MoleculeNet put
    all such molecules into one group, a fifth of Tox21, which then only ever stands in train.
    """
    from rdkit.Chem.Scaffolds import MurckoScaffold

    smiles = MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False)
    return smiles or _chem().MolToSmiles(mol, isomericSmiles=False)


class Spelling(NamedTuple):
    """One way to write a molecule: the SMILES, and the index of each of its atoms in the order they are written."""

    smiles: str
    order: tuple[int, ...]


def spellings(mol: Mol, count: int) -> list[Spelling]:
    """Return `count` ways to write one molecule: the canonical one, then random ones, the same at every call.

    Atoms are renumbered at random and written in that order (Arús-Pous et al. 2019). A small molecule's repeat.
    """
    chem = _chem()
    first = chem.MolToSmiles(mol)
    random = np.random.default_rng([*first.encode()])
    found = [Spelling(first, _written_order(mol))]
    for _ in range(count - 1):
        order = random.permutation(mol.GetNumAtoms()).tolist()
        shuffled = chem.RenumberAtoms(mol, order)
        smiles = chem.MolToSmiles(shuffled, canonical=False)
        found.append(Spelling(smiles, tuple(order[index] for index in _written_order(shuffled))))
    return found


def _written_order(mol: Mol) -> tuple[int, ...]:
    """Return the order of atoms in the SMILES that RDKit has just written."""
    return tuple(mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"])


def atom_names(mol: Mol) -> tuple[str, ...]:
    """Name each atom by its element and its place in the SMILES, counted from 1: ("C1", "C2", "O3")."""
    return tuple(f"{atom.GetSymbol()}{atom.GetIdx() + 1}" for atom in mol.GetAtoms())


def merge_labels(copies: NDArray[np.floating]) -> NDArray[np.floating]:
    """Merge the labels of one molecule's copies, (copies, labels) with NaN for unknown, into one row (labels,).

    A label that some copies leave open takes the others' value; one on which they disagree becomes unknown.
    """
    lowest = np.where(np.isnan(copies), np.inf, copies).min(axis=0)
    highest = np.where(np.isnan(copies), -np.inf, copies).max(axis=0)
    return np.where(lowest == highest, lowest, np.nan)


def _chem() -> Any:
    try:
        from rdkit import Chem
    except ImportError as error:
        raise MedHubError("molecules need RDKit; pip install 'medhub[chem]'") from error
    return Chem


@cache
def _cleaners() -> tuple[Any, Any]:
    """Make RDKit's chooser of the largest fragment and its uncharger once: they parse many patterns."""
    from rdkit.Chem.MolStandardize import rdMolStandardize

    return rdMolStandardize.LargestFragmentChooser(preferOrganic=True), rdMolStandardize.Uncharger()


def _parsed(parse: Any, text: str) -> tuple[Mol | None, str]:
    """Call one of RDKit's parsers, and return the molecule, or None and RDKit's reason in one line."""
    from rdkit import rdBase

    with rdBase.BlockLogs():  # puts back what was on; of what it shuts off, errors alone are wanted
        rdBase.EnableLog("rdApp.error")
        with rdBase.CaptureErrorLog() as log:
            mol = parse(text)
        rdBase.DisableLog("rdApp.error")
    if mol is not None:
        return mol, ""
    lines = (re.sub(r"^\[[\d:]+\] (SMILES Parse Error: )?", "", line) for line in log.messages.splitlines())
    # a broken invariant begins with a heading of two lines, and ends with a stack
    reason = next((line for line in lines if line.strip("* ") and not line.endswith("Violation")), "it is not whole")
    return None, re.sub(r" (for input|while parsing): .*$", "", reason)


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}…{text[-15:]}"
