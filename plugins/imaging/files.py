"""Reading an image from whatever the user has: a file, a folder, bytes, or an object of Pillow, NumPy or pydicom."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medhub.errors import InputError

from .dicom import from_dicom, from_series, is_dicom, parse_dicom
from .image import Image
from .nifti import decode_nifti, is_nifti
from .pictures import decode_picture, from_array, from_pillow


def read_image(raw: Any) -> Image:
    """Return the image in whatever the user has; raise InputError, naming the file, for what cannot be read.

    That is a path (DICOM, NIfTI, PNG, JPEG; a folder is a DICOM series), the bytes of such a file, a Pillow image, an
    array, a pydicom Dataset, a data set's `{"path": ..., "bytes": ...}`, or a list of these, a volume's slices. A file
    is known by its content, not by its name.
    """
    if isinstance(raw, Image):
        return raw
    if isinstance(raw, str | os.PathLike) and os.path.isdir(raw):
        return _read_folder(Path(raw))
    if isinstance(raw, Sequence) and not isinstance(raw, str | bytes):
        return _read_slices(raw)
    if isinstance(raw, np.ndarray):
        return from_array(raw)
    if (file := _file(raw)) is not None:
        return _decode(*file)
    return _from_object(raw)


def _decode(data: bytes, source: str) -> Image:
    if not data:
        raise InputError(f"{source} is empty; copy it again")
    if is_dicom(data):
        return from_dicom(parse_dicom(data, source), source)
    if is_nifti(data):
        return decode_nifti(data, source)
    return decode_picture(data, source)


def _file(raw: Any) -> tuple[bytes, str] | None:
    """Return the bytes and the name of what stands for a file; None for anything else."""
    if isinstance(raw, bytes):
        return raw, "image"
    if isinstance(raw, Mapping):
        path, data = raw.get("path"), raw.get("bytes")
        if data is not None:
            return data, Path(path).name if path else "image"
        raw = path
    if not isinstance(raw, str | os.PathLike):
        return None
    path = Path(raw)
    try:
        return path.read_bytes(), path.name
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)[:200]!r} cannot be read: {reason}; check the path") from error


def _read_folder(folder: Path) -> Image:
    """Read a folder's DICOM files as one series; what is no DICOM (notes, previews) is left out."""
    files = [file for path in sorted(folder.iterdir()) if path.is_file() and (file := _file(path))]
    slices = [(data, name) for data, name in files if is_dicom(data) and name.upper() != "DICOMDIR"]
    if not slices:
        raise InputError(f"the folder {folder.name} holds no DICOM file; give a folder with one series, or one file")
    return _series(slices, folder.name)


def _read_slices(raws: Sequence[Any]) -> Image:
    """Read a list: DICOM files by their place in the patient, other pictures in the order given."""
    if len(raws) == 1:
        return read_image(raws[0])
    if not raws:
        raise InputError("the list of slices is empty; give at least one image")
    files = [_file(raw) for raw in raws]
    if all(file is not None and is_dicom(file[0]) for file in files):
        return _series([file for file in files if file is not None], f"series of {len(files)} files")
    slices = [read_image(raw) if file is None else _decode(*file) for raw, file in zip(raws, files, strict=True)]
    first = slices[0]
    for image in slices:
        if image.pixels.shape != first.pixels.shape or image.modality != first.modality:
            raise InputError(
                f"{image.source} has the shape {image.pixels.shape}, but the first slice, {first.source}, has "
                f"{first.pixels.shape}; give slices of one size and kind"
            )
    return Image(
        pixels=np.concatenate([image.pixels for image in slices]), source=f"{first.source} and {len(slices) - 1} more",
        black=min(image.black for image in slices), white=max(image.white for image in slices), modality=first.modality,
    )  # fmt: skip


def _series(files: Sequence[tuple[bytes, str]], source: str) -> Image:
    names = [name for _, name in files]
    datasets = [parse_dicom(data, name) for data, name in files]
    return from_dicom(datasets[0], names[0]) if len(files) == 1 else from_series(datasets, names, source)


def _from_object(raw: Any) -> Image:
    """Return the image in an object of Pillow's or pydicom's; raise InputError for any other."""
    import PIL.Image
    import pydicom

    if isinstance(raw, PIL.Image.Image):
        return from_pillow(raw, Path(str(getattr(raw, "filename", ""))).name or "picture")
    if isinstance(raw, pydicom.Dataset):
        return from_dicom(raw)
    kind = type(raw).__name__
    raise InputError(f"cannot read an image from {kind}; give a path, bytes, an array, or a Pillow or pydicom object")
