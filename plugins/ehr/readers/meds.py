"""MEDS (Medical Event Data Standard 0.4): a folder with data/*.parquet, of which the store writes one too."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from medhub.errors import InputError

from .stream import Stream
from .table import stream_parquet


def is_meds(folder: Path) -> bool:
    """Whether a folder has the layout of a MEDS data set."""
    return any((folder / "data").rglob("*.parquet"))


def stream_meds(folder: Path) -> Stream:
    """Return the events of a MEDS folder, file after file; raise InputError where ids are no whole numbers."""
    paths = sorted((folder / "data").rglob("*.parquet"))
    for path in paths:
        try:
            schema = pq.read_schema(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"{path} cannot be read: {error}; give a whole Parquet file") from error
        if "subject_id" in schema.names and not pa.types.is_integer(schema.field("subject_id").type):
            raise InputError(
                f"{path}: subject_id holds {schema.field('subject_id').type}, but MEDS has whole numbers; convert them"
            )
    return stream_parquet(paths, title=folder.name)
