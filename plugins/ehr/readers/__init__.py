"""Readers: events from MEDS, OMOP, FHIR and long tables, by what a path or an object is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from medhub.errors import InputError

from ..events import EventTable, Record, Time, as_table
from .fhir import is_fhir, stream_bundle, stream_fhir
from .meds import is_meds, stream_meds
from .omop import find_tables, stream_omop
from .stream import Stream
from .table import stream_arrow, stream_table

__all__ = ["Stream", "read_events", "stream_events"]

TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
KINDS = (
    "a MEDS folder (data/*.parquet), a folder of OMOP tables (PERSON.csv ...), FHIR (a Bundle as .json, .ndjson, "
    f"a folder of them), or a long table ({', '.join(TABLES)}) with the columns subject_id, time, code"
)


def read_events(source: Any, *, now: Time | None = None, units: Mapping[str, str] | None = None) -> EventTable:
    """Return the events of a source in memory, checked, with what was found wrong with them in `findings`.

    The source is a path of any of these KINDS, a FHIR Bundle or resource as a dict, a pandas or pyarrow table with the
    columns of a long table, a Record or a list of these. `units` are those that the codes must have, as a trained
    model knows them; see `check_events` for them and `now`. Raises InputError for anything else, and where no event is
    left.
    """
    return stream_events(source).table(now=now, units=units)


def stream_events(source: Any) -> Stream:
    """Return the events of a source batch by batch, unchecked, for `write_events`; see `read_events`."""
    if isinstance(source, str | os.PathLike):
        return _stream_path(Path(source))
    if isinstance(source, Mapping):
        return stream_bundle(source)
    if isinstance(source, Record):
        source = [source]
    if isinstance(source, Sequence) and source and all(isinstance(record, Record) for record in source):
        return stream_arrow(as_table(source))
    if hasattr(source, "to_dict") and hasattr(source, "columns"):  # what a pandas DataFrame is known by
        source = pa.Table.from_pandas(source, preserve_index=False)
    if isinstance(source, pa.Table):
        return stream_arrow(source)
    raise InputError(f"cannot read events from {type(source).__name__}; give the path of {KINDS}")


def _stream_path(path: Path) -> Stream:
    if not path.exists():
        raise InputError(f"there is no {path}; give the path of {KINDS}")
    if path.is_dir():
        if is_meds(path):
            return stream_meds(path)
        if tables := find_tables(path):
            return stream_omop(tables, title=path.name)
        if is_fhir(path):
            return stream_fhir(path)
        raise InputError(f"the folder {path} holds no events; give {KINDS}")
    if path.name.lower().endswith(TABLES):
        return stream_table(path)
    if is_fhir(path):
        return stream_fhir(path)
    raise InputError(f"{path} is of no kind that is read; give {KINDS}")
