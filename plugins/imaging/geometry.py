"""Where voxels lie in the patient: turning volumes to one convention and back, and bringing them to one spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError

from .image import Image

_CANONICAL = np.array([[2, 1], [1, 1], [0, 1]])
"""The patient's axis (0: left, 1: back, 2: head), and the sense, in which slices, rows and columns run."""


def canonical(image: Image) -> Image:
    """Turn a volume so that slices run to the patient's head, rows to the back and columns to the left.

    Axes are swapped and flipped, and voxels stay as they are: an oblique volume is turned to the nearest such
    orientation. Raises InputError where the file does not tell how the volume lies.
    """
    if image.affine is None:
        raise InputError(
            f"{image.source} does not tell how its voxels lie in the patient; give the original DICOM series or NIfTI "
            "file, or state its geometry with medhub.plugins.imaging.geometry.with_spacing"
        )
    pixels, affine = orient(image.pixels, image.affine)
    if np.array_equal(affine, image.affine):
        return image
    spacing = spacing_of(affine) if len(pixels) > 1 else spacing_of(affine)[1:]
    return replace(image, pixels=pixels, affine=affine, spacing=spacing, grid=None)


def restore(mask: NDArray, turned: Image, original: Image) -> NDArray:
    """Return a mask (slices, rows, columns) of `turned`, which is `canonical(original)`, in the original's order."""
    if mask.shape != turned.pixels.shape[:3] or original.affine is None:
        raise InputError(f"a mask of shape {mask.shape} does not lie on {turned.source} of {turned.pixels.shape[:3]}")
    return unorient(mask, original.affine)


def orient(voxels: NDArray, affine: NDArray) -> tuple[NDArray, NDArray[np.float64]]:
    """Return voxels, whose first three axes `affine` takes to the patient, in canonical order, and their affine."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

    turn = ornt_transform(io_orientation(affine), _CANONICAL)
    return apply_orientation(voxels, turn), affine @ inv_ornt_aff(turn, voxels.shape[:3])


def unorient(voxels: NDArray, affine: NDArray) -> NDArray:
    """Return voxels in canonical order in that of `affine`: what `orient` did, undone."""
    from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

    return apply_orientation(voxels, ornt_transform(_CANONICAL, io_orientation(affine)))


def spacing_of(affine: NDArray) -> tuple[float, float, float]:
    """Return the millimetres between slices, rows and columns; their product is a voxel's volume.

    Between slices it is the distance of their planes, as a tilted gantry shifts each of them sideways too.
    """
    _, row, column = affine[:3, :3].T
    plane = np.cross(row, column)
    between = abs(np.linalg.det(affine[:3, :3])) / np.linalg.norm(plane)
    return float(between), float(np.linalg.norm(row)), float(np.linalg.norm(column))


def with_spacing(image: Image, spacing: Sequence[float]) -> Image:
    """State the millimetres between slices (of a volume), rows and columns of an image whose file does not tell them.

    A volume is then taken to lie as `canonical` puts it, with its first voxel at the origin: state it only of one that
    does. Raises InputError for an image whose file tells how it lies, and for a spacing that cannot be.
    """
    if image.affine is not None:
        raise InputError(f"{image.source} tells its own geometry, a spacing of {image.spacing} mm; leave it as it is")
    wanted = 3 if image.slices > 1 else 2
    stated = tuple(map(float, spacing))
    if len(stated) != wanted or not all(0 < size < np.inf for size in stated):
        raise InputError(f"{image.source} needs {wanted} millimetres above 0, not {stated}")
    if wanted == 2:
        return replace(image, spacing=stated)
    affine = np.eye(4)[[2, 1, 0, 3]] * (*stated, 1.0)
    return replace(image, spacing=stated, affine=affine)


def resample(
    volume: NDArray,
    spacing_from: Sequence[float],
    spacing_to: Sequence[float],
    *,
    order: int,
    shape: Sequence[int] | None = None,
) -> NDArray:
    """Bring a volume (slices, rows, columns[, channels]) from one spacing to another; its outer faces stay in place.

    `order` is the spline's: 0 for labels, 1 or 3 for images. Sizes are rounded to whole voxels; `shape` (slices, rows,
    columns) names them instead, which brings an answer back onto the grid that its image had. No smoothing is done, as
    in nnU-Net (Isensee et al. 2021).
    """
    from scipy.ndimage import zoom

    if shape is None:
        ratios = np.asarray(spacing_from, float) / np.asarray(spacing_to, float)
        shape = [max(1, round(size * ratio)) for size, ratio in zip(volume.shape[:3], ratios, strict=True)]
    if tuple(shape) == volume.shape[:3]:
        return volume
    if volume.ndim == 4:  # a spline along a fourth axis would take ten times as long
        channels = np.moveaxis(volume, 3, 0)
        return np.stack([resample(one, spacing_from, spacing_to, order=order, shape=shape) for one in channels], axis=3)
    factors = [new / old for new, old in zip(shape, volume.shape, strict=True)]
    return zoom(volume, factors, order=order, mode="nearest", grid_mode=True)
