"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from medhub.pictures import figures
from medhub.results import ClassPrediction

from ..files import read_image
from ..image import Image
from .data import synthetic


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    label = "Image or series: PNG, JPEG, DICOM, NIfTI"
    # browsers know no type of these files, so that only their names can be asked for, and DICOM often has none
    return [gradio.File(label=label, file_count="multiple", type="filepath")]


def raw(files: list[str] | None) -> Image:
    """Turn the uploaded files into one input: the slices of one study."""
    return read_image(files or [])


def examples() -> dict[str, list[Any]]:
    """Return a drawn scan, a made-up picture and a made-up series of slices, as files in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    rows = synthetic(size=4).rows
    scan = folder / "drawn-ultrasound.png"
    PIL.Image.fromarray(draw_scan()).save(scan)
    studies: dict[str, list[Any]] = {"an ultrasound scan, drawn": [[str(scan)]]}
    for name, slices in {"a picture, made up": rows[0]["input"][2:3], "a series, made up": rows[1]["input"]}.items():
        paths = [folder / slice_["path"] for slice_ in slices]
        for path, slice_ in zip(paths, slices, strict=True):
            path.write_bytes(slice_["bytes"])
        studies[name] = [[str(path) for path in paths]]
    return studies


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the picture of the explanation."""
    import gradio

    return [gradio.HTML()]


def draw(result: ClassPrediction) -> list[Any]:
    """Return the values of the output components."""
    return [figures("Probability of each class", result.probabilities)]


def draw_scan(seed: int = 0) -> NDArray[np.uint8]:
    """Draw an ultrasound scan: speckled tissue in layers, and a dark oval with an even rim; (400, 520)."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:400, :520].astype(float)
    echo = 90 - 0.1 * rows + 35 * np.exp(-(((rows - 60 - 8 * np.sin(columns / 90)) / 14) ** 2))
    echo += 30 * np.exp(-(((rows - 310 + 6 * np.sin(columns / 70)) / 10) ** 2))
    oval = np.hypot((rows - 185) / 55, (columns - 265) / 95)
    echo *= 1 - 0.8 / (1 + np.exp((oval - 1) / 0.05))
    echo[240:] *= 1 + 0.35 * np.exp(-(((columns[240:] - 265) / 70) ** 2))
    speckle = np.hypot(*(gaussian_filter(random.normal(size=echo.shape), (1.0, 2.2)) for _ in range(2)))
    return (echo * speckle / speckle.mean()).clip(0, 255).round().astype(np.uint8)
