"""Descriptors of the whole molecule: weight, charge, polarity, solubility, counts of groups and rings."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medhub.errors import ProcessorError

if TYPE_CHECKING:
    from rdkit.Chem import Mol

LEFT_OUT = ("qed", "SPS", "BertzCT", "Ipc", "AvgIpc", "BalabanJ")
"""What takes as long as half of all the others, which say as much without it."""


def descriptor_names() -> list[str]:
    """Return the names of the descriptors that the installed RDKit computes."""
    return [name for name in _functions() if name not in LEFT_OUT]


def compute_descriptors(mol: Mol, names: list[str]) -> NDArray[np.float64]:
    """Return the descriptors called `names`, (names,), each x as sign(x) log(1 + |x|), NaN where x is not defined.

    Some are counts and others reach 10^30; the logarithm brings them near each other. Raises ProcessorError when the
    installed RDKit lacks one.
    """
    from rdkit import rdBase

    functions = _functions()
    if missing := [name for name in names if name not in functions]:
        raise ProcessorError(
            f"the installed RDKit {rdBase.rdkitVersion} has no descriptor {missing[0]!r}, which this model was trained "
            "with; install the RDKit version that the model card names"
        )
    with rdBase.BlockLogs():
        values = np.array([_value(functions[name], mol) for name in names], dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    return np.sign(values) * np.log1p(np.abs(values))


def _value(function: Any, mol: Mol) -> float:
    try:
        return function(mol)
    except (RuntimeError, ValueError, ZeroDivisionError):  # not defined for this molecule
        return float("nan")


@cache
def _functions() -> dict[str, Any]:
    from rdkit.Chem import Descriptors

    # RDKit would find the same electrotopological states anew for each of four descriptors
    return {
        name: partial(function, force=False) if name.endswith("EStateIndex") else function
        for name, function in Descriptors.descList
    }
