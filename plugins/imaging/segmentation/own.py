"""The user's own images with label maps: two folders of equal names, or a COCO file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medhub.data import Table
from medhub.errors import InputError, LabelError, suggest

from ..dicom import Header, read_header
from ..files import read_image
from ..image import Image
from ..pictures import from_array
from ..rows import as_file, as_png, make_rows
from .coco import read_coco
from .grids import mask_on
from .rows import LABELS, as_labels

MASKS = (".png", ".nii.gz", ".nii")
SUFFIXES = (*MASKS, ".jpg", ".jpeg", ".dcm", ".dicom")
UNKNOWN = "image"
"""How the group of an image begins whose patient is unknown."""
MOST_LABELS = 32
"""Numbers in masks up to which they may stand for labels that nobody names; more are probably those of objects."""


@dataclass(frozen=True, kw_only=True)
class _Pair:
    name: str
    """The mask's path in its folder, without the suffix."""
    image: Path
    """One file, or the folder of a DICOM series."""
    mask: Path


def own_files(path: str | Path) -> Table:
    """Read a folder with the folders images and masks, or a COCO file (.json) with polygons or run lengths.

    A mask (PNG or NIfTI) has the name of its image (PNG, JPEG, DICOM, NIfTI; a folder is a DICOM series) and a number
    for each of its pixels: 0 for background, else the label's line in labels.txt, or its place in the list labels.json.
    Where only one label is named, larger numbers are those of single objects; without names, labels are "label 1" and
    so on. A folder inside images and masks holds one patient's. Raises InputError or LabelError, naming the file.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise InputError(f"there is no file or folder {path}; check the path")
    if path.suffix.lower() != ".json":
        raise InputError(f"{path} is no COCO file; give a .json file, or a folder with the folders images and masks")
    return read_coco(path)


def _read_folder(folder: Path) -> Table:
    images = _by_name(folder / "images", folders=True)
    pairs = [*_pairs(folder, images)]
    found = sorted(set().union(*(_numbers(pair) for pair in pairs)))
    named = _label_names(folder)
    black_and_white = found[-1] == 255 and found[:-1] in ([], [0]) and len(named or "1") == 1
    highest = 1 if black_and_white else found[-1]
    names = named or _numbered(folder, highest)
    instances = len(names) == 1 and highest > 1
    if highest == 0:
        raise LabelError(f"all masks of {folder} are 0, which is background; number what you marked from 1")
    if highest > len(names) and not instances:
        raise LabelError(f"the masks of {folder} hold the number {highest}, but it names {len(names)} labels: "
                         f"{', '.join(names)}; name the others too")  # fmt: skip
    numbers: dict[str, int] = {}
    groups = [_group(pair, numbers) for pair in pairs]
    records = [
        {"input": [as_file(file) for file in _files_of(pair.image)], "group": group,
         "labels": _as_labels(pair, black_and_white=black_and_white, instances=instances),
         "modality": _header(pair).modality}
        for pair, group in zip(pairs, groups, strict=True)
    ]  # fmt: skip
    unknown = sum(group.startswith(UNKNOWN) for group in groups)
    note = (
        f"The patient of {unknown} of {len(records)} images is unknown: each is its own group, so that one patient's "
        "images may stand on two sides of a split. A folder a patient inside images and masks prevents that."
    )
    return Table(
        rows=make_rows(records, labels=LABELS), label_names=tuple(names), notes=(note,) if unknown else (),
        dropped={"image without a mask": lone} if (lone := _without_mask(images, pairs)) else {},
    )  # fmt: skip


def _pairs(folder: Path, images: Mapping[str, Path]) -> Iterator[_Pair]:
    """Yield each mask with its image; raise InputError for a mask that has none, or does not lie on it."""
    masks = {name: path for name, path in _by_name(folder / "masks").items() if path.name.lower().endswith(MASKS)}
    if not masks:
        raise InputError(f"{folder / 'masks'} holds no mask; give a PNG or NIfTI file for each image")
    for name, mask in masks.items():
        if name not in images:
            raise InputError(f"{mask} has no image{suggest(name, images)} Its image is {folder / 'images' / name}.png, "
                             ".jpg, .dcm, .nii or .nii.gz, or a folder of that name")  # fmt: skip
        yield _Pair(name=name, image=images[name], mask=mask)


def _by_name(folder: Path, *, folders: bool = False) -> dict[str, Path]:
    """Return the files in a folder, and if asked its folders, by their path in it without the suffix."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; put images into the folder images, their masks into masks")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*"), key=lambda path: (path.is_file(), path)):
        place = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in place.split("/")) or (path.is_dir() and not folders):
            continue
        suffix = next((suffix for suffix in SUFFIXES if place.lower().endswith(suffix)), "") if path.is_file() else ""
        name = place.removesuffix(place[len(place) - len(suffix) :])
        if name in found and found[name].is_file():
            raise InputError(f"{found[name]} and {path} have one name; keep one of them")
        found[name] = path
    return found


def _numbers(pair: _Pair) -> set[int]:
    """Return the numbers in a mask; raise InputError unless they are whole and lie on the image."""
    mask = mask_on(read_image(pair.image), _read_mask(pair.mask))
    values = np.unique(mask.pixels)
    if values[0] < 0 or (values % 1).any():
        raise InputError(f"{pair.mask} holds {values[values % 1 != 0][0] if (values % 1).any() else values[0]:g}; "
                         "a mask holds whole numbers from 0")  # fmt: skip
    return set(values.astype(int).tolist())


def _read_mask(path: Path) -> Image:
    """Read a mask, of a PNG with a palette the numbers and not the colours."""
    import PIL.Image

    if not _has_palette(path):
        return read_image(path)
    with PIL.Image.open(path) as picture:
        return from_array(np.asarray(picture), path.name)


def _has_palette(path: Path) -> bool:
    import PIL.Image

    if path.suffix.lower() != ".png":
        return False
    try:
        with PIL.Image.open(path) as picture:
            return picture.mode == "P"
    except OSError:  # `read_image` says what is wrong with it
        return False


def _as_labels(pair: _Pair, *, black_and_white: bool, instances: bool) -> dict[str, Any]:
    if not black_and_white and not _has_palette(pair.mask):
        return as_labels(pair.mask, instances=instances)
    numbers = _read_mask(pair.mask).pixels[0, ..., 0].astype(np.uint8)
    return as_labels(f"{pair.name}.png", as_png(np.minimum(numbers, 1) if black_and_white else numbers),
                     instances=instances)  # fmt: skip


def _label_names(folder: Path) -> list[str] | None:
    """Return the labels that labels.txt or labels.json names; None where neither is there."""
    if (text := folder / "labels.txt").is_file():
        names: Any = [line.strip() for line in text.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    elif (text := folder / "labels.json").is_file():
        try:
            names = json.loads(text.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise InputError(f"{text} is not JSON: {error}; give a list of the labels' names") from error
    else:
        return None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{text} names no labels; give their names in the order of their numbers, without background")
    if len(set(names)) < len(names):
        raise InputError(f"{text} names a label twice: {', '.join(names)}; give each number a name of its own")
    return names


def _numbered(folder: Path, highest: int) -> list[str]:
    if highest > MOST_LABELS:
        raise LabelError(
            f"the masks of {folder} hold numbers up to {highest} without names; if these are single objects of one "
            f"kind, write that kind into {folder / 'labels.txt'}, else a line a label"
        )
    return [f"label {number}" for number in range(1, highest + 1)]


def _files_of(image: Path) -> list[Path]:
    """Return the file itself, or the DICOM files of a folder."""
    return [file for file in sorted(image.iterdir()) if file.is_file() and read_header(file)] if image.is_dir() else [
        image]  # fmt: skip


def _header(pair: _Pair) -> Header:
    return read_header(_files_of(pair.image)[0]) or Header(patient=None, modality=None)


def _group(pair: _Pair, numbers: dict[str, int]) -> str:
    """Return the patient: of a pair in a folder that folder, else DICOM's; where unknown, the image's content."""
    if "/" in pair.name:
        return pair.name.split("/")[0]
    if patient := _header(pair).patient:
        # a number of our own: the hospital's must not stand in a report
        return f"patient {numbers.setdefault(patient, len(numbers) + 1)}"
    digest = hashlib.sha256()
    for file in _files_of(pair.image):
        digest.update(file.read_bytes())
    return f"{UNKNOWN} {digest.hexdigest()[:16]}"


def _without_mask(images: Mapping[str, Path], pairs: Sequence[_Pair]) -> int:
    """Count images that no mask belongs to; files of a series belong to its folder's mask."""
    used = {file for pair in pairs for file in (pair.image, *_files_of(pair.image))}
    return sum(path.is_file() and path.name.lower().endswith(SUFFIXES) and path not in used for path in images.values())
