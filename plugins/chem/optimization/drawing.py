"""Molecules side by side: a grid of them, and a path along which what changed is coloured."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from medhub.plugins.chem.molecules import parse_smiles

if TYPE_CHECKING:
    from PIL.Image import Image
    from rdkit.Chem import Mol

COLUMNS, WIDTH, HEIGHT = 3, 420, 320  # molecules a row, and pixels of each
SECONDS = 1
"""Longest search for what two molecules have in common."""


def draw_grid(smiles: Sequence[str], captions: Sequence[str], *, changed: Sequence[Sequence[int]] = ()) -> Image:
    """Draw molecules in rows, each over its caption; `changed` names the atoms of each that are coloured."""
    from rdkit.Chem.Draw import MolsToGridImage

    drawn = MolsToGridImage(
        [parse_smiles(text) for text in smiles],
        molsPerRow=min(COLUMNS, len(smiles)),
        subImgSize=(WIDTH, HEIGHT),
        legends=[*captions],
        highlightAtomLists=[[*atoms] for atoms in changed] or None,
        returnPNG=False,
    )
    return cast("Image", drawn)


def draw_path(smiles: Sequence[str], captions: Sequence[str]) -> Image:
    """Draw molecules in their order, in each the atoms that the one before does not have."""
    mols = [parse_smiles(text) for text in smiles]
    changed = [[], *(changed_atoms(before, after) for before, after in itertools.pairwise(mols))]
    return draw_grid(smiles, captions, changed=changed)


def changed_atoms(before: Mol, after: Mol) -> list[int]:
    """Return the atoms of `after` outside the largest part that it has in common with `before`."""
    from rdkit.Chem import MolFromSmarts
    from rdkit.Chem.rdFMCS import FindMCS

    common = FindMCS([before, after], timeout=SECONDS, ringMatchesRingOnly=True, completeRingsOnly=True)
    pattern = MolFromSmarts(common.smartsString) if common.numAtoms else None
    kept = set(after.GetSubstructMatch(pattern)) if pattern is not None else set()
    return [atom for atom in range(after.GetNumAtoms()) if atom not in kept]
