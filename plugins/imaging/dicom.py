"""DICOM: single files, files of several frames, and series of slices."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError

from .image import Image, usual_range

if TYPE_CHECKING:
    from pydicom import Dataset

_CUT_OFF = "the file may be cut off, copy it again"


def is_dicom(data: bytes) -> bool:
    """Say whether a file's first bytes are DICOM's preamble (PS3.10, section 7.1)."""
    return data[128:132] == b"DICM"


def parse_dicom(data: bytes, source: str) -> Dataset:
    """Parse a file's bytes; raise InputError when they are no DICOM or are damaged."""
    from pydicom import dcmread

    try:
        return dcmread(io.BytesIO(data))
    except Exception as error:  # pydicom raises whatever its parser stumbles over in a damaged file
        raise InputError(f"{source} cannot be read as DICOM: {_reason(error)}; {_CUT_OFF}") from error


def from_dicom(dataset: Dataset, source: str = "DICOM") -> Image:
    """Return the image of one DICOM file, of one or several frames.

    Stored values are rescaled to their unit (PS3.3 C.11.1); `black` and `white` come from the file's window, and a VOI
    table or a sigmoid window is applied (C.11.2); MONOCHROME1 is inverted, so that white is always dense. Raises
    InputError when the file holds no image, or one that cannot be decoded.
    """
    frames = _frames(dataset, source)
    black, white = frames.window or usual_range(frames.pixels[frames.known])
    pixels = np.float32(black + white) - frames.pixels if frames.inverted else frames.pixels
    spacing = _spacing(dataset, between_slices=len(pixels) > 1)
    modality = _text(dataset, "Modality")
    return Image(pixels=pixels, black=black, white=white, source=source, modality=modality, spacing=spacing)


def from_series(datasets: Sequence[Dataset], names: Sequence[str], source: str) -> Image:
    """Return the volume of a series' files, one slice each, in the order of their place in the patient.

    `names` are the files', for errors. Slices run along the normal of their plane: for axial ones from feet to head.
    Raises InputError when the files belong to several series, differ in size or orientation, or two share a place.
    """
    series = {str(dataset.get("SeriesInstanceUID", "")) for dataset in datasets}
    if len(series) > 1:
        raise InputError(f"{source} holds {len(datasets)} files of {len(series)} series; keep one series a folder")
    places = _places(datasets, source)
    order = np.argsort(places, kind="stable")
    slices = [from_dicom(datasets[i], names[i]) for i in order]
    if odd := next((s for s in slices if s.pixels.shape != slices[0].pixels.shape or s.slices != 1), None):
        raise InputError(
            f"{odd.source} has the shape {odd.pixels.shape}, but {slices[0].source} of the same series has "
            f"{slices[0].pixels.shape}; leave out what is not one slice of the volume"
        )
    # scanners may write another window into every slice, but a volume has one scale
    middle = slices[len(slices) // 2]
    in_plane = middle.spacing and middle.spacing[-2:]
    gap = float(np.median(np.diff(places[order]))) if len(slices) > 1 else 0.0
    return Image(
        pixels=np.concatenate([s.pixels for s in slices]), black=middle.black, white=middle.white, source=source,
        modality=middle.modality, spacing=(gap, *in_plane) if in_plane else None,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Frames:
    """Decoded pixels (frames, rows, columns, samples) and how they are meant to be shown."""

    pixels: NDArray[np.float32]
    known: NDArray[np.bool_]
    """False where the scanner saw nothing and padded the square picture."""
    window: tuple[float, float] | None
    inverted: bool


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
        pixels=colours.astype(np.float32), known=np.ones(colours.shape, bool),
        window=(0.0, float(np.iinfo(stored.dtype).max)), inverted=False,
    )  # fmt: skip


def _grey_frames(dataset: Dataset, stored: NDArray) -> _Frames:
    from pydicom.pixels import apply_modality_lut

    planes, window = [], None
    for number, frame in enumerate(stored):
        transformation = _macro(dataset, "PixelValueTransformationSequence", number)
        values, own = _shown(apply_modality_lut(frame, transformation), _macro(dataset, "FrameVOILUTSequence", number))
        window = window or own  # a volume has one scale, whatever window each of its frames names
        planes.append(values.astype(np.float32))
        unchanged = values is frame
        if window is None and unchanged and stored.dtype == np.uint8:  # pixels for a screen, as ultrasound has them
            window = (0.0, float(2**dataset.BitsStored - 1))
    padding = dataset.get("PixelPaddingValue")
    known = np.ones(stored.shape, bool) if padding is None else stored != padding
    return _Frames(
        pixels=np.stack(planes), known=known if known.any() else ~known, window=window,
        inverted=dataset.PhotometricInterpretation == "MONOCHROME1",
    )  # fmt: skip


def _shown(values: NDArray, voi: Dataset) -> tuple[NDArray, tuple[float, float] | None]:
    """Return values, and the two of them that are shown black and white, by a VOI table or window; None without one.

    A linear window leaves the values as they are, in their unit; a table or a sigmoid changes them.
    """
    from pydicom.pixels import apply_voi

    if table := voi.get("VOILUTSequence"):
        entries, first, _ = table[0].LUTDescriptor
        ends = np.array([first, first + (entries or 2**16) - 1])  # 0 stands for 65,536 (PS3.3 C.11.2.1.1)
        black, white = sorted(map(float, apply_voi(ends, voi)))
        return apply_voi(values.round().astype(np.int64).clip(*ends), voi), (black, white)
    centre, width = (_first(voi.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or width <= 0:
        return values, None
    function = voi.get("VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width)), (0.0, 1.0)
    if function == "LINEAR":  # it counts in whole steps, LINEAR_EXACT does not (PS3.3 C.11.2.1.2.1)
        centre, width = centre - 0.5, max(width - 1, 1e-3)  # width 1 is a threshold
    return values, (centre - width / 2, centre + width / 2)


def _macro(dataset: Dataset, sequence: str, frame: int) -> Dataset:
    """Return what holds a frame's values: its own or the shared functional group of an enhanced file, or the file."""
    for groups, number in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(groups) or []
        if number < len(items) and sequence in items[number]:
            return items[number][sequence][0]
    return dataset


def _spacing(dataset: Dataset, *, between_slices: bool) -> tuple[float, ...] | None:
    measures = _macro(dataset, "PixelMeasuresSequence", 0)
    in_plane = measures.get("PixelSpacing") or measures.get("ImagerPixelSpacing")
    between = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    if not in_plane or (between_slices and not between):
        return None
    return (*([float(between)] if between_slices else []), *map(float, in_plane))


def _places(datasets: Sequence[Dataset], source: str) -> NDArray[np.floating]:
    """Return each slice's place along the normal of the slices' common plane, in millimetres (PS3.3 C.7.6.2.1.1)."""
    for name in ("ImagePositionPatient", "ImageOrientationPatient"):
        if not all(dataset.get(name) for dataset in datasets):
            raise InputError(
                f"{source}: a file lacks {name}, so that the order of slices is unknown; leave out what is no slice"
            )
    planes = np.array([dataset.ImageOrientationPatient for dataset in datasets], dtype=float)
    if not np.allclose(planes, planes[0], atol=1e-3):
        raise InputError(f"{source} holds slices of several orientations; leave out localisers and other planes")
    normal = np.cross(planes[0, :3], planes[0, 3:])
    places = np.array([dataset.ImagePositionPatient for dataset in datasets], dtype=float) @ normal
    if len(np.unique(places.round(3))) < len(places):
        raise InputError(f"{source} holds two slices at one place; keep one time point or contrast a folder")
    return places


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
