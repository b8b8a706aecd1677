"""The form of the rows that every loader of this task makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, List, Value

FEATURES = Features(
    {
        "input": List(Image(decode=False)),  # one file, decoded by the processor alone
        "labels": {
            "classes": List(Value("int64")),
            "boxes": List(List(Value("float32"))),  # left, top, right, bottom in pixels of the file
            "size": List(Value("int64")),  # height and width of the file
        },
        "group": Value("string"),
        "modality": Value("string"),
    }
)


def make_rows(records: Sequence[Mapping[str, Any]]) -> Dataset:
    """Return records as rows; those that have a `split` keep it."""
    features = Features(FEATURES | {"split": Value("string")}) if records and "split" in records[0] else FEATURES
    return Dataset.from_list([*map(dict, records)], features=features)


def as_file(path: Path | str, data: bytes | None = None) -> dict[str, Any]:
    """Return a file as it stands in a row: by its path, or with its bytes and then only named by the path."""
    return {"path": str(path), "bytes": data}


def as_labels(classes: Sequence[int], boxes: Sequence[Sequence[float]], *, size: tuple[int, int]) -> dict[str, Any]:
    """Return an image's objects as they stand in a row; `size` is the image's height and width in pixels."""
    return {"classes": [*classes], "boxes": [[*map(float, box)] for box in boxes], "size": [*size]}
