"""Writing a mask so that other programmes find it where it belongs: NIfTI, DICOM SEG and PNG."""

from __future__ import annotations

import gzip
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import medhub
from medhub.errors import InputError

from .files import read_dicom
from .image import Image
from .nifti import encode_nifti
from .planes import Stack, stack_frames, stack_series

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom import Dataset

MAKER = "MedHub"
_CODES = "99MEDHUB"
"""Coding scheme of a model's own label names; DICOM wants a private one to begin with 99 (PS3.16, section 8)."""


def save_nifti(path: str | os.PathLike, mask: NDArray, image: Image) -> None:
    """Write an image's mask (slices, rows, columns) as .nii, or as .nii.gz if `path` ends so.

    The mask of a NIfTI file lies as that file does: its affine, axes, sizes, units and codes to the last bit, and none
    of its texts. Raises InputError for a mask of another shape, and for an image that does not tell where it lies.
    """
    data = encode_nifti(_labels(mask, image.pixels.shape[:3]), image)
    _write(Path(path), gzip.compress(data, mtime=0) if os.fspath(path).endswith(".gz") else data)


def save_label_png(path: str | os.PathLike, mask: NDArray) -> None:
    """Write the mask of a picture (rows, columns) as a grey PNG of 8 bits, or of 16 where labels exceed 255."""
    import PIL.Image

    if mask.ndim != 2 and mask.shape[:-2] != (1,):
        raise InputError(f"a PNG holds one slice, but the mask has the shape {mask.shape}; save it as .nii.gz")
    file = io.BytesIO()
    PIL.Image.fromarray(_labels(mask, (1, *mask.shape[-2:]))[0]).save(file, "PNG")
    _write(Path(path), file.getvalue())


def save_dicom_seg(path: str | os.PathLike, mask: NDArray, source: Any, labels: Sequence[str]) -> None:
    """Write the mask (slices, rows, columns) of a DICOM image as a DICOM SEG: a binary segment for each of `labels`.

    `source` is the image as it was given to `read_image`: a file, or a series' folder or files. It is read again,
    since an Image keeps no person: a SEG belongs to the patient and the study of its source, as the standard demands.
    Value 1 of the mask is the first label. Raises InputError when the two do not fit together, and for a source whose
    frames' places are unknown.
    """
    from pydicom.uid import generate_uid
    from pydicom.valuerep import format_number_as_ds

    datasets, names, name = read_dicom(source, pixels=False)
    stack = _stack(datasets, names, name)
    values = _labels(mask, (len(stack.order), datasets[0].Rows, datasets[0].Columns))
    if not labels or values.max(initial=0) > len(labels):
        raise InputError(f"the mask holds the value {values.max(initial=0)}, but {len(labels)} labels name its values")
    if len(datasets) > 1:
        datasets = [datasets[i] for i in stack.order]
    else:  # frames are named by their number in the file
        values = values[np.argsort(stack.order)]
    segments = [_describe(number, label) for number, label in enumerate(labels, 1)]
    segmentation = _segmentation(datasets, values, segments, name)
    if stack.spacing and len(values) > 1:  # highdicom copies the header's distance, which may not be that of the places
        measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SpacingBetweenSlices = format_number_as_ds(stack.spacing[0])
    segmentation.SeriesDescription = f"{MAKER} segmentation"
    segmentation.StudyInstanceUID = datasets[0].get("StudyInstanceUID") or generate_uid()
    file = io.BytesIO()
    segmentation.save_as(file)
    _write(Path(path), file.getvalue())


def _stack(datasets: Sequence[Dataset], names: Sequence[str], name: str) -> Stack:
    """Return how the slices that `read_image` gives follow."""
    if len(datasets) > 1:
        return stack_series(datasets, names, name)
    frames = int(datasets[0].get("NumberOfFrames") or 1)
    stack = stack_frames(datasets[0], name, frames=frames)
    if frames > 1 and stack.affine is None:
        raise InputError(
            f"{name} does not tell where its {frames} frames lie, which a DICOM SEG of several must; save as .png, "
            "slice by slice"
        )
    return stack


def _segmentation(
    datasets: Sequence[Dataset], values: NDArray, segments: list[SegmentDescription], name: str
) -> Dataset:
    from highdicom.seg import Segmentation
    from pydicom.uid import generate_uid

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's would print a patient's name that is not in the usual form
        try:
            return Segmentation(
                datasets, values, "BINARY", segments,
                series_instance_uid=generate_uid(), series_number=1, sop_instance_uid=generate_uid(), instance_number=1,
                manufacturer=MAKER, manufacturer_model_name=MAKER, software_versions=medhub.__version__,
                device_serial_number="none", omit_empty_frames=bool(values.any()),
            )  # fmt: skip
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # of a header that lacks what SEG needs
            raise InputError(f"{name} cannot have a DICOM SEG: {error}; save the mask as NIfTI or PNG") from error


def _describe(number: int, label: str) -> SegmentDescription:
    """Return a segment's description; a label is a model's own term, so that no clinical code is claimed for it."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    return SegmentDescription(
        segment_number=number, segment_label=label[:64],
        segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
        segmented_property_type=Code(label, _CODES, label[:64]), algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=MAKER, version=medhub.__version__, family=codes.DCM.ArtificialIntelligence
        ),
    )  # fmt: skip


def _labels(mask: NDArray, shape: tuple[int, ...]) -> NDArray[np.unsignedinteger]:
    """Return a mask as its file holds it: uint8, or uint16 where labels exceed 255."""
    fits = mask.shape == shape or (1, *mask.shape) == shape
    if not fits:
        raise InputError(f"the mask has the shape {mask.shape}, but its image {shape}; give one value for each voxel")
    if mask.dtype.kind not in "bui" or not mask.size or mask.min() < 0 or mask.max() >= 2**16:
        raise InputError(f"a mask of {mask.dtype} cannot be written; give whole numbers from 0 to 65535")
    return mask.reshape(shape).astype(np.uint8 if mask.max() < 2**8 else np.uint16)


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
