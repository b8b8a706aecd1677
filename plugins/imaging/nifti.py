"""NIfTI volumes, plain or gzipped."""

from __future__ import annotations

import gzip
import io

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError

from .image import Image, usual_range

LARGEST = 2**31
"""Bytes that a gzipped volume may unpack to: a small file must not fill the memory."""
_GZIP = b"\x1f\x8b"
_NIFTI1, _NIFTI2 = b"n+1\0", b"n+2\0"


def is_nifti(data: bytes) -> bool:
    """Say whether a file's bytes are NIfTI; a gzipped file is taken for one."""
    return data[:2] == _GZIP or data[344:348] == _NIFTI1 or data[4:8] == _NIFTI2


def decode_nifti(data: bytes, source: str) -> Image:
    """Read the bytes of a NIfTI file and turn the volume as a DICOM series of axial slices lies.

    Slices run from feet to head, rows from front to back, columns from the patient's right to left, whatever the order
    on the disk. Raises InputError for a file that is damaged, or that has a time axis.
    """
    import nibabel

    try:
        plain = _unzip(data) if data[:2] == _GZIP else data
        kind = nibabel.Nifti2Image if plain[4:8] == _NIFTI2 else nibabel.Nifti1Image
        volume = kind.from_bytes(plain)
        values = volume.get_fdata(dtype=np.float32)
    except Exception as error:  # nibabel and gzip raise errors of many kinds for a damaged file
        raise InputError(f"{source} cannot be read as NIfTI: {error}; it may be cut off, copy it again") from error
    if values.ndim < 2 or any(size > 1 for size in values.shape[3:]):
        raise InputError(f"{source} has the shape {values.shape}; give one volume of three axes, not a series in time")
    sizes = (*volume.header.get_zooms(), 1.0)[:3]
    values, spacing = _turn(values.reshape((*values.shape, 1)[:3]), volume.affine, sizes)
    finite = np.isfinite(values)
    if not finite.any():
        raise InputError(f"{source} holds no finite voxel; export it again")
    # programmes that cut out the brain leave NaN around it
    values = np.where(finite, values, values[finite].min())
    black, white = usual_range(values)
    return Image(pixels=values[..., None], black=black, white=white, source=source, spacing=spacing)


def _turn(values: NDArray, affine: NDArray, sizes: tuple[float, ...]) -> tuple[NDArray, tuple[float, ...]]:
    """Return the voxels as (slices, rows, columns), in the order that `decode_nifti` promises, and their sizes."""
    from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

    turn = ornt_transform(io_orientation(affine), axcodes2ornt(("L", "P", "S")))
    size_of = {int(new): float(size) for (new, _), size in zip(turn, sizes, strict=True)}
    return apply_orientation(values, turn).transpose(2, 1, 0), (size_of[2], size_of[1], size_of[0])


def _unzip(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        plain = file.read(LARGEST + 1)
    if len(plain) > LARGEST:
        raise ValueError(f"it unpacks to more than {LARGEST >> 30} GiB")
    if plain[:2] == _GZIP or not is_nifti(plain):
        raise ValueError("it is gzipped, but what it holds is not NIfTI")
    return plain
