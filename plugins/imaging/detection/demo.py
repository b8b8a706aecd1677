"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ..files import read_image
from ..image import Image
from .data import synthetic
from .results import DetectionPrediction


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    # browsers know no type of these files, so that only their names can be asked for, and DICOM often has none
    return [gradio.File(label="One image: PNG, JPEG, DICOM, NIfTI", type="filepath")]


def raw(file: str | None) -> Image:
    """Turn the uploaded file into one input."""
    return read_image(file or [])


def examples() -> dict[str, list[Any]]:
    """Return a drawn blood smear and two made-up images, as files in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    smear = folder / "drawn-blood-smear.png"
    PIL.Image.fromarray(draw_smear()).save(smear)
    rows = {"a blood smear, drawn": [str(smear)]}
    for number, row in enumerate(synthetic(size=2).rows, start=1):
        (file,) = row["input"]
        path = folder / file["path"]
        path.write_bytes(file["bytes"])
        rows[f"discs and squares {number}, made up"] = [str(path)]
    return rows


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the picture of the explanation."""
    import gradio

    return [
        gradio.Image(
            label="What is found, and how probably",
            interactive=False,
            format="png",
            buttons=["download", "fullscreen"],
            alt_text="The image with a box around each object; a table counts them",
        ),
        gradio.Dataframe(
            label="Counts: found, and expected as the sum of all probabilities",
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


def draw_smear(seed: int = 3) -> NDArray[np.uint8]:
    """Draw a blood smear: pale red discs, platelets, and a white cell with a lobed nucleus; (480, 640, 3)."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:480, :640].astype(float)
    image = np.full((480, 640, 3), (222.0, 208.0, 214.0))

    def blend(shape: NDArray[np.floating], colour: tuple[float, float, float]) -> None:
        image[:] = image + shape[..., None] * (np.array(colour) - image)

    def distance(row: float, column: float, stretch: float = 1.0) -> NDArray[np.floating]:
        return np.hypot((rows - row) * stretch, (columns - column) / stretch)

    def disc(row: float, column: float, radius: float, stretch: float = 1.0) -> NDArray[np.floating]:
        return 1 / (1 + np.exp((distance(row, column, stretch) - radius) / 1.5))

    places: list[tuple[float, float]] = [(240.0, 330.0)]
    while len(places) < 14:
        place = (random.uniform(50, 430), random.uniform(50, 590))
        if min(np.hypot(place[0] - row, place[1] - column) for row, column in places) > 110:
            places.append(place)
    for row, column in places[1:10]:
        stretch = random.uniform(0.92, 1.08)
        blend(0.75 * disc(row, column, 48, stretch), (196, 140, 150))
        blend(0.45 * disc(row, column, 22, stretch), (222, 190, 196))
    for row, column in places[10:]:
        blend(0.9 * disc(row, column, 13), (130, 90, 160))
    row, column = places[0]
    blend(0.7 * disc(row, column, 72), (190, 170, 205))
    for angle in (0.3, 2.2, 4.2):
        blend(0.95 * disc(row + 26 * np.sin(angle), column + 26 * np.cos(angle), 30), (95, 55, 140))
    image += random.normal(0, 4, image.shape)
    return image.clip(0, 255).round().astype(np.uint8)
