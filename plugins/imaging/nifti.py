"""NIfTI volumes, plain or gzipped."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError

from .geometry import orient, spacing_of, unorient
from .image import Image, NiftiGrid, usual_range

if TYPE_CHECKING:
    from nibabel import Nifti1Header

LARGEST = 2**31
"""Bytes that a gzipped volume may unpack to: a small file must not fill the memory."""
_GZIP = b"\x1f\x8b"
_NIFTI1, _NIFTI2 = b"n+1\0", b"n+2\0"
_GRID = (
    "dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d",
    "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
_MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}
"""In one of the header's units of length: metres, millimetres, micrometres."""
_SCANNER = 1
"""The code of an affine that leads to the scanner's coordinates."""


def is_nifti(data: bytes) -> bool:
    """Say whether a file's bytes are NIfTI; a gzipped file is taken for one."""
    return data[:2] == _GZIP or data[344:348] == _NIFTI1 or data[4:8] == _NIFTI2


def decode_nifti(data: bytes, source: str) -> Image:
    """Read the bytes of a NIfTI file and turn the volume as a DICOM series of axial slices lies.

    Slices run from feet to head, rows from front to back, columns from the patient's right to left, whatever the order
    on the disk. A file that does not tell how it lies (both its codes are 0) keeps its order, with the last axis as
    slices, and has no affine. Raises InputError for a file that is damaged, or that has a time axis.
    """
    import nibabel

    try:
        plain = _unzip(data) if data[:2] == _GZIP else data
        kind = nibabel.Nifti2Image if plain[4:8] == _NIFTI2 else nibabel.Nifti1Image
        header = kind.header_class.from_fileobj(io.BytesIO(plain), check=False)
        volume = kind.from_bytes(plain)
        values = volume.get_fdata(dtype=np.float32)
    except Exception as error:  # nibabel and gzip raise errors of many kinds for a damaged file
        raise InputError(f"{source} cannot be read as NIfTI: {error}; it may be cut off, copy it again") from error
    if values.ndim < 2 or any(size > 1 for size in values.shape[3:]):
        raise InputError(f"{source} has the shape {values.shape}; give one volume of three axes, not a series in time")
    values = values.reshape((*values.shape, 1)[:3])
    affine = _patient_affine(volume.header, source)
    if affine is None:
        values, spacing = values.transpose(2, 1, 0), _told_spacing(header)
    else:
        values, affine = orient(values, affine)
        spacing = spacing_of(affine)
    finite = np.isfinite(values)
    if not finite.any():
        raise InputError(f"{source} holds no finite voxel; export it again")
    # programmes that cut out the brain leave NaN around it
    values = np.where(finite, values, values[finite].min())
    black, white = usual_range(values)
    grid = NiftiGrid(version=1 + (kind is nibabel.Nifti2Image), fields={n: volume.header[n].copy() for n in _GRID})
    return Image(
        pixels=values[..., None], black=black, white=white, source=source, affine=affine, grid=grid,
        spacing=spacing if spacing is None or len(values) > 1 else spacing[1:],
    )  # fmt: skip


def encode_nifti(mask: NDArray[np.unsignedinteger], image: Image) -> bytes:
    """Return the bytes of a NIfTI file of an image's mask (slices, rows, columns).

    It lies exactly as the NIfTI file lay that the image came from; for an image from DICOM, where its affine says.
    Raises InputError when neither is known.
    """
    import nibabel

    if image.grid is not None:
        return _encode_on(image.grid, mask, image.source)
    if image.affine is None:
        raise InputError(
            f"{image.source} does not tell how it lies in the patient, which NIfTI must; save the mask as PNG, or "
            "state its geometry with medhub.plugins.imaging.geometry.with_spacing"
        )
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine[:, [2, 1, 0, 3]]
    volume = nibabel.Nifti1Image(mask.transpose(2, 1, 0), affine)
    volume.set_sform(affine, code=_SCANNER)
    volume.header.set_xyzt_units("mm")
    return volume.to_bytes()


def _encode_on(grid: NiftiGrid, mask: NDArray, source: str) -> bytes:
    import nibabel

    kind = nibabel.Nifti2Image if grid.version == 2 else nibabel.Nifti1Image
    header = kind.header_class()
    for name, value in grid.fields.items():
        header[name] = value
    header.set_data_dtype(mask.dtype)
    affine = _patient_affine(header, source)
    voxels = mask.transpose(2, 1, 0) if affine is None else unorient(mask, affine)
    # without an affine of its own the image leaves the header's as it is, to the last bit
    return kind(voxels.reshape(header.get_data_shape()), None, header).to_bytes()


def _patient_affine(header: Nifti1Header, source: str) -> NDArray[np.float64] | None:
    """Return the affine from voxels on the disk to millimetres to the left, back and head; None where none is told."""
    if not (header["sform_code"] or header["qform_code"]):
        return None
    affine = header.get_best_affine()
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise InputError(
            f"{source} has an affine that gives its voxels no volume; correct its sform, or set the codes of sform and "
            "qform to 0 if its place in the patient does not matter"
        )
    size = _unit(header)
    return np.diag([-size, -size, size, 1.0]) @ affine


def _told_spacing(header: Nifti1Header) -> tuple[float, ...] | None:
    """Return the voxels' sizes, last axis first, of a file without an affine; None if they are but a writer's 1s.

    The header is the file's own: nibabel's check would turn sizes of 0 into 1.
    """
    sizes = header["pixdim"][1:4].astype(float)
    told = header["xyzt_units"] & 7 or (sizes != 1).any()
    usable = np.isfinite(sizes).all() and (sizes > 0).all()
    return tuple((sizes[::-1] * _unit(header)).tolist()) if told and usable else None


def _unit(header: Nifti1Header) -> float:
    return _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)


def _unzip(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        plain = file.read(LARGEST + 1)
    if len(plain) > LARGEST:
        raise ValueError(f"it unpacks to more than {LARGEST >> 30} GiB")
    if plain[:2] == _GZIP or not is_nifti(plain):
        raise ValueError("it is gzipped, but what it holds is not NIfTI")
    return plain
