"""Where the rows come from: two public data sets, the user's own images, and images made up for tests.

Every row's `input` is a list with one file; its `labels` are the classes and boxes of the objects, in pixels of that
file, and the file's size. `group` is what must not stand on two sides of a split: the patient where known, otherwise
what shows one field of view.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medhub.data import File, Source, Table

from .. import dsb2018
from ..crops import crop_groups
from ..rows import as_file, as_png, make_rows
from .own import own_files, read_voc
from .rows import LABELS, as_labels

__all__ = ["DATASETS", "own_files", "synthetic"]

SIDE = 64
"""Height and width of made-up images."""


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make coloured images of 64 by 64 pixels with one to four objects: reddish discs and bluish squares."""
    random = np.random.default_rng(seed)
    records = []
    for number in range(size):
        pixels, classes, boxes = _draw_objects(random)
        records.append({
            "input": [as_file(f"image-{number}.png", as_png(pixels))],
            "labels": as_labels(classes, boxes, size=(SIDE, SIDE)), "group": f"image {number}", "modality": "OT",
        })  # fmt: skip
    return Table(rows=make_rows(records, labels=LABELS), label_names=("disc", "square"))


def _draw_objects(random: np.random.Generator) -> tuple[NDArray[np.uint8], list[int], list[list[int]]]:
    """Draw objects of 10 to 33 pixels that do not touch; return pixels, classes and boxes."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = np.full((SIDE, SIDE, 3), 210.0)
    free = np.ones((SIDE, SIDE), dtype=bool)
    classes: list[int] = []
    boxes: list[list[int]] = []
    wanted = random.integers(1, 5)
    for _ in range(50):  # tries; a place may be taken
        if len(boxes) == wanted:
            break
        side, label = int(random.integers(10, 34)), int(random.integers(2))
        left, top = random.integers(0, SIDE - side + 1, 2).tolist()
        around = np.s_[max(top - 1, 0) : top + side + 1, max(left - 1, 0) : left + side + 1]
        if not free[around].all():
            continue
        middle = (side - 1) / 2
        disc = (rows - top - middle) ** 2 + (columns - left - middle) ** 2 <= (side / 2) ** 2
        square = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
        image[(disc, square)[label]] = ((190, 70, 90), (90, 80, 180))[label]
        free[around] = False
        classes.append(label)
        boxes.append([left, top, left + side, top + side])
    image += random.normal(0, 8, image.shape)
    return image.clip(0, 255).round().astype(np.uint8), classes, boxes


def _load_cbc(paths: Mapping[str, Path]) -> Table:
    """Make a row of every image; of images that stand in two parts only the later part's is kept."""
    names = ("RBC", "WBC", "Platelets")
    part_of: dict[str, str] = {}
    records: list[dict] = []
    dropped: dict[str, int] = defaultdict(int)
    flat = []
    for part, folder in (("test", "Testing"), ("validation", "Validation"), ("train", "Training")):
        for name in sorted(name for name in paths if name.startswith(f"{folder}/Annotations/")):
            image = paths[name.replace("/Annotations/", "/Images/").replace(".xml", ".jpg")]
            group = hashlib.sha256(image.read_bytes()).hexdigest()[:16]
            if (other := part_of.setdefault(group, part)) != part:
                dropped[f"image of {part} that also stands in {other}"] += 1
                continue
            _, size, objects = read_voc(paths[name])
            assert size is not None  # every file states it
            whole = [each for each in objects if each.has_area]
            flat += [f"{image.stem} ({part})"] * (len(objects) - len(whole))
            labels = as_labels([names.index(each.label) for each in whole], [each.box for each in whole], size=size)
            records.append({"input": [as_file(image)], "labels": labels, "group": group, "modality": "SM",
                            "split": part})  # fmt: skip
    return Table(
        rows=make_rows(records, labels=LABELS), label_names=names, dropped=dict(dropped),
        notes=("Blood smears under one kind of light microscope, 640 by 480 pixels; the images bear no patient.",
               f"Boxes without area were left out, one each of {', '.join(flat)}.",
               "The annotators drew a box around most cells that the image's edge cuts, and left some cells out; red "
               "cells that overlap are divided differently from image to image."),
    )  # fmt: skip


def _load_dsb2018(paths: Mapping[str, Path]) -> Table:
    """Make a row of every picture, a box around each nucleus of its label map; crops of one field share a group."""
    import PIL.Image
    from scipy.ndimage import find_objects

    with paths["index.csv"].open(encoding="utf-8", newline="") as file:
        names = [record["id"] for record in csv.DictReader(file) if record["kind"] == "fluorescence"]
    images = [paths[f"images/{name}.png"] for name in names]
    fields = crop_groups([np.asarray(PIL.Image.open(image)) for image in images])
    records = []
    for name, image, field in zip(names, images, fields, strict=True):
        mask = np.asarray(PIL.Image.open(paths[f"masks/{name}.png"])).astype(np.int32)
        boxes = [[columns.start, rows.start, columns.stop, rows.stop]
                 for rows, columns in filter(None, find_objects(mask))]  # fmt: skip
        labels = as_labels([0] * len(boxes), boxes, size=mask.shape)
        records.append({"input": [as_file(image)], "labels": labels, "group": f"field {field}", "modality": "GM"})
    return Table(
        rows=make_rows(records, labels=LABELS), label_names=("nucleus",),
        notes=("Boxes are drawn around the outlined nuclei of the label maps.",
               "Most pictures are crops of larger ones: crops whose borders continue each other are kept together. "
               "Crops of one field that do not touch are not recognised.",
               "Pictures differ in size, and what is one pixel differs in micrometres; all are fitted into one size."),
    )  # fmt: skip


DATASETS: dict[str, Source] = {
    "cbc": Source(
        name="cbc",
        version="ac6f9ff",
        title="CBC: red cells, white cells and platelets in 360 blood smears",
        files=(
            File(
                name="SHA256SUMS",
                sha256="ef1a1ffd69a41ab8ae27c0412ffdf66a786a1cb2c2c7e485033eaa86868738ef",
                bytes=90578,
                manifest=True,
            ),
        ),
        licence="MIT",
        citation="Alam & Islam, Machine learning approach of automatic identification and counting of blood cells, "
        "Healthcare Technology Letters 6:103 (2019)",
        homepage="https://github.com/MahmudulAlam/Complete-Blood-Cell-Count-Dataset",
        group_by="image",
        load=_load_cbc,
        splits=("official", "group"),
    ),
    "dsb2018": dsb2018.declare("a box around every nucleus", _load_dsb2018),
}
