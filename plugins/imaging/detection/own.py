"""The user's own images and boxes: Pascal VOC's XML files, COCO's JSON file, or YOLO's label files."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from medhub.data import Table
from medhub.errors import InputError, LabelError, suggest

from ..dicom import Header, read_header
from ..files import read_image
from ..rows import as_file, make_rows
from .rows import LABELS, as_labels

SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm")
CLASS_FILES = ("classes.txt", "data.yaml")
LAYOUTS = ("a folder with VOC's .xml files, COCO's .json file, or a folder with YOLO's .txt files and classes.txt or "
           "data.yaml")  # fmt: skip
ROUNDING = 1.0
"""Pixels by which a box may leave the image: tools round, and some count pixels from 1."""


@dataclass(frozen=True, kw_only=True)
class Object:
    """One annotated object."""

    label: str
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels."""
    place: str
    """Where it stands, for errors: file and line, object or annotation."""

    @property
    def has_area(self) -> bool:
        """Whether the box is wider and higher than nothing; not a number is neither."""
        return self.box[2] > self.box[0] and self.box[3] > self.box[1]


@dataclass(frozen=True, kw_only=True)
class _Picture:
    image: Path
    size: tuple[int, int]
    objects: Sequence[Object]


def own_files(path: str | Path) -> Table:
    """Read images with boxes in one of the layouts of VOC, COCO and YOLO.

    VOC: a folder with .xml files, or one with Annotations/ and Images/ (or JPEGImages/). COCO: the .json file, which
    names images beside it or in images/ beside it or its folder. YOLO: a folder with .txt files, or one with labels/
    and images/, and classes.txt (a name a line) or data.yaml. DICOM's patient number groups the images, any other image
    is its own group. Raises InputError or LabelError, naming the file and the line, object or annotation.
    """
    path = Path(path)
    dropped: dict[str, int] = defaultdict(int)
    names, pictures = _read(path, dropped)
    if not pictures:
        raise InputError(f"{path} names no image; give {LAYOUTS}")
    return _table(names, pictures, dropped)


def _read(path: Path, dropped: dict[str, int]) -> tuple[tuple[str, ...], list[_Picture]]:
    """Return the names of the classes, and the images with their objects."""
    if path.suffix.lower() == ".json" and path.is_file():
        return _coco(path, dropped)
    if not path.is_dir():
        fault = "cannot be read" if path.exists() else "is not there"
        raise InputError(f"{path} {fault}; give {LAYOUTS}")
    annotations = _folder(path, "Annotations")
    if files := sorted(annotations.glob("*.xml")):
        pictures = [_voc(file, path) for file in files]
        _count_unlabelled(path, ("Images", "JPEGImages"), pictures, dropped)
        return tuple(sorted({each.label for picture in pictures for each in picture.objects})), pictures
    if any((path / name).is_file() for name in CLASS_FILES):
        return _yolo(path, dropped)
    raise InputError(f"{path} holds neither .xml files nor {' or '.join(CLASS_FILES)}; give {LAYOUTS}")


# -- Pascal VOC --


def read_voc(file: Path) -> tuple[str, tuple[int, int] | None, list[Object]]:
    """Return the image's name, its stated height and width, and the objects of one of VOC's XML files.

    Numbers are taken as the edges of boxes, as annotation tools write them; raises LabelError, naming the object.
    """
    try:
        root = ElementTree.parse(file).getroot()
        width, height = (root.findtext(f"size/{name}") for name in ("width", "height"))
        size = (int(height), int(width)) if width and height else None
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise LabelError(f"{file} cannot be read as VOC's XML: {error}; write it again") from error
    objects = []
    for number, node in enumerate(root.iter("object"), start=1):
        place = f"{file}, object {number}"
        label = (node.findtext("name") or "").strip()
        if not label:
            raise LabelError(f"{place}: there is no name; name the object's class")
        corners = [node.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
        objects.append(Object(label=label, box=_numbers(corners, place), place=place))
    return Path(root.findtext("filename") or f"{file.stem}.jpg").name, size, objects


def _voc(file: Path, folder: Path) -> _Picture:
    name, size, objects = read_voc(file)
    places = [file.parent, folder, folder / "Images", folder / "JPEGImages"]
    image = next((place / name for place in places if (place / name).is_file()), None) or _beside(file.stem, places)
    if image is None:
        raise InputError(f"{file}: there is no image {name} beside it, in Images or in JPEGImages; add it or remove "
                         f"{file.name}")  # fmt: skip
    return _Picture(image=image, size=_measure(image, stated=size, place=str(file)), objects=objects)


# -- COCO --


def _coco(file: Path, dropped: dict[str, int]) -> tuple[tuple[str, ...], list[_Picture]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        categories = {category["id"]: str(category["name"]) for category in content["categories"]}
        images = {image["id"]: image for image in content["images"]}
        annotations = [*content["annotations"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not COCO's JSON ({error!r}); it needs images, annotations and categories, each "
                         "with its id") from error  # fmt: skip
    objects: dict[Any, list[Object]] = defaultdict(list)
    for number, annotation in enumerate(annotations, start=1):
        place = f"{file}, annotation {annotation.get('id', f'number {number}')}"
        image, category = annotation.get("image_id"), annotation.get("category_id")
        if image not in images:
            raise LabelError(f"{place}: there is no image with the id {image!r}; correct image_id")
        if category not in categories:
            raise LabelError(f"{place}: there is no category with the id {category!r}; ids: {[*categories]}")
        if annotation.get("iscrowd"):
            dropped["region of a crowd, which is no object"] += 1
            continue
        left, top, width, height = _numbers(annotation.get("bbox") or [], place)
        box = (left, top, left + width, top + height)
        objects[image].append(Object(label=categories[category], box=box, place=place))
    pictures = [_coco_picture(file, image, objects[id]) for id, image in images.items()]
    return tuple(categories[id] for id in sorted(categories)), pictures


def _coco_picture(file: Path, image: dict[str, Any], objects: Sequence[Object]) -> _Picture:
    place, name = f"{file}, image {image['id']}", str(image.get("file_name", ""))
    folders = (file.parent, file.parent / "images", file.parent.parent / "images")
    path = next((folder / name for folder in folders if name and (folder / name).is_file()), None)
    if path is None:
        raise InputError(f"{place}: there is no file {name!r} beside the JSON file or in images; correct file_name")
    stated = (image["height"], image["width"]) if image.get("height") and image.get("width") else None
    return _Picture(image=path, size=_measure(path, stated=stated, place=place), objects=objects)


# -- YOLO --


def _yolo(folder: Path, dropped: dict[str, int]) -> tuple[tuple[str, ...], list[_Picture]]:
    names = _class_names(folder)
    files = [file for file in sorted(_folder(folder, "labels").glob("*.txt")) if file.name not in CLASS_FILES]
    pictures = [_yolo_picture(file, folder, names) for file in files]
    _count_unlabelled(folder, ("images",), pictures, dropped)
    return names, pictures


def _class_names(folder: Path) -> tuple[str, ...]:
    path = next(folder / name for name in CLASS_FILES if (folder / name).is_file())
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".txt":
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    import yaml

    try:
        names = yaml.safe_load(text)["names"]
        return tuple(map(str, names if isinstance(names, list) else [names[number] for number in range(len(names))]))
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(f"{path} has no list 'names' of classes ({error!r}); add it") from error


def _yolo_picture(file: Path, folder: Path, names: tuple[str, ...]) -> _Picture:
    image = _beside(file.stem, [file.parent, folder, folder / "images"])
    if image is None:
        raise InputError(f"{file}: there is no image {file.stem} beside it or in images; add it or remove {file.name}")
    height, width = size = _measure(image, stated=None, place=str(file))
    objects = []
    for line, text in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not text.strip():
            continue
        place = f"{file}, line {line}"
        number, *box = text.split()
        if not (number.isdecimal() and int(number) < len(names)):
            raise LabelError(f"{place}: there is no class {number!r}; give a number below {len(names)}, the number of "
                             "class names")  # fmt: skip
        x, y, across, down = _numbers(box, place)
        corners = ((x - across / 2) * width, (y - down / 2) * height, (x + across / 2) * width, (y + down / 2) * height)
        objects.append(Object(label=names[int(number)], box=corners, place=place))
    return _Picture(image=image, size=size, objects=objects)


# -- what the three share --


def _folder(path: Path, name: str) -> Path:
    return path / name if (path / name).is_dir() else path


def _beside(stem: str, folders: Sequence[Path]) -> Path | None:
    """Return the image called `stem` in the first folder that has one."""
    candidates = (folder / f"{stem}{suffix}" for folder in folders for suffix in (*SUFFIXES, *map(str.upper, SUFFIXES)))
    return next((path for path in candidates if path.is_file()), None)


def _count_unlabelled(path: Path, names: Sequence[str], pictures: Sequence[_Picture], dropped: dict[str, int]) -> None:
    """Count images without a label file: nobody said that they show nothing."""
    images = {file for folder in {_folder(path, name) for name in names} for file in _images(folder)}
    if unlabelled := len(images - {picture.image for picture in pictures}):
        dropped["image without a label file"] = unlabelled


def _images(folder: Path) -> Iterator[Path]:
    return (file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)


def _numbers(values: Sequence[Any], place: str) -> tuple[float, float, float, float]:
    try:
        first, second, third, fourth = map(float, values)
        if all(map(math.isfinite, (first, second, third, fourth))):
            return first, second, third, fourth
    except (TypeError, ValueError):
        pass
    raise LabelError(f"{place}: {values!r} is no box; give four numbers")


def _measure(image: Path, *, stated: tuple[int, int] | None, place: str) -> tuple[int, int]:
    """Return an image's height and width; raise InputError when it cannot be read, or differs from what is `stated`."""
    height, width = read_image(image).pixels.shape[1:3]
    if stated not in (None, (height, width)):
        raise InputError(f"{place} says that {image.name} has {stated[1]} by {stated[0]} pixels, but it has {width} by "
                         f"{height}; was it scaled or turned after it was annotated?")  # fmt: skip
    return height, width


def _table(names: tuple[str, ...], pictures: Sequence[_Picture], dropped: dict[str, int]) -> Table:
    if not names:
        raise LabelError(f"no image has an object, first of all {pictures[0].image.name}; there is nothing to learn")
    numbers: dict[str, int] = {}
    records, unknown = [], 0
    for picture in pictures:
        header = read_header(picture.image) or Header(patient=None, modality=None)
        if header.patient:  # a number of our own: the hospital's must not stand in a report
            group = f"patient {numbers.setdefault(header.patient, len(numbers) + 1)}"
        else:
            group, unknown = f"image {hashlib.sha256(picture.image.read_bytes()).hexdigest()[:16]}", unknown + 1
        boxes = [_inside(each, picture) for each in picture.objects]
        classes = [_class(each, names) for each in picture.objects]
        records.append({"input": [as_file(picture.image)], "labels": as_labels(classes, boxes, size=picture.size),
                        "group": group, "modality": header.modality})  # fmt: skip
    notes = (f"The patient of {unknown} of {len(pictures)} images is unknown: each is its own group, so that one "
             "patient's images may stand on two sides of a split.",)  # fmt: skip
    return Table(
        rows=make_rows(records, labels=LABELS), label_names=names, dropped=dropped, notes=notes if unknown else ()
    )


def _class(each: Object, names: tuple[str, ...]) -> int:
    if each.label not in names:
        near = suggest(each.label, names)
        raise LabelError(f"{each.place}: no class {each.label!r}{near} Classes: {', '.join(names)}")
    return names.index(each.label)


def _inside(each: Object, picture: _Picture) -> list[float]:
    """Return an object's box, cut to the image; raise LabelError when it has no area or leaves the image."""
    said = ", ".join(f"{value:g}" for value in each.box)
    height, width = picture.size
    if not each.has_area:
        raise LabelError(f"{each.place}: the box ({said}) has no area; correct or remove it")
    left, top, right, bottom = each.box
    if min(left, top) < -ROUNDING or right > width + ROUNDING or bottom > height + ROUNDING:
        raise LabelError(f"{each.place}: the box ({said}) leaves the image {picture.image.name}, which has {width} by "
                         f"{height} pixels; correct it")  # fmt: skip
    return [max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)]
