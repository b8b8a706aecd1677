"""Draw docs/imaging-*.png and docs/ehr-*.png: a prediction of each task, on inputs that any machine can have.

Two pictures come from wheels on PyPI (StarDist's example of nuclei, BSD-3-Clause; the MNI152 brain that nilearn
carries, an average of 152 people); the ultrasound scan and the blood smear are
those that the demos draw, since no wheel holds one, and the patients are the demos' invented ones.
Run: python docs/pictures.py
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import PIL.Image

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
    scan, smear = (medhub.get(f"imaging/{task}").module("demo") for task in ("classification", "detection"))
    with tempfile.TemporaryDirectory() as folder:
        for name, model, raw in (
            (
                "imaging-classification",
                "breast-ultrasound",
                scan.draw_scan(),
            ),
            ("imaging-detection", "blood-cells-yolo", smear.draw_smear()),
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
    return demo.raw(*[*demo.examples().values()][number])


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


if __name__ == "__main__":
    main()
