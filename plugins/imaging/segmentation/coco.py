"""COCO's files: pictures whose objects are outlined by polygons or given as run lengths."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhub.data import Table
from medhub.errors import InputError, LabelError, suggest

from ..files import read_image
from ..rows import as_file, as_png, make_rows
from .rows import LABELS, as_labels

LISTS = ("images", "annotations", "categories")


def read_coco(path: Path) -> Table:
    """Read a COCO file; pictures stand where `file_name` says, from the file's folder or its folder images.

    Objects of one category are numbered, those of several are drawn as their categories; where two overlap, the later
    one lies on top. Raises InputError or LabelError, naming the file and the annotation.
    """
    content = _read(path)
    names = {category["id"]: category["name"] for category in sorted(content["categories"], key=lambda c: c["id"])}
    numbers = {category: number for number, category in enumerate(names, start=1)}
    of_image: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    known = {image["id"] for image in content["images"]}
    for place, annotation in enumerate(content["annotations"]):
        for key, allowed in (("image_id", known), ("category_id", numbers)):
            if annotation.get(key) not in allowed:
                raise LabelError(f"{_name(path, annotation, place)} has the {key} {annotation.get(key)!r}, which the "
                                 "file does not list; correct it")  # fmt: skip
        of_image[annotation["image_id"]].append({**annotation, "name": _name(path, annotation, place)})
    if not of_image:
        raise LabelError(f"{path} has no annotation; outline what is to be found")
    instances = len(names) == 1
    records = []
    for image in content["images"]:
        file = _file_of(path, image)
        objects = of_image[image["id"]]
        values = range(1, len(objects) + 1) if instances else [numbers[one["category_id"]] for one in objects]
        mask = _draw(objects, values, size=_size_of(path, image, file))
        group = f"image {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
        labels = as_labels(f"{file.stem}-mask.png", as_png(mask), instances=instances)
        records.append({"input": [as_file(file)], "labels": labels, "group": group, "modality": None})
    return Table(
        rows=make_rows(records, labels=LABELS), label_names=tuple(names.values()),
        notes=("The file names no patient: each picture is its own group, so that one patient's pictures may stand on "
               "two sides of a split.",),
    )  # fmt: skip


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return a file's three lists; raise InputError where one is missing, or lacks what every entry must have."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}; give a COCO file") from error
    for key, needed in zip(LISTS, (("id", "file_name"), (), ("id", "name")), strict=True):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            keys = [*content] if isinstance(content, dict) else []
            raise InputError(f"{path} has no list {key!r}{suggest(key, keys)} A COCO file has {', '.join(LISTS)}")
        for place, entry in enumerate(entries):
            if lacking := [field for field in needed if field not in entry]:
                raise InputError(f"{path}: entry {place} of {key} has no {lacking[0]!r}; add it")
    return content


def _file_of(path: Path, image: Mapping[str, Any]) -> Path:
    for folder in (path.parent, path.parent / "images"):
        if (file := folder / image["file_name"]).is_file():
            return file
    raise InputError(f"{path}: there is no file {image['file_name']}; put it beside {path.name}, or into images there")


def _size_of(path: Path, image: Mapping[str, Any], file: Path) -> tuple[int, int]:
    """Return a picture's height and width; raise InputError where the file says something else."""
    height, width = read_image(file).pixels.shape[1:3]
    told = (image.get("height", height), image.get("width", width))
    if told != (height, width):
        raise InputError(
            f"{file} has {height} by {width} pixels, but {path} says {told[0]} by {told[1]}; was it resized?"
        )
    return height, width


def _draw(objects: Sequence[Mapping[str, Any]], values: Sequence[int], *, size: tuple[int, int]) -> NDArray[np.uint16]:
    """Write each object's value into an empty map (height, width)."""
    mask = np.zeros(size, np.uint16)
    for annotation, value in zip(objects, values, strict=True):
        shape, name = annotation.get("segmentation"), annotation["name"]
        mask[_runs(shape, name, size) if isinstance(shape, dict) else _polygons(shape, name, size)] = value
    return mask


def _polygons(shape: Any, name: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels have their centre in one of an object's polygons, each a list x, y, x, y ..."""
    from skimage.draw import polygon

    inside = np.zeros(size, bool)
    if not isinstance(shape, list) or not shape:
        raise LabelError(f"{name} has no segmentation; give polygons or run lengths")
    for corners in shape:
        points = np.asarray(corners, dtype=object).ravel()
        if len(points) < 6 or len(points) % 2 or not all(isinstance(value, int | float) for value in points):
            raise LabelError(f"{name} has a polygon of {len(points)} values; give x and y of at least three corners")
        columns, rows = points.astype(float).reshape(-1, 2).T - 0.5  # a pixel's centre is half a pixel inside it
        inside[polygon(rows, columns, size)] = True
    return inside


def _runs(shape: Mapping[str, Any], name: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels of run lengths: down the columns, in turn outside and inside the object."""
    counts = shape.get("counts")
    if not isinstance(counts, list):
        raise LabelError(
            f"{name} has compressed run lengths; decode them with pycocotools and write the counts as a list"
        )
    if shape.get("size") != [*size] or sum(counts) != size[0] * size[1]:
        raise LabelError(f"{name} has run lengths of {sum(counts)} pixels for a size of {shape.get('size')}, but its "
                         f"picture has {size[0]} by {size[1]}")  # fmt: skip
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(size[::-1]).T


def _name(path: Path, annotation: Mapping[str, Any], place: int) -> str:
    return f"{path}: annotation {annotation.get('id', f'number {place + 1}')}"
