"""The form of the rows that every loader of every imaging task makes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets import Dataset, Features, List, Value
from numpy.typing import NDArray

FILE = datasets.Image(decode=False)
"""A file, by its path or with its bytes; decoded by the processor alone."""
CLASS = Value("int64")
"""The number of one of several classes."""


def make_rows(records: Sequence[Mapping[str, Any]], *, labels: Any) -> Dataset:
    """Return records as rows whose `labels` are of the given kind of feature; those that have a `split` keep it.

    `input` is one file, or the slices of a volume; `modality` is DICOM's code, None where unknown.
    """
    features = {"input": List(FILE), "labels": labels, "group": Value("string"), "modality": Value("string")}
    if records and "split" in records[0]:
        features["split"] = Value("string")
    return Dataset.from_list([*map(dict, records)], features=Features(features))


def as_file(path: Path | str, data: bytes | None = None) -> dict[str, Any]:
    """Return a file as it stands in a row: by its path, or with its bytes and then only named by the path."""
    return {"path": str(path), "bytes": data}


def as_png(pixels: NDArray[np.uint8 | np.uint16]) -> bytes:
    """Return pixels (height, width), or (height, width, 3), as the bytes of a PNG of as many bits."""
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
