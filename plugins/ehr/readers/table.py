"""A long table, one event a row: CSV, TSV (each also gzipped) or Parquet, as which MEDS files are read too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medhub.errors import InputError

from ..findings import Findings
from .delimited import header, read_blocks
from .stream import Stream, Subjects, parse_times, placed

NEEDED = ("subject_id", "time", "code")
VALUES = ("numeric_value", "value")
"""The names that the column of values may have, as MEDS and as others call it."""
HINTS = {
    "subject_id": ("patient_id", "person_id", "patient", "subject", "pid", "mrn", "recordid", "id"),
    "time": ("timestamp", "datetime", "date", "charttime", "event_time", "start"),
    "code": ("parameter", "concept", "concept_code", "itemid", "item", "test", "event", "variable"),
}
"""What these columns are called elsewhere: suggested where one is missing, never taken without a word."""
MISSING = ("", "NA", "NaN", "nan", "null", "NULL", "None")
"""How a table of text says that there is no value."""


def stream_table(path: Path) -> Stream:
    """Return the events of one table; raise InputError where a column is missing."""
    subjects, findings = Subjects(), Findings()
    batches = _parquet([path], subjects) if path.suffix.lower() == ".parquet" else _text(path, subjects, findings)
    return Stream(title=path.name, batches=batches, subjects=subjects, findings=findings)


def stream_parquet(paths: Sequence[Path], *, title: str) -> Stream:
    """Return the events of Parquet files, one after another."""
    subjects = Subjects()
    return Stream(title=title, batches=_parquet(paths, subjects), subjects=subjects)


def stream_arrow(table: pa.Table) -> Stream:
    """Return the events of a table in memory."""
    subjects = Subjects()
    table = table.select(_check_columns(table.column_names, "the table"))
    return Stream(title="the table", batches=iter([_batch(table, subjects, "", 1)]), subjects=subjects)


def _parquet(paths: Sequence[Path], subjects: Subjects) -> Iterator[pa.Table]:
    for path in paths:
        try:
            with pq.ParquetFile(path, memory_map=True) as file:
                names = _check_columns(file.schema_arrow.names, path.name)
                row = 1
                for batch in file.iter_batches(columns=names):
                    yield _batch(pa.Table.from_batches([batch]), subjects, path.name, row)
                    row += len(batch)
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"{path} cannot be read: {error}; give a whole Parquet file") from error


def _text(path: Path, subjects: Subjects, findings: Findings) -> Iterator[pa.Table]:
    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    names = _check_columns(header(path, delimiter=delimiter), path.name)
    for row, block in read_blocks(path, delimiter=delimiter):
        columns = block.select(names)
        for name in VALUES:
            if name in names:
                values, texts = _numbers(columns[name], findings, f"{path.name}, row {row} or later")
                columns = columns.set_column(names.index(name), name, values)
                if texts is not None and "text_value" not in names:
                    columns = columns.append_column("text_value", texts)
        yield _batch(columns, subjects, path.name, row)


def _numbers(column: pa.ChunkedArray, findings: Findings, place: str) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None]:
    """Return a column of text as float32, and what is no number as text; None where there is none of that."""
    column = pc.if_else(pc.is_in(column, pa.array(MISSING)), None, column)
    try:
        return column.cast(pa.float32()), None
    except pa.ArrowInvalid:
        number = pc.match_substring_regex(column, r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")
        findings.add("value that is no number, kept as text", pc.sum(pc.invert(number)).as_py(), place=place)
        values = pc.utf8_trim_whitespace(pc.if_else(number, column, None))
        return values.cast(pa.float32()), pc.if_else(number, None, column)


def _batch(table: pa.Table, subjects: Subjects, file: str, row: int) -> pa.Table:
    """Return rows with the columns of a long table as a table of PLACED."""
    table = table.rename_columns([name.lower() for name in table.column_names]).combine_chunks()
    columns = {name: _flat(table[name]) for name in table.column_names}
    value = next((name for name in VALUES if name in columns), None)
    found = {
        "subject_id": subjects.number(columns["subject_id"]),
        "time": parse_times(columns["time"], column="time", file=file, rows=range(row, row + len(table))),
        "code": columns["code"],
        **{name: columns[name] for name in ("text_value", "unit") if name in columns},
    }
    if value is not None:
        found["numeric_value"] = columns[value]
    return placed(found, file=file, first_row=row)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    flat = column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):  # what an empty table gives
        flat = pa.array([], column.type)
    if pa.types.is_dictionary(flat.type):
        flat = flat.dictionary_decode()
    if pa.types.is_floating(flat.type) and flat.null_count == 0 and np.isnan(flat.to_numpy()).any():
        flat = pa.array(flat.to_numpy(), from_pandas=True)
    return flat


def _check_columns(columns: Sequence[str], file: str) -> list[str]:
    """Return the columns of a long table that are read, as they are written; raise InputError where one is missing."""
    lower = {name.lower(): name for name in columns}
    for name in NEEDED:
        if name not in lower:
            like = next((lower[other] for other in HINTS[name] if other in lower), None)
            hint = f"; {like!r} looks like it: rename it to {name!r}" if like else ""
            raise InputError(
                f"{file} has no column {name!r}{hint}. Columns: {', '.join(columns) or 'none'}; "
                f"needed: {', '.join(NEEDED)}, and numeric_value and unit where there are values"
            )
    if all(name in lower for name in VALUES):
        raise InputError(f"{file} has both columns {' and '.join(VALUES)}; remove one")
    return [lower[name] for name in (*NEEDED, *VALUES, "text_value", "unit") if name in lower]
