"""What every image file becomes: one array, how it is meant to be shown, where it lies, and no person's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

DARKEST, BRIGHTEST = 0.5, 99.5
"""Percentiles shown black and white where a file does not say: a few odd pixels must not set the contrast."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NiftiGrid:
    """How voxels lay in the NIfTI file that they came from, so that a mask goes back onto the very same grid."""

    version: int
    """1 or 2: of the format."""
    fields: Mapping[str, NDArray]
    """The header's fields that say where voxels lie, as they stand in the file; none that could name the patient."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """A picture (one slice) or a volume (several), with what its file says of it that concerns no person.

    `pixels` is float32 of shape (slices, height, width, channels), in the file's own unit: Hounsfield units for a CT, 0
    to 255 for a photograph. Values from `black` to `white` are what the file wants shown.
    """

    pixels: NDArray[np.float32]
    black: float
    white: float
    source: str
    """A name for people: the file's, without its folder."""
    modality: str | None = None
    """DICOM's code ("CT", "DX", "US" ...) where the file tells it."""
    spacing: tuple[float, ...] | None = None
    """Millimetres between slices (volumes only), rows and columns, where the file tells them."""
    affine: NDArray[np.float64] | None = None
    """4x4, from (slice, row, column, 1) to millimetres in DICOM's patient coordinates: to the left, back and head.

    None where the file does not tell it, as for most pictures; it is never guessed.
    """
    grid: NiftiGrid | None = None
    """How the voxels lay on the disk, if in a NIfTI file."""

    @property
    def slices(self) -> int:
        """How many slices there are; 1 for a picture."""
        return len(self.pixels)

    def slice(self, index: int) -> Image:
        """Return one slice as a picture that is named for its place."""
        affine = None if self.affine is None else self.affine.copy()
        if affine is not None:
            affine[:, 3] += index * affine[:, 0]
        return replace(
            self,
            pixels=self.pixels[index : index + 1],
            source=f"{self.source}, slice {index + 1} of {self.slices}",
            spacing=self.spacing and self.spacing[-2:],
            affine=affine,
            grid=None,
        )

    def grey_levels(self) -> NDArray[np.uint8]:
        """Return the pixels as a screen shows them: 256 levels from `black` to `white`, in the shape of `pixels`."""
        if self.white <= self.black:
            return np.zeros(self.pixels.shape, np.uint8)
        share = (self.pixels - self.black) / (self.white - self.black)
        return np.round(share.clip(0, 1) * 255).astype(np.uint8)


def usual_range(values: NDArray) -> tuple[float, float]:
    """Return what to show black and white of values that have no such range of their own; robust to a few odd ones."""
    black, white = np.percentile(values, (DARKEST, BRIGHTEST)) if values.size else (0.0, 0.0)
    return float(black), float(white)
