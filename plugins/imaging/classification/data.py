"""Where the rows come from: three public data sets, the user's own images, and images made up for tests.

Every row's `input` is a list of files: one, or the slices of a volume. `group` is what must not stand on two sides of a
split: the patient where known, otherwise what shows one picture. `modality` is DICOM's code, None where unknown.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from medhub.data import File, Source, Table

from .. import hippocampus
from ..files import read_image
from ..rows import CLASS, as_file, as_png, make_rows
from .own import own_files

__all__ = ["DATASETS", "own_files", "synthetic"]

NEAR = 40
"""Bits of 256 in which two scans' fingerprints differ at most when they show one sight; the distances of BUSI's pairs
have a gap there, and leave 613 clusters of scans of 600 women."""
MEDIAN_VOLUME = 3.3265
"""Millilitres of hippocampus in the median of the 260 cases of the Medical Segmentation Decathlon."""


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make volumes of 3 to 6 slices of 28 by 28 pixels, two each of made-up patients: some have a bright lesion.

    It shows in the middle slices, so that a network for pictures, which gets the middle one, finds it too.
    """
    random = np.random.default_rng(seed)
    records = []
    for number in range(size):
        label = number // 2 % 2
        slices = [as_png(plane) for plane in _phantom(random, lesion=bool(label))]
        files = [as_file(f"study-{number}-{place}.png", data) for place, data in enumerate(slices)]
        records.append({"input": files, "labels": label, "group": f"patient {number // 2}", "modality": "OT"})
    return Table(rows=make_rows(records, labels=CLASS), label_names=("normal", "lesion"))


def _phantom(random: np.random.Generator, *, lesion: bool) -> NDArray[np.uint8]:
    """Draw an ellipse of tissue with noise (slices, 28, 28), and a lesion in the middle slices."""
    slices = int(random.integers(3, 7))
    rows, columns = np.mgrid[-1:1:28j, -1:1:28j]
    body = (rows / random.uniform(0.75, 0.95)) ** 2 + (columns / random.uniform(0.65, 0.85)) ** 2 < 1
    volume = np.tile(30.0 + 70.0 * body, (slices, 1, 1))
    row, column = random.uniform(-0.45, 0.45, 2)
    if lesion:
        spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 0.13**2))
        depth = np.exp(-((np.arange(slices) - slices // 2) ** 2) / 2.0)
        volume += 130 * depth[:, None, None] * spot
    return (volume + random.normal(0, 8, volume.shape)).clip(0, 255).round().astype(np.uint8)


def _load_pneumoniamnist(paths: Mapping[str, Path]) -> Table:
    """Make a row of every image; of images that stand in two parts only the later part's is kept."""
    with np.load(paths["pneumoniamnist.npz"]) as archive:
        parts = {part: (archive[f"{key}_images"], archive[f"{key}_labels"][:, 0])
                 for part, key in (("test", "test"), ("validation", "val"), ("train", "train"))}  # fmt: skip
    part_of: dict[str, str] = {}
    records: list[dict] = []
    dropped: dict[str, int] = defaultdict(int)
    for part, (images, labels) in parts.items():
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            group = hashlib.sha256(pixels.tobytes()).hexdigest()[:16]
            if (other := part_of.setdefault(group, part)) != part:
                dropped[f"image of {part} that also stands in {other}"] += 1
                continue
            files = [as_file(f"{part}-{number}.png", as_png(pixels))]
            records.append({"input": files, "labels": int(label), "group": group, "modality": "DX", "split": part})
    return Table(
        rows=make_rows(records, labels=CLASS), label_names=("normal", "pneumonia"), dropped=dict(dropped),
        notes=("Children of one to five years at one hospital in Guangzhou.",
               "The images bear no patient; the official validation images were drawn from the training patients' "
               "images, the test images are of other patients, with a smaller share of pneumonia."),
    )  # fmt: skip


def _load_busi(paths: Mapping[str, Path]) -> Table:
    """Make a row of every scan; scans that are one picture, nearly or exactly, share a group."""
    labels = ("benign", "malignant", "normal")
    scans = {name: path for name, path in sorted(paths.items()) if name.endswith(".png")}
    label_of = {name: labels.index(PurePosixPath(name).parent.name) for name in scans}
    clusters = _near_duplicates([*scans.values()])
    twins: dict[str, list[str]] = defaultdict(list)
    for name, path in scans.items():
        twins[hashlib.sha256(path.read_bytes()).hexdigest()].append(name)
    disputed = {name for names in twins.values() for name in names if len({label_of[name] for name in names}) > 1}
    records = [
        {"input": [as_file(path)], "labels": label_of[name], "group": f"cluster {cluster}", "modality": "US"}
        for (name, path), cluster in zip(scans.items(), clusters, strict=True)
        if name not in disputed
    ]
    return Table(
        rows=make_rows(records, labels=CLASS), label_names=labels,
        dropped={"scan that stands under two labels": len(disputed)} if disputed else {},
        notes=("The scans bear no patient; near duplicates, found by a fingerprint, are kept together instead.",
               "Known leak: calipers and text are burnt into some scans, and sonographers measure lesions, so that the "
               "marks betray the label. No scan was left out for them.",
               "The scans were resized to 256 by 256 pixels without keeping their proportions."),
    )  # fmt: skip


def _near_duplicates(paths: list[Path]) -> list[int]:
    """Return a cluster number a picture: pictures are linked when fingerprints differ in `NEAR` bits or fewer.

    The fingerprint says of each of 16 by 16 places whether it is brighter than its left neighbour (difference hash).
    """
    import PIL.Image
    from sklearn.cluster import DBSCAN

    small = [np.asarray(PIL.Image.open(path).convert("L").resize((17, 16), PIL.Image.Resampling.BOX)) for path in paths]
    bits = np.stack([(plane[:, 1:] > plane[:, :-1]).ravel() for plane in small])
    # with single points as cores, DBSCAN's clusters are the connected components
    return DBSCAN(eps=NEAR / bits.shape[1] + 1e-9, min_samples=1, metric="hamming").fit_predict(bits).tolist()


def _load_hippocampus(paths: Mapping[str, Path]) -> Table:
    """Make a row of every volume; its mask, which no row holds, tells how large the hippocampus in it is."""
    records = []
    for name, path in sorted(paths.items()):
        if name.startswith("images/"):
            case = PurePosixPath(name).name.removesuffix(".nii.gz")
            smaller = _millilitres(paths[f"labels/{case}.nii.gz"]) < MEDIAN_VOLUME
            records.append({
                "input": [as_file(path)], "labels": int(smaller), "group": hippocampus.pair_of(name), "modality": "MR",
            })  # fmt: skip
    return Table(
        rows=make_rows(records, labels=CLASS), label_names=("larger", "smaller"),
        notes=(f"The label is made from the masks: whether the hippocampus, its two parts together, has less than "
               f"{MEDIAN_VOLUME} ml, the median of all cases. It is no diagnosis, and knows no age, sex or head size.",
               "Each volume was cut out around a hippocampus: logistic regression on the number of voxels along the "
               "three axes alone reaches an AUROC of .78 in cross-validation of the training and validation rows. "
               "Look at the baseline of size and brightness before believing a network that reaches the same.",
               "All volumes are stored as one side, so that left and right cannot be told apart.",
               hippocampus.NOTE),
    )  # fmt: skip


def _millilitres(mask: Path) -> float:
    """Return the volume of what a mask marks."""
    image = read_image(mask)
    assert image.spacing is not None  # NIfTI always tells it
    return float((image.pixels > 0).sum() * np.prod(image.spacing)) / 1000


DATASETS: dict[str, Source] = {
    "pneumoniamnist": Source(
        name="pneumoniamnist",
        version="2",
        title="PneumoniaMNIST: chest X-rays of children, 28 by 28 pixels",
        files=(
            File(
                name="pneumoniamnist.npz",
                sha256="f3e42a89f914e8c4f34809f29e7278e95cf0f281e8f1e696c3cb256748d90bfb",
                bytes=4157799,
            ),
        ),
        licence="CC BY 4.0",
        citation="Yang et al., MedMNIST v2, Scientific Data 10:41 (2023); Kermany et al., Cell 172:1122 (2018)",
        homepage="https://medmnist.com",
        group_by="image",
        load=_load_pneumoniamnist,
        splits=("official", "group"),
    ),
    "busi": Source(
        name="busi",
        version="2020-256",
        title="BUSI: breast ultrasound, 256 by 256 pixels",
        files=(
            File(
                name="SHA256SUMS",
                sha256="a031b361fa62933a3559a3710026ab3ad6542d9d543ec544046b782e5270285f",
                bytes=72778,
                manifest=True,
            ),
        ),
        licence="CC BY 4.0 (the article's; the images carry no licence file)",
        citation="Al-Dhabyani et al., Dataset of breast ultrasound images, Data in Brief 28:104863 (2020)",
        homepage="https://scholar.cu.edu.eg/?q=afahmy/pages/dataset",
        group_by="near duplicates",
        load=_load_busi,
        splits=("group",),
    ),
    "hippocampus-volume": hippocampus.declare(
        "hippocampus-volume",
        "msd04-1",
        "Hippocampus volume: MRI volumes of 35 by 50 by 36 voxels of 1 mm, above or below the median volume",
        _load_hippocampus,
    ),
}
