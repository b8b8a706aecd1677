"""Training also on what was known earlier: series that end before their index time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from medhub.processing import Columns

SERIES = ("values", "seen", "elapsed")


def crop(columns: Columns, *, share: float, generator: torch.Generator) -> Columns:
    """Return columns in which about a `share` of the rows end at an earlier step, drawn at random.

    At that step, the new index time, nothing is seen; at least one step before it has something.
    """
    rows = len(columns["seen"])
    chosen, places = torch.rand(2, rows, generator=generator).tolist()
    cropped = {name: [*columns[name]] for name in SERIES}
    for row in np.flatnonzero(np.array(chosen) < share):
        seen = cropped["seen"][row]
        first = int(seen.any(axis=1).argmax())
        end = first + 1 + int(places[row] * (len(seen) - first - 1))
        for name in SERIES:
            cropped[name][row] = _ended(cropped[name][row], end, empty=name != "elapsed")
    return {**columns, **cropped}


def _ended(array: NDArray, end: int, *, empty: bool) -> NDArray:
    """Return the steps up to `end`, the last of them without anything where that is asked for."""
    array = array[: end + 1].copy()
    if empty:
        array[-1] = 0
    return array
