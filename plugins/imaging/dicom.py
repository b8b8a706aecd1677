"""DICOM: single files, files of several frames, and series of slices."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError

from .image import Image, usual_range
from .planes import Stack, functional_group, stack_frames, stack_series

if TYPE_CHECKING:
    from pydicom import Dataset

_CUT_OFF = "the file may be cut off, copy it again"


def is_dicom(data: bytes) -> bool:
    """Say whether a file's first bytes are DICOM's preamble (PS3.10, section 7.1)."""
    return data[128:132] == b"DICM"


def parse_dicom(data: bytes, source: str, *, pixels: bool = True) -> Dataset:
    """Parse a file's bytes, or what stands before the pixels; raise InputError when they are not DICOM or damaged."""
    from pydicom import dcmread

    try:
        return dcmread(io.BytesIO(data), stop_before_pixels=not pixels)
    except Exception as error:  # pydicom raises whatever its parser stumbles over in a damaged file
        raise InputError(f"{source} cannot be read as DICOM: {_reason(error)}; {_CUT_OFF}") from error


def from_dicom(dataset: Dataset, source: str = "DICOM") -> Image:
    """Return the image of one DICOM file, of one or several frames; those of an enhanced file by their place.

    Stored values are rescaled to their unit (PS3.3 C.11.1); `black` and `white` come from the file's window, and a VOI
    table or a sigmoid window is applied (C.11.2); MONOCHROME1 is inverted, so that white is always dense. Raises
    InputError when the file holds no image, or one that cannot be decoded, and for frames that make no volume.
    """
    frames = _frames(dataset, source)
    return _image([frames], stack_frames(dataset, source, frames=len(frames.values)), source, dataset)


def from_series(datasets: Sequence[Dataset], names: Sequence[str], source: str) -> Image:
    """Return the volume of a series' files, one slice each, in the order of their place in the patient.

    `names` are the files', for errors. Slices run along the normal of their plane: for axial ones from feet to head.
    Raises InputError when the files belong to several series, do not lie evenly behind each other, or differ in size.
    """
    stack = stack_series(datasets, names, source)
    slices = [_frames(dataset, name) for dataset, name in zip(datasets, names, strict=True)]
    shapes = [frames.values.shape for frames in slices]
    usual, _ = Counter(shapes).most_common(1)[0]
    for name, shape in zip(names, shapes, strict=True):
        if shape != usual or shape[0] != 1:
            raise InputError(
                f"{name} has the shape {shape}, but others of the same series have {usual}; leave out what is not one "
                "slice of the volume"
            )
    if len({frames.inverted for frames in slices}) > 1:
        raise InputError(f"{source} mixes MONOCHROME1 and MONOCHROME2; keep one kind of picture a folder")
    return _image(slices, stack, source, datasets[0])


@dataclass(frozen=True, kw_only=True)
class _Frames:
    """Decoded pixels in their unit (frames, rows, columns, samples) and how they are meant to be shown."""

    values: NDArray[np.float32]
    known: NDArray[np.bool_]
    """False where the scanner saw nothing and padded the square picture."""
    voi: list[Dataset]
    """What holds each frame's window or table, if any does."""
    screen: tuple[float, float] | None
    """What is black and white in pixels that were made for a screen."""
    inverted: bool


def _image(parts: list[_Frames], stack: Stack, source: str, dataset: Dataset) -> Image:
    """Put frames in order and choose how they are shown."""
    values = np.concatenate([part.values for part in parts])[stack.order]
    known = np.concatenate([part.known for part in parts])[stack.order]
    voi = [holder for part in parts for holder in part.voi]
    try:
        values, window = _shown(values, [voi[i] for i in stack.order] if voi else [])
    except Exception as error:  # pydicom raises whatever it stumbles over in an incomplete table
        raise InputError(f"{source}: its window cannot be applied: {_reason(error)}; {_CUT_OFF}") from error
    black, white = window or parts[0].screen or usual_range(values[known])
    return Image(
        pixels=np.float32(black + white) - values if parts[0].inverted else values, black=black, white=white,
        source=source, modality=_text(dataset, "Modality"), spacing=stack.spacing, affine=stack.affine,
    )  # fmt: skip


def _frames(dataset: Dataset, source: str) -> _Frames:
    from pydicom.pixels import apply_color_lut, pixel_array

    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        modality = _text(dataset, "Modality") or "unknown"
        raise InputError(f"{source} holds no image (modality {modality}); give a file with pixels")
    try:
        stored = pixel_array(dataset)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            stored = apply_color_lut(stored, dataset)
        elif dataset.SamplesPerPixel == 1:
            return _grey_frames(dataset, stored.reshape(-1, dataset.Rows, dataset.Columns, 1))
    except Exception as error:  # each of pydicom's decoders raises errors of its own
        syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
        cure = f"{syntax.name} may need pip install python-gdcm" if syntax and syntax.is_compressed else _CUT_OFF
        raise InputError(f"{source}: the pixels cannot be decoded: {_reason(error)}; {cure}") from error
    colours = stored.reshape(-1, dataset.Rows, dataset.Columns, stored.shape[-1])[..., :3]
    return _Frames(
        values=colours.astype(np.float32), known=np.ones(colours.shape, bool), voi=[],
        screen=(0.0, float(np.iinfo(stored.dtype).max)), inverted=False,
    )  # fmt: skip


def _grey_frames(dataset: Dataset, stored: NDArray) -> _Frames:
    from pydicom.pixels import apply_modality_lut

    planes, as_stored = [], stored.dtype == np.uint8
    for number, frame in enumerate(stored):
        values = apply_modality_lut(frame, functional_group(dataset, "PixelValueTransformationSequence", number))
        as_stored &= values is frame
        planes.append(values.astype(np.float32))
    padding = dataset.get("PixelPaddingValue")
    known = np.ones(stored.shape, bool) if padding is None else stored != padding
    return _Frames(
        values=np.stack(planes), known=known if known.any() else ~known,
        voi=[functional_group(dataset, "FrameVOILUTSequence", number) for number in range(len(stored))],
        screen=(0.0, float(2**dataset.BitsStored - 1)) if as_stored else None,  # as ultrasound has them
        inverted=dataset.PhotometricInterpretation == "MONOCHROME1",
    )  # fmt: skip


def _shown(
    values: NDArray[np.float32], voi: Sequence[Dataset]
) -> tuple[NDArray[np.float32], tuple[float, float] | None]:
    """Return slices, and the two values that are shown black and white, by a VOI table or window; None without one.

    Scanners may write another window into every slice, but a volume has one scale: that of the slice nearest the
    middle. A linear window leaves the values as they are, in their unit; a table or a sigmoid changes them.
    """
    for place in np.argsort(abs(np.arange(len(voi)) - len(voi) // 2), kind="stable"):
        if voi[place].get("VOILUTSequence"):
            return _looked_up(values, voi[place])
        centre, width = (_first(voi[place].get(name)) for name in ("WindowCenter", "WindowWidth"))
        if centre is not None and width is not None and width > 0:
            return _windowed(values, centre, width, voi[place].get("VOILUTFunction") or "LINEAR")
    return values, None


def _looked_up(values: NDArray[np.float32], voi: Dataset) -> tuple[NDArray[np.float32], tuple[float, float]]:
    from pydicom.pixels import apply_voi

    entries, first, _ = voi.VOILUTSequence[0].LUTDescriptor
    ends = np.array([first, first + (entries or 2**16) - 1])  # 0 stands for 65,536 (PS3.3 C.11.2.1.1)
    black, white = sorted(map(float, apply_voi(ends, voi)))
    return apply_voi(values.round().astype(np.int64).clip(*ends), voi).astype(np.float32), (black, white)


def _windowed(
    values: NDArray[np.float32], centre: float, width: float, function: str
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    from scipy.special import expit

    if function == "SIGMOID":
        return expit(4 * (values - np.float32(centre)) / np.float32(width)), (0.0, 1.0)
    if function == "LINEAR":  # it counts in whole steps, LINEAR_EXACT does not (PS3.3 C.11.2.1.2.1)
        centre, width = centre - 0.5, max(width - 1, 1e-3)  # width 1 is a threshold
    return values, (centre - width / 2, centre + width / 2)


def _first(value: Any) -> float | None:
    """Return a number, or the first of several; None for an absent or empty element."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    return None if value in (None, "") else float(value)


def _text(dataset: Dataset, keyword: str) -> str | None:
    return str(dataset.get(keyword) or "") or None


def _reason(error: Exception) -> str:
    return f"{error}".splitlines()[0].rstrip(".:") if str(error) else type(error).__name__


@dataclass(frozen=True)
class Header:
    """What a file tells without its pixels; `patient` is the hospital's number, for grouping only, and is not kept."""

    patient: str | None
    modality: str | None


def read_header(path: Path) -> Header | None:
    """Return a file's header, None when the file is no DICOM; raise InputError when it is damaged."""
    from pydicom import dcmread

    with path.open("rb") as file:
        if not is_dicom(file.read(132)):
            return None
    try:
        dataset = dcmread(path, stop_before_pixels=True, specific_tags=["PatientID", "Modality"])
    except Exception as error:  # as in parse_dicom
        raise InputError(f"{path.name} cannot be read as DICOM: {_reason(error)}; {_CUT_OFF}") from error
    return Header(patient=_text(dataset, "PatientID"), modality=_text(dataset, "Modality"))
