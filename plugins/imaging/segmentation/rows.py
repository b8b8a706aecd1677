"""The form of the rows that every loader of this task makes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets import Dataset, Features, List, Value
from numpy.typing import NDArray

FILE = datasets.Image(decode=False)  # decoded by the processor alone

FEATURES = Features(
    {
        "input": List(FILE),  # one picture or volume, or the slices of one
        # a map of the same size: of each pixel the label's place in `label_names` + 1, or the object's number; 0 is
        # what has no label
        "labels": {"mask": FILE, "instances": Value("bool")},
        "group": Value("string"),
        "modality": Value("string"),
    }
)


def make_rows(records: Sequence[Mapping[str, Any]]) -> Dataset:
    """Return records as rows; those that have a `split` keep it."""
    features = Features(FEATURES | {"split": Value("string")}) if records and "split" in records[0] else FEATURES
    return Dataset.from_list([*map(dict, records)], features=features)


def as_labels(mask: Path | str, data: bytes | None = None, *, instances: bool = False) -> dict[str, Any]:
    """Return a label map's file as it stands in a row; `instances` says that it numbers the objects of one label."""
    return {"mask": as_file(mask, data), "instances": instances}


def as_file(path: Path | str, data: bytes | None = None) -> dict[str, Any]:
    """Return a file as it stands in a row: by its path, or with its bytes and then only named by the path."""
    return {"path": str(path), "bytes": data}


def as_png(numbers: NDArray[np.uint8 | np.uint16]) -> bytes:
    """Return numbers (height, width) as the bytes of a grey PNG of as many bits."""
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.fromarray(numbers).save(file, "PNG")
    return file.getvalue()
