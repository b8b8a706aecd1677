"""The user's own images: a folder a class, or a CSV that names files."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medhub.data import Table
from medhub.errors import InputError, LabelError, suggest

from ..dicom import Header, read_header
from ..rows import CLASS, as_file, make_rows

SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".nii", ".nii.gz")
COLUMNS = ("path", "label")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class _Study:
    files: tuple[Path, ...]
    """One file, or the DICOM files of a series."""
    label: str
    patient: str | None = None
    split: str | None = None


def own_files(path: str | Path) -> Table:
    """Read a folder with a folder a class, or a CSV with the columns path, label and, if known, patient and split.

    An image is a PNG, JPEG, DICOM or NIfTI file, or a folder with one DICOM series; paths start from the CSV's folder.
    Without a column `patient`, DICOM's patient number groups the images, and any other image is its own group. Raises
    InputError or LabelError, naming the file and the line.
    """
    path = Path(path)
    dropped: dict[str, int] = defaultdict(int)
    if path.is_dir():
        studies = [*_in_folder(path, dropped)]
    elif path.is_file():
        studies = [*_in_csv(path)]
    else:
        raise InputError(f"there is no file or folder {path}; check the path")
    if not studies:
        raise InputError(f"{path} names no image; give a folder a class, or a CSV with {', '.join(COLUMNS)}")
    return _table(studies, dropped)


def _in_folder(folder: Path, dropped: dict[str, int]) -> Iterator[_Study]:
    classes = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    if not classes:
        raise InputError(f"{folder} has no folder a class; put the images of each class into a folder of its name")
    for label in classes:
        found = 0
        for entry in sorted(label.iterdir()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir() or _is_image(entry):
                found += 1
                yield _Study(files=_files_of(entry), label=label.name)
            else:
                dropped["file that is no image"] += 1
        if not found:
            raise LabelError(f"{label} holds no image; add some, or remove the class")


def _in_csv(path: Path) -> Iterator[_Study]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            records = [*csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}; give a CSV with {', '.join(COLUMNS)}") from error
    header = [*records[0]] if records else []
    if missing := [column for column in COLUMNS if column not in header]:
        raise InputError(f"{path} lacks the column {missing[0]!r}{suggest(missing[0], filter(None, header))} "
                         f"It has {', '.join(map(str, header)) or 'no rows'}")  # fmt: skip
    for line, record in enumerate(records, start=2):
        for column in (*COLUMNS, *(column for column in ("patient", "split") if column in header)):
            if not (record[column] or "").strip():
                raise LabelError(f"{path}, line {line}: the {column} is empty; fill it in or remove the row")
        values = {column: value.strip() for column, value in record.items() if isinstance(value, str)}
        split = values.get("split")
        if split is not None and split not in SPLITS:
            near = suggest(split, SPLITS)
            raise InputError(f"{path}, line {line}: no split {split!r}{near} Splits: {', '.join(SPLITS)}")
        image = path.parent / values["path"]
        if not image.exists():
            raise InputError(f"{path}, line {line}: there is no file {image}; paths start from the CSV's folder")
        yield _Study(files=_files_of(image), label=values["label"], patient=values.get("patient"), split=split)


def _files_of(entry: Path) -> tuple[Path, ...]:
    """Return the file itself, or the DICOM files of a folder."""
    if entry.is_file():
        return (entry,)
    files = tuple(file for file in sorted(entry.iterdir()) if file.is_file() and read_header(file))
    if not files:
        raise InputError(f"the folder {entry} holds no DICOM file; a folder inside a class is one series")
    return files


def _is_image(file: Path) -> bool:
    return file.name.lower().endswith(SUFFIXES) or read_header(file) is not None


def _table(studies: Sequence[_Study], dropped: dict[str, int]) -> Table:
    names = tuple(sorted({study.label for study in studies}))
    numbers: dict[str, int] = {}
    records, unknown = [], 0
    for study in studies:
        header = read_header(study.files[0]) or Header(patient=None, modality=None)
        group = study.patient
        if group is None and header.patient:
            # a number of our own: the hospital's must not stand in a report
            group = f"patient {numbers.setdefault(header.patient, len(numbers) + 1)}"
        if group is None:
            group, unknown = f"image {_content(study.files)}", unknown + 1
        record = {"input": [as_file(file) for file in study.files], "labels": names.index(study.label), "group": group,
                  "modality": header.modality}  # fmt: skip
        records.append(record if study.split is None else {**record, "split": study.split})
    notes = (
        f"The patient of {unknown} of {len(studies)} images is unknown: each is its own group, so that one patient's "
        "images may stand on two sides of a split. A CSV with a column patient prevents that.",
    )
    return Table(
        rows=make_rows(records, labels=CLASS), label_names=names, dropped=dropped, notes=notes if unknown else ()
    )


def _content(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
