"""Where the rows come from: three public data sets, the user's own images, and volumes made up for tests.

Every row's `input` is a list of files: one, or the slices of a volume; its `labels` are a label map of the same size.
`group` is what must not stand on two sides of a split: the patient where known, otherwise what shows one field of view.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medhub.data import File, Source, Table

from .. import dsb2018, hippocampus
from ..crops import crop_groups
from ..rows import as_file, as_png, make_rows
from .own import own_files
from .rows import LABELS, as_labels

__all__ = ["DATASETS", "own_files", "synthetic"]

TILE = 128
"""Pixels of a side of the tiles into which stardist's one picture is cut."""


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make NIfTI volumes of about 12 slices of 24 by 24 voxels, two each of made-up patients: an organ with a lesion.

    Both labels stand in the middle slice too, which is what networks for pictures get. A voxel is 2 by 1 by 1 mm; every
    second patient's volumes run the other way along the body's left-right axis on the disk.
    """
    random = np.random.default_rng(seed)
    records = []
    for number in range(size):
        patient = number // 2
        volume, mask = _phantom(random)
        affine = np.diag([(-1.0, 1.0)[patient % 2], 1.0, 2.0, 1.0])
        affine[:3, 3] = random.uniform(-60, 60, 3).round(1)
        records.append({
            "input": [as_file(f"study-{number}.nii", _nifti(volume, affine))],
            "labels": as_labels(f"study-{number}-labels.nii", _nifti(mask, affine)),
            "group": f"patient {patient}", "modality": "OT",
        })  # fmt: skip
    return Table(rows=make_rows(records, labels=LABELS), label_names=("organ", "lesion"))


def _phantom(random: np.random.Generator) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Draw a grey ellipsoid with a bright ball inside; return the volume and its labels (columns, rows, slices)."""
    shape = random.integers((22, 22, 10), (27, 27, 15))
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij"))
    organ = ((grid / random.uniform(0.65, 0.85, (3, 1, 1, 1))) ** 2).sum(0) < 1
    centre = np.append(random.uniform(-0.3, 0.3, 2), random.uniform(-0.15, 0.15)).reshape(3, 1, 1, 1)
    lesion = organ & (((grid - centre) ** 2).sum(0) < 0.35**2)
    volume = 20 + 60 * organ + 80 * lesion + random.normal(0, 8, shape)
    return volume.round().astype(np.int16), organ.astype(np.uint8) + lesion


def _nifti(values: NDArray, affine: NDArray) -> bytes:
    import nibabel

    return nibabel.Nifti1Image(values, affine).to_bytes()


def _pixels(path: Path) -> NDArray:
    """Return the pixels of a PNG or TIFF file as they are stored."""
    import PIL.Image

    with PIL.Image.open(path) as picture:
        return np.asarray(picture)


def _load_dsb2018(paths: Mapping[str, Path]) -> Table:
    """Make a row of every picture; crops of one field of view share a group."""
    with paths["index.csv"].open(encoding="utf-8", newline="") as file:
        names = [record["id"] for record in csv.DictReader(file) if record["kind"] == "fluorescence"]
    images = [paths[f"images/{name}.png"] for name in names]
    fields = crop_groups([*map(_pixels, images)])
    records = [
        {"input": [as_file(image)], "labels": as_labels(paths[f"masks/{name}.png"], instances=True),
         "group": f"field {field}", "modality": "GM"}
        for name, image, field in zip(names, images, fields, strict=True)
    ]  # fmt: skip
    return Table(
        rows=make_rows(records, labels=LABELS), label_names=("nucleus",),
        notes=("Most pictures are crops of larger ones: crops whose borders continue each other are kept together "
               "(541 pictures show 244 fields of view). Crops of one field that do not touch are not recognised.",
               "Nobody says which pictures are of one experiment: pictures of the same cells, stain and microscope "
               "stand on both sides of the split, as in the published splits of these data.",
               "Fluorescence only: the tissue stains of the 2018 Data Science Bowl are left out."),
    )  # fmt: skip


def _load_hippocampus(paths: Mapping[str, Path]) -> Table:
    """Make a row of every case; cases 2k - 1 and 2k, which seem to be of one person, share a group."""
    records = []
    for name in sorted(name for name in paths if name.startswith("images/")):
        records.append({
            "input": [as_file(paths[name])], "labels": as_labels(paths[name.replace("images/", "labels/")]),
            "group": hippocampus.pair_of(name), "modality": "MR",
        })  # fmt: skip
    return Table(
        rows=make_rows(records, labels=LABELS), label_names=("anterior", "posterior"),
        notes=("Licence CC BY-SA 4.0: give a model trained on it the same licence.",
               "T1-weighted MRI of healthy adults and of adults with a psychotic disorder, cut to the region around "
               "one hippocampus, all lying the same way; the volumes are not on one scale of intensity.",
               hippocampus.NOTE),
    )  # fmt: skip


def _load_stardist(paths: Mapping[str, Path]) -> Table:
    """Make a row of each of 16 tiles of the one picture; TIFF is turned into PNG, which keeps the 16 bits."""
    picture, mask = (_pixels(paths[name]) for name in ("img2d.tif", "mask2d.tif"))
    records = []
    for top in range(0, len(picture), TILE):
        for left in range(0, picture.shape[1], TILE):
            name, tile = f"tile-{top}-{left}", np.s_[top : top + TILE, left : left + TILE]
            records.append({
                "input": [as_file(f"{name}.png", as_png(picture[tile]))],
                "labels": as_labels(f"{name}-objects.png", as_png(mask[tile]), instances=True),
                "group": name, "modality": "GM",
            })  # fmt: skip
    return Table(
        rows=make_rows(records, labels=LABELS), label_names=("nucleus",),
        notes=("Tiles of a single picture, for a first run without the mirror: figures on it say nothing about another "
               "picture.",),
    )  # fmt: skip


DATASETS: dict[str, Source] = {
    "dsb2018": dsb2018.declare("every nucleus outlined", _load_dsb2018),
    "hippocampus": hippocampus.declare(
        "hippocampus",
        "MSD-Task04",
        "Hippocampus: brain MRI with its anterior and posterior part (Medical Segmentation Decathlon)",
        _load_hippocampus,
    ),
    "stardist-example": Source(
        name="stardist-example",
        version="0.9.2",
        title="StarDist's example: one picture of nuclei in 16 tiles, for a first run",
        files=(
            File(
                name="img2d.tif",
                sha256="f9ccc1571b92c861ff87e28463068b43f61bd47357ed0503f711e5cd1eb97750",
                bytes=524544,
                wheel="stardist==0.9.2",
                member="stardist/data/images/img2d.tif",
            ),
            File(
                name="mask2d.tif",
                sha256="59ad5e820b7982ca9d13e946fa6e7f64e2714899e00a2ae6c69aa79aad53d46f",
                bytes=524544,
                wheel="stardist==0.9.2",
                member="stardist/data/images/mask2d.tif",
            ),
        ),
        licence="BSD-3-Clause (the package's)",
        citation="Schmidt et al., Cell detection with star-convex polygons, MICCAI (2018)",
        homepage="https://github.com/stardist/stardist",
        group_by="tile",
        load=_load_stardist,
        splits=("group",),
    ),
}
