"""Reading an image from whatever the user has: a file, a folder, bytes, or an object of Pillow, NumPy or pydicom."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medhub.errors import InputError

from .dicom import from_dicom, from_series, is_dicom, parse_dicom
from .image import Image
from .nifti import decode_nifti, is_nifti
from .pictures import decode_picture, from_array, from_pillow

if TYPE_CHECKING:
    from pydicom import Dataset


def read_image(raw: Any) -> Image:
    """Return the image in whatever the user has; raise InputError, naming the file, for what cannot be read.

    That is a path (DICOM, NIfTI, PNG, JPEG; a folder is a DICOM series), the bytes of such a file, a Pillow image, an
    array, a pydicom Dataset, a data set's `{"path": ..., "bytes": ...}`, or a list of these, a volume's slices. A file
    is known by its content, not by its name.
    """
    if isinstance(raw, Image):
        return raw
    if _is_folder(raw):
        return _volume(*read_dicom(raw))
    if _is_list(raw):
        return _read_slices(raw)
    if isinstance(raw, np.ndarray):
        return from_array(raw)
    return _decode(*_entry(raw))


def read_dicom(raw: Any, *, pixels: bool = True) -> tuple[list[Dataset], list[str], str]:
    """Return the data sets of a DICOM file, a series' folder or a list of its files, their names, and one name for all.

    Without `pixels` only what stands before them is kept. Raises InputError for what is not DICOM throughout.
    """
    if _is_list(raw) and len(raw) == 1:
        return read_dicom(raw[0], pixels=pixels)
    if _is_folder(raw):
        entries, source = _dicom_files(Path(raw)), Path(raw).name
    elif _is_list(raw):
        entries, source = [_entry(one) for one in raw], f"series of {len(raw)} files"
    else:
        entries = [_entry(raw)]
        source = entries[0][1]
    if not entries or not all(map(_is_dicom, entries)):
        raise InputError(f"{source} is not DICOM throughout; give one DICOM file, or the files of one series")
    return *_parse(entries, pixels=pixels), source


def _decode(thing: Any, source: str) -> Image:
    """Return the image in a file's bytes, or in an object of Pillow's or pydicom's."""
    if not isinstance(thing, bytes):
        return _from_object(thing)
    if not thing:
        raise InputError(f"{source} is empty; copy it again")
    if is_dicom(thing):
        return from_dicom(parse_dicom(thing, source), source)
    if is_nifti(thing):
        return decode_nifti(thing, source)
    return decode_picture(thing, source)


def _entry(raw: Any) -> tuple[Any, str]:
    """Return the bytes and the name of what stands for a file; anything else as it is, named for its kind."""
    return _file(raw) or (raw, type(raw).__name__)


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


def _read_slices(raws: Sequence[Any]) -> Image:
    """Read a list: DICOM files by their place in the patient, other pictures in the order given."""
    if len(raws) == 1:
        return read_image(raws[0])
    if not raws:
        raise InputError("the list of slices is empty; give at least one image")
    entries = [_entry(raw) for raw in raws]
    if all(map(_is_dicom, entries)):
        return _volume(*_parse(entries), f"series of {len(entries)} files")
    pairs = zip(raws, entries, strict=True)
    slices = [read_image(raw) if raw is thing else _decode(thing, name) for raw, (thing, name) in pairs]
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


def _dicom_files(folder: Path) -> list[tuple[Any, str]]:
    """Return a folder's DICOM files, to be one series; what is no DICOM (notes, previews) is left out."""
    entries = [_entry(path) for path in sorted(folder.iterdir()) if path.is_file()]
    slices = [entry for entry in entries if _is_dicom(entry) and entry[1].upper() != "DICOMDIR"]
    if not slices:
        raise InputError(f"the folder {folder.name} holds no DICOM file; give a folder with one series, or one file")
    return slices


def _parse(entries: Sequence[tuple[Any, str]], *, pixels: bool = True) -> tuple[list[Dataset], list[str]]:
    datasets, names = [], []
    for thing, name in entries:
        datasets.append(parse_dicom(thing, name, pixels=pixels) if isinstance(thing, bytes) else thing)
        names.append(name)
    return datasets, names


def _volume(datasets: list[Dataset], names: list[str], source: str) -> Image:
    return from_dicom(datasets[0], names[0]) if len(datasets) == 1 else from_series(datasets, names, source)


def _is_dicom(entry: tuple[Any, str]) -> bool:
    thing, _ = entry
    if isinstance(thing, bytes):
        return is_dicom(thing)
    import pydicom

    return isinstance(thing, pydicom.Dataset)


def _is_folder(raw: Any) -> bool:
    return isinstance(raw, str | os.PathLike) and os.path.isdir(raw)


def _is_list(raw: Any) -> bool:
    return isinstance(raw, Sequence) and not isinstance(raw, str | bytes)


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
