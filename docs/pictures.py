"""Draw docs/imaging-*.png: predictions on pictures that any machine can have.

StarDist's example of nuclei comes from its wheel on PyPI (BSD-3-Clause); the blood smear is drawn here, since no wheel
holds one. Run: python docs/pictures.py
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

import medhub

DOCS = Path(__file__).resolve().parent
WIDTH = 760
"""Pixels to which a picture is brought for the page."""


def main() -> None:
    """Write the pictures."""
    for name, model, raw in (
        ("detection", "blood-cells-yolo", draw_smear()), ("segmentation", "nuclei-unet", nuclei()),
    ):  # fmt: skip
        result = medhub.from_pretrained(model, device="cpu").predict(raw, explain=True)
        picture = result.to_picture()
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)))
        picture.quantize(128).save(DOCS / f"imaging-{name}.png", optimize=True)


def nuclei() -> PIL.Image.Image:
    """Return StarDist's example picture."""
    path = medhub.get("imaging/segmentation").source("stardist-example").fetch()["img2d.tif"]
    return PIL.Image.open(io.BytesIO(path.read_bytes()))


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


if __name__ == "__main__":
    main()
