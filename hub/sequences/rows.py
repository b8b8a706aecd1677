"""The form of the rows that every loader of every genomics task makes, and the user's own tables of sequences."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Value

from medhub.errors import InputError, suggest

SEQUENCE = Value("string")
"""An input that is one sequence."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a CSV: `place` names it in messages, `values` are its fields by their column's name."""

    place: str
    values: dict[str, str]


def make_rows(records: Sequence[Mapping[str, Any]], *, labels: Any, input: Any = SEQUENCE) -> Dataset:
    """Return records with `input`, `labels` and `group` as rows; those that have a `split` keep it.

    `labels` and `input` are the kinds of feature that these two are. What else the records hold is left out.
    """
    features = {"input": input, "labels": labels, "group": Value("string")}
    if records and "split" in records[0]:
        features["split"] = Value("string")
    return Dataset.from_list([{name: record[name] for name in features} for record in records], Features(features))


def read_csv(path: str | Path, *, needs: Sequence[str]) -> list[Line]:
    """Read a CSV, plain or gzipped, whose header has at least the columns `needs`, in lower or upper case.

    Raises InputError for a file that cannot be read, lacks a column or has no line, and for a line with too few or too
    many fields or without a value that is needed.
    """
    path = Path(path)
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
            _check_header(path, reader.fieldnames, needs)
            lines = [_line(f"{path.name}, line {reader.line_num}", row, needs) for row in reader]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}; give a whole text file") from error
    if not lines:
        raise InputError(f"{path} has a header only; add a line a sequence")
    return lines


def _check_header(path: Path, columns: Sequence[str], needs: Sequence[str]) -> None:
    for name in needs:
        if name not in columns:
            raise InputError(
                f"{path} has no column {name!r}{suggest(name, columns)} Columns: {', '.join(columns) or 'none'}; "
                f"needed: {', '.join(needs)}"
            )


def _line(place: str, row: Mapping[str | None, str | None], needs: Sequence[str]) -> Line:
    if None in row or None in row.values():  # csv's mark for too many fields, and for too few
        raise InputError(f"{place} has another number of fields than the header; quote those that hold commas")
    values = {str(name): str(value).strip() for name, value in row.items()}
    for name in needs:
        if not values[name]:
            raise InputError(f"{place} has no {name!r}; fill it in or remove the line")
    return Line(place=place, values=values)
