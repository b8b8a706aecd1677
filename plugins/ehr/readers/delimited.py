"""Delimited text, plain or gzipped, block by block, each block with the number of its first row."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pcsv

from medhub.errors import InputError

BLOCK = 2 * 2**20
"""Bytes of text that are read at a time; Arrow reads some twenty blocks ahead, which all are in memory."""


def read_blocks(path: Path, *, delimiter: str = ",") -> Iterator[tuple[int, pa.Table]]:
    """Yield the number of a block's first row (the header is row 1) and its columns, all as text, names in lower case.

    Raises InputError for a file that cannot be read, has no header, or has a line of another number of fields.
    """
    names = [name.strip().strip('"').lower() for name in _header(path).split(delimiter)]
    if len(set(names)) < len(names) or "" in names:
        raise InputError(f"{path}: the header names a column twice or not at all: {', '.join(names)}; name each once")
    options = {
        "read_options": pcsv.ReadOptions(block_size=BLOCK, column_names=names, skip_rows=1),
        # between tabs nothing is quoted: OHDSI's vocabularies have names with a single quotation mark
        "parse_options": pcsv.ParseOptions(
            delimiter=delimiter, newlines_in_values=delimiter == ",", quote_char='"' if delimiter == "," else False
        ),
        "convert_options": pcsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    }
    row = 2
    try:
        with pa.input_stream(path, compression=_compression(path)) as file, pcsv.open_csv(file, **options) as reader:
            for batch in reader:
                yield row, pa.Table.from_batches([batch])
                row += len(batch)
    except (OSError, EOFError, pa.ArrowInvalid, zlib.error) as error:
        if "Empty CSV" in str(error):  # a header alone
            return
        raise InputError(f"{path}, after row {row - 1}: {error}; give a whole text file") from error


def need(columns: Sequence[str], needed: Sequence[str], *, file: str, hints: str = "") -> None:
    """Raise InputError for the first needed column that a file lacks."""
    for name in needed:
        if name not in columns:
            raise InputError(
                f"{file} has no column {name!r}. Columns: {', '.join(columns) or 'none'}; needed: {', '.join(needed)}"
                f"{hints}"
            )


def header(path: Path, *, delimiter: str = ",") -> list[str]:
    """Return the names of a file's columns in lower case."""
    return [name.strip().strip('"').lower() for name in _header(path).split(delimiter)]


def _header(path: Path) -> str:
    try:
        with pa.input_stream(path, compression=_compression(path)) as file:
            first = file.read(65536).partition(b"\n")[0]
        return first.decode("utf-8-sig").rstrip("\r")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}; give a text file in UTF-8, plain or gzipped") from error


def _compression(path: Path) -> str | None:
    return "gzip" if path.name.lower().endswith(".gz") else None
