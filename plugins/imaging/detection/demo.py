"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ..files import read_image
from ..image import Image
from .data import synthetic
from .results import DetectionPrediction


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    # browsers know no type of these files, so that only their names can be asked for, and DICOM often has none
    return [gradio.File(label="Image: PNG, JPEG, DICOM or NIfTI", type="filepath")]


def raw(file: str | None) -> Image:
    """Turn the uploaded file into one input."""
    return read_image(file or [])


def examples() -> list[list[Any]]:
    """Return two made-up images, as files in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    rows = []
    for row in synthetic(size=2).rows:
        (file,) = row["input"]
        path = folder / file["path"]
        path.write_bytes(file["bytes"])
        rows.append([str(path)])
    return rows


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the picture of the explanation."""
    import gradio

    return [
        gradio.Image(label="Found", interactive=False, format="png"),
        gradio.Dataframe(
            label="Counts: boxes found, and the sum of all probabilities",
            headers=["object", "found", "expected"],
            datatype=["str", "number", "number"],
            interactive=False,
        ),
    ]


def draw(result: DetectionPrediction) -> list[Any]:
    """Return the values of the output components."""
    return [
        result.picture(),
        [[label, count, round(result.expected[label], 1)] for label, count in result.counts.items()],
    ]
