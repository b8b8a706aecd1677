"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from medhub.results import ClassPrediction

from ..files import read_image
from ..image import Image
from .data import synthetic


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    label = "Image: PNG, JPEG, DICOM or NIfTI; several DICOM files are one series"
    # browsers know no type of these files, so that only their names can be asked for, and DICOM often has none
    return [gradio.File(label=label, file_count="multiple", type="filepath")]


def raw(files: list[str] | None) -> Image:
    """Turn the uploaded files into one input: the slices of one study."""
    return read_image(files or [])


def examples() -> list[list[Any]]:
    """Return a made-up picture and a made-up series of slices, as files in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    rows = synthetic(size=4).rows
    studies = []
    for slices in (rows[0]["input"][2:3], rows[1]["input"]):
        paths = [folder / slice_["path"] for slice_ in slices]
        for path, slice_ in zip(paths, slices, strict=True):
            path.write_bytes(slice_["bytes"])
        studies.append([[str(path) for path in paths]])
    return studies


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the picture of the explanation."""
    import gradio

    return [gradio.Label(label="Class")]


def draw(result: ClassPrediction) -> list[Any]:
    """Return the values of the output components."""
    return [result.probabilities]
