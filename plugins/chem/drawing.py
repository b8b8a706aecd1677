"""A molecule as a picture, with each atom coloured by what it did."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from rdkit.Chem import Mol

WIDTH, HEIGHT, MARGIN = 720, 480, 20  # of the picture, in pixels; the margin is what is left around the molecule


def draw_atoms(mol: Mol, values: NDArray[np.floating]) -> Image:
    """Draw a molecule with its atoms red where `values` (atoms,) are positive and blue where they are negative.

    The colour is the deeper the larger the value, against the molecule's largest.
    """
    from PIL import Image, ImageOps
    from rdkit.Chem.Draw import rdMolDraw2D

    colours = {atom: _colour(float(value)) for atom, value in enumerate(values / max(np.abs(values).max(), 1e-12))}
    canvas = rdMolDraw2D.MolDraw2DCairo(WIDTH, HEIGHT)
    options: Any = canvas.drawOptions()
    options.useBWAtomPalette()  # red oxygens would look like a finding
    options.highlightRadius = 0.4
    options.fillHighlights = True
    rdMolDraw2D.PrepareAndDrawMolecule(
        canvas, mol, highlightAtoms=[*colours], highlightAtomColors=colours, highlightBonds=[]
    )
    canvas.FinishDrawing()
    drawn = Image.open(io.BytesIO(canvas.GetDrawingText())).convert("RGB")
    left, top, right, bottom = ImageOps.invert(drawn).getbbox() or (0, 0, WIDTH, HEIGHT)
    return drawn.crop((max(left - MARGIN, 0), max(top - MARGIN, 0), right + MARGIN, bottom + MARGIN))


def _colour(strength: float) -> tuple[float, float, float]:
    """Return red, green and blue for a strength between -1 (blue) and 1 (red); 0 is white."""
    pale = 1 - 0.75 * abs(strength)
    return (1.0, pale, pale) if strength > 0 else (pale, pale, 1.0)
