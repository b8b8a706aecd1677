"""Draw docs/imaging-*.png and docs/ehr-*.png: a prediction of each task, on inputs that any machine can have.

Two pictures come from wheels on PyPI (StarDist's example of nuclei, BSD-3-Clause; the MNI152 brain that nilearn
carries, an average of 152 people); the ultrasound scan and the blood smear are drawn here, since no wheel holds one.
The patients are the invented ones of the demos. Run: python docs/pictures.py
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import PIL.Image
from numpy.typing import NDArray

import medhub
from medhub.data import File, Source

DOCS = Path(__file__).resolve().parent
WIDTH = 760
"""Pixels to which a picture is brought for the page."""

BRAIN = Source(
    name="mni152",
    version="2009a",
    title="MNI152, an average brain",
    files=(
        File(
            name="brain.nii.gz",
            sha256="421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
            bytes=1617531,
            wheel="nilearn==0.14.1",
            member="nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
        ),
    ),
    licence="free with its notice (Fonov et al.)",
    citation="Fonov et al., Unbiased average age-appropriate atlases for pediatric studies, NeuroImage 54:313 (2011)",
    homepage="https://nilearn.github.io",
    group_by="brain",
    load=lambda paths: NotImplemented,
    splits=("group",),
)
"""Only fetched, never loaded as rows."""
HIPPOCAMPUS = ((-46, -10), (-46, 4), (-32, 4))
"""Millimetres from left to right, back to front and feet to head, around the left one (MNI coordinates)."""


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        for name, model, raw in (
            ("imaging-classification", "breast-ultrasound", draw_scan()),
            ("imaging-detection", "blood-cells-yolo", draw_smear()),
            ("imaging-segmentation", "nuclei-unet", nuclei()),
            ("imaging-segmentation-volume", "hippocampus-unet3d", hippocampus(Path(folder))),
            ("ehr-prediction", "icu-mortality", invented_patient("ehr/prediction", 1)),
            ("ehr-recommendation", "diabetes-treatment", invented_patient("ehr/recommendation", 0)),
            ("ehr-clustering", "patient-groups", invented_patient("ehr/clustering", 0)),
        ):
            result = medhub.from_pretrained(model, device="cpu").predict(raw, explain=True)
            picture = result.to_picture()
            picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)))
            picture.quantize(128).save(DOCS / f"{name}.png", optimize=True)


def invented_patient(task: str, number: int) -> Any:
    """Return one of the examples of a task's demo."""
    demo = medhub.get(task).module("demo")
    return demo.raw(*demo.examples()[number])


def nuclei() -> PIL.Image.Image:
    """Return StarDist's example picture."""
    path = medhub.get("imaging/segmentation").source("stardist-example").fetch()["img2d.tif"]
    return PIL.Image.open(io.BytesIO(path.read_bytes()))


def hippocampus(folder: Path) -> Path:
    """Return a file with the region of the MNI152 brain around its left hippocampus."""
    brain = nibabel.as_closest_canonical(nibabel.load(BRAIN.fetch()["brain.nii.gz"]))
    corners = nibabel.affines.apply_affine(np.linalg.inv(brain.affine), np.transpose(HIPPOCAMPUS)).round().astype(int)
    part = brain.slicer[tuple(slice(*ends) for ends in corners.T)]
    path = folder / "left-hippocampus-of-mni152.nii.gz"
    nibabel.save(part, path)
    return path


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
