"""PNG and JPEG files, Pillow's images and bare arrays."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError

from .image import Image, usual_range

if TYPE_CHECKING:
    import PIL.Image

FORMATS = ("PNG", "JPEG")
_GREY = {"1": "L", "L": "L", "LA": "L", "I;16": "I;16", "I;16B": "I;16B", "I;16L": "I;16L", "I": "I", "F": "F"}
"""The mode in which Pillow's kinds of grey image keep all their levels."""


def decode_picture(data: bytes, source: str) -> Image:
    """Read the bytes of a PNG or JPEG file; raise InputError for others, and for a file that is cut off."""
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            picture.load()
            return from_pillow(picture, source)
    except PIL.UnidentifiedImageError:
        raise InputError(f"{source} is none of DICOM, NIfTI, PNG and JPEG; convert it to one of them") from None
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise InputError(f"{source} cannot be read: {error}; the file may be cut off, copy it again") from error


def from_pillow(picture: PIL.Image.Image, source: str) -> Image:
    """Return a Pillow image, turned as its EXIF orientation says and without its alpha channel."""
    import PIL.ImageOps

    upright = PIL.ImageOps.exif_transpose(picture)
    if upright.mode in _GREY:
        return from_array(np.asarray(upright.convert(_GREY[upright.mode])), source)
    if upright.mode == "P":  # Pillow turns a palette with transparency into RGB by way of RGBA only
        upright = upright.convert("RGBA")
    return from_array(np.asarray(upright.convert("RGB")), source)


def from_array(array: NDArray, source: str = "array") -> Image:
    """Return an array of shape (height, width[, channels]) or (slices, height, width[, channels]).

    There are 1, 3 or 4 channels. 8-bit values are shown as they are, others stretched to what is usual in them. Raises
    InputError for other shapes, and for values that are not finite numbers.
    """
    if array.dtype.kind not in "buif" or not array.size:
        raise InputError(f"{source} is an array of type {array.dtype} and shape {array.shape}; give pixels as numbers")
    has_channels = array.ndim in (3, 4) and array.shape[-1] in (1, 3, 4)
    planes = array[..., :3] if has_channels else array[..., None]  # alpha says nothing about the patient
    if planes.ndim == 3:
        planes = planes[None]
    if planes.ndim != 4:
        raise InputError(
            f"{source} has the shape {array.shape}; give (height, width), (height, width, 3) or (slices, height, width)"
        )
    pixels = planes.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise InputError(f"{source} holds pixels that are not finite numbers; replace them first")
    black, white = {"b": (0.0, 1.0), "u1": (0.0, 255.0)}.get(_kind(array)) or usual_range(pixels)
    return Image(pixels=pixels, black=black, white=white, source=source)


def _kind(array: NDArray) -> str:
    return "b" if array.dtype == bool else array.dtype.str[1:]
