"""Files of many molecules: CSV with a SMILES column, SMI lists and SDF, record by record and each with its place."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from medhub.errors import InputError, suggest

SUFFIXES = (".csv", ".smi", ".sdf")
"""File names that are read, each also with ".gz" behind it."""

SDF_FIELD = re.compile(r"^>[^\n]*<([^>\n]+)>[^\n]*\n((?:[^\n]+\n)*)", re.MULTILINE)
"""A data field of an SDF record: `>  <name>`, the lines of its value, an empty line."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One molecule of a file, not parsed yet: `raw` is what `read_molecule` takes, `values` are the other columns."""

    place: str
    raw: dict[str, str]
    values: dict[str, str]


def is_molecule_file(raw: Any) -> bool:
    """Whether a raw input is the path of a file of molecules, judged by its name."""
    return isinstance(raw, str | Path) and _suffix(Path(raw)) in SUFFIXES


def read_records(path: str | Path) -> list[Record]:
    """Read all records of a CSV, SMI or SDF file; molecules that do not parse are found later, by `read_molecule`.

    Raises InputError for a file that cannot be read, holds no record, or is a CSV without a column `smiles`.
    """
    path = Path(path)
    reader = {".csv": _read_csv, ".smi": _read_smi, ".sdf": _read_sdf}.get(_suffix(path))
    if reader is None:
        raise InputError(f"{path} is no file of molecules; give one that ends in {', '.join(SUFFIXES)}")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            records = [*reader(path, file)]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}; give a whole text file") from error
    if not records:
        raise InputError(f"{path} holds no molecule; give a file with at least one record")
    return records


def _read_csv(path: Path, file: TextIO) -> Iterator[Record]:
    reader = csv.DictReader(file)
    columns = reader.fieldnames or []
    smiles = next((name for name in columns if name.strip().lower() == "smiles"), None)
    if smiles is None:
        raise InputError(
            f"{path} has no column 'smiles'{suggest('smiles', columns)} Columns: {', '.join(columns) or 'none'}"
        )
    for row in reader:
        place = f"{path.name}, line {reader.line_num}"
        if None in row or None in row.values():  # csv's mark for too many fields, and for too few
            raise InputError(f"{place} has another number of fields than the header; quote those that hold commas")
        yield Record(
            place=place,
            raw={"smiles": row[smiles], "place": place},
            values={name: value.strip() for name, value in row.items() if name != smiles},
        )


def _read_smi(path: Path, file: TextIO) -> Iterator[Record]:
    """Read a SMILES a line; what stands behind it is a name."""
    for number, line in enumerate(file, start=1):
        if line.strip():
            smiles, *name = line.split(maxsplit=1)
            place = f"{path.name}, line {number}"
            yield Record(place=place, raw={"smiles": smiles, "place": place}, values={"name": " ".join(name).strip()})


def _read_sdf(path: Path, file: TextIO) -> Iterator[Record]:
    for number, text in enumerate(_sdf_records(file), start=1):
        molblock, end, fields = text.partition("M  END\n")
        place = f"{path.name}, record {number}"
        yield Record(
            place=place,
            raw={"molblock": molblock + end, "place": place},
            values={name: value.strip() for name, value in SDF_FIELD.findall(fields)},
        )


def _sdf_records(file: TextIO) -> Iterator[str]:
    lines: list[str] = []
    for line in file:
        if line.startswith("$$$$"):
            yield "".join(lines)
            lines = []
        else:
            lines.append(line.rstrip("\r\n") + "\n")
    if any(line.strip() for line in lines):  # the last record may lack its end
        yield "".join(lines)


def _suffix(path: Path) -> str:
    """Return the end of a file's name in lower case, without ".gz"."""
    return Path(path.name.lower().removesuffix(".gz")).suffix
