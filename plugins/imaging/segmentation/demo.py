"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import read_image
from ..image import Image
from ..overlays import FILLED, label_colours, outline
from .data import synthetic
from .results import SegmentationPrediction

SHOWN = 512
"""Pixels of the longer side to which a small slice is enlarged."""
KEPT_SECONDS = 3600
"""For so long the slider finds a visitor's volume."""
HEADERS = ["label", "objects", "size", "share", "probability"]


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    label = "Image, series or volume: PNG, JPEG, DICOM, NIfTI"
    # browsers know no type of these files, so that only their names can be asked for, and DICOM often has none
    return [gradio.File(label=label, file_count="multiple", type="filepath")]


def raw(files: list[str] | None) -> Image:
    """Turn the uploaded files into one input: a picture or a volume."""
    return read_image(files or [])


def examples() -> dict[str, list[Any]]:
    """Return drawn nuclei and two made-up volumes, as files in a temporary folder."""
    import nibabel

    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    rows = synthetic(size=4).rows
    nuclei = folder / "drawn-nuclei.nii"  # a picture tells no size, without which a model for volumes refuses it
    nibabel.save(nibabel.Nifti1Image(draw_nuclei().T[..., None], np.eye(4)), nuclei)
    found: dict[str, list[Any]] = {"nuclei in fluorescence, drawn": [[str(nuclei)]]}
    for number, file in enumerate((rows[0]["input"][0], rows[2]["input"][0]), start=1):
        path = folder / file["path"]
        path.write_bytes(file["bytes"])
        found[f"volume {number}, made up"] = [[str(path)]]
    return found


def outputs() -> list[Any]:
    """Return the components that show a result: the regions, the slice, their sizes, and the result.

    The slider shows another slice of the result that the page keeps for the visitor.
    """
    import gradio

    regions = gradio.AnnotatedImage(label="Regions", buttons=["fullscreen"])
    place = gradio.Slider(label="Slice of the volume", minimum=1, maximum=2, step=1, visible=False)
    sizes = gradio.Dataframe(headers=HEADERS, label="Sizes", interactive=False)
    kept = gradio.State(None, time_to_live=KEPT_SECONDS)
    place.release(_draw_slice, inputs=[kept, place], outputs=[regions], api_visibility="private")
    return [regions, place, sizes, kept]


def draw(result: SegmentationPrediction) -> list[Any]:
    """Return the values of the output components."""
    import gradio

    most = int((result.mask > 0).sum((1, 2)).argmax())
    slices = len(result.mask)
    slider = gradio.Slider(maximum=max(slices, 2), value=most + 1, visible=slices > 1)
    return [_draw_slice(result, most + 1), slider, _table(result), result]


def _draw_slice(result: SegmentationPrediction | None, place: float) -> Any:
    """Return the regions in a slice, numbered from 1, with an outline around each object."""
    import gradio

    if result is None:
        return None
    index = int(place) - 1
    times = max(1, SHOWN // max(result.mask.shape[1:]))
    mask, objects, picture = (
        planes[index].repeat(times, axis=0).repeat(times, axis=1)
        for planes in (result.mask, result.mask if result.instances is None else result.instances,
                       result.image.grey_levels())
    )  # fmt: skip
    opacity = np.where(outline(objects), 1.0, FILLED)
    parts = [((mask == number) * opacity, label) for number, label in enumerate(result.labels, 1)]
    colours = {label: "#{:02x}{:02x}{:02x}".format(*colour) for label, colour in label_colours(result.labels).items()}
    return gradio.AnnotatedImage(value=(np.broadcast_to(picture, (*mask.shape, 3)), parts), color_map=colours)


def _table(result: SegmentationPrediction) -> list[list[str]]:
    return [
        [label, "not counted" if region.count is None else str(region.count), region.size, region.percentage,
         f"{region.confidence:.2f}"]
        for label, region in result.regions.items()
    ]  # fmt: skip


def draw_nuclei(seed: int = 0) -> NDArray[np.uint8]:
    """Draw nuclei in fluorescence: bright ovals of uneven light on a dark ground; (256, 256)."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:256, :256].astype(float)
    light = np.full(rows.shape, 12.0)
    for place in np.ndindex(5, 5):
        row, column = 32 + 48 * np.array(place) + random.uniform(-8, 8, 2)
        stretch = random.uniform(0.8, 1.25)
        distance = np.hypot((rows - row) * stretch, (columns - column) / stretch)
        light += random.uniform(60, 150) / (1 + np.exp((distance - random.uniform(10, 15)) / 1.2))
    light += random.normal(0, 3, light.shape)
    return light.clip(0, 255).round().astype(np.uint8)
