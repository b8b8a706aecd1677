"""The grid that a network sees, and the way from an image there and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from medhub.errors import InputError

from ..files import read_image
from ..geometry import canonical, orient, resample, restore, spacing_of, unorient
from ..image import Image

MOST_ROWS = 200
"""Training rows, evenly spaced, whose median spacing volumes are brought to."""


def middle(image: Image) -> Image:
    """Return the middle slice of a volume, which is what networks for pictures see; a picture as it is."""
    return image if image.slices == 1 else image.slice(image.slices // 2)


def on_grid(image: Image, spacing: Sequence[float] | None, *, order: int) -> NDArray[np.float32]:
    """Return pixels (*space, channels): a picture's as they are, a volume's turned and `spacing` millimetres apart.

    `spacing` is None for pictures. `order` is that of the interpolation: 0 for masks. Raises InputError for a volume
    whose file does not say how it lies in the patient.
    """
    if spacing is None:
        return image.pixels[0]
    turned, own_spacing = _turned(image)
    return resample(turned.pixels, own_spacing, spacing, order=order)


def on_image(mask: NDArray, image: Image, spacing: Sequence[float] | None) -> NDArray:
    """Return a mask (*space) as it lies on the image's own pixels, (slices, rows, columns): `on_grid` undone."""
    if spacing is None:
        return mask[None]
    turned, own_spacing = _turned(image)
    own = resample(mask, spacing, own_spacing, order=0, shape=turned.pixels.shape[:3])
    return restore(own, turned, image)


def median_spacing(rows: Dataset) -> list[float]:
    """Return the median over volumes of the millimetres between slices, rows and columns, once turned."""
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).round().astype(int)
    found = [_turned(read_image(rows[int(row)]["input"]))[1] for row in chosen]
    return [round(float(value), 4) for value in np.median(np.array(found), axis=0)]


def mask_on(image: Image, mask: Image) -> Image:
    """Return a mask turned to its image's order of axes, which a program that exports masks may have changed.

    Raises InputError unless it has one number for each of the image's pixels, and lies where they do.
    """
    if image.affine is not None and mask.affine is not None and not np.allclose(image.affine, mask.affine, atol=0.01):
        upright, affine = orient(mask.pixels, mask.affine)
        if np.allclose(affine, canonical(image).affine, atol=0.01):  # type: ignore[arg-type]
            mask = replace(mask, pixels=unorient(upright, image.affine), affine=image.affine, grid=None)
    shape, wanted = mask.pixels.shape, (*image.pixels.shape[:3], 1)
    if shape != wanted:
        raise InputError(
            f"the mask {mask.source} has the shape {shape}, but its image {image.source} needs {wanted}: slices, rows, "
            "columns and one number a pixel; export it from the image that it belongs to"
        )
    if image.affine is not None and mask.affine is not None and not np.allclose(image.affine, mask.affine, atol=0.01):
        raise InputError(
            f"the mask {mask.source} lies elsewhere in the patient than its image {image.source}; export it on the "
            "image's own grid"
        )
    return mask


def _turned(image: Image) -> tuple[Image, tuple[float, float, float]]:
    """Return a volume in canonical order, and its millimetres between slices, rows and columns."""
    turned = canonical(image)
    assert turned.affine is not None  # or it would have been refused
    return turned, spacing_of(turned.affine)
