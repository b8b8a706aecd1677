"""What the network says of a row: molecules, as metrics compare them and results show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """A molecule drawn from nothing, and those proposed near the given one, as canonical SMILES.

    `sampled` is "" where what was written is no molecule; such ones are left out of `near`.
    """

    sampled: str
    near: tuple[str, ...] = ()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        """Return the letters of all, one molecule after the other."""
        return np.frombuffer(" ".join([self.sampled, *self.near]).encode(), np.uint8).astype(dtype or np.uint8)
