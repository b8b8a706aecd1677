"""OMOP's concepts, and the text of its tables as columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medhub.errors import InputError

from .delimited import header, need, read_blocks

COLUMNS = ("concept_id", "concept_name", "vocabulary_id", "concept_code")


class Concepts:
    """The concepts of CONCEPT: their codes, and their names."""

    def __init__(self, path: Path | None) -> None:
        blocks = [block for _, block in read_table(path, COLUMNS)] if path else []
        empty = pa.table({name: pa.array([], pa.string()) for name in COLUMNS})
        found = pa.concat_tables([block.select(COLUMNS) for block in blocks] or [empty]).combine_chunks()
        ids = read_numbers(found["concept_id"], "CONCEPT", 2, kind=pa.int64()).fill_null(0).to_numpy()
        order = np.argsort(ids)
        self._ids, found = ids[order], found.take(pa.array(order))
        self._names, self._plain = found["concept_name"], found["concept_code"]
        self._codes = pc.binary_join_element_wise(found["vocabulary_id"], found["concept_code"], "/")

    def codes(self, block: pa.Table, stem: str) -> pa.ChunkedArray:
        """Return the codes of a table's events."""
        ids = block[f"{stem}_concept_id"]
        fallback = pc.binary_join_element_wise("OMOP", ids, "/")
        source = f"{stem}_source_value"
        if source in block.column_names:
            unmatched = pc.and_(pc.is_in(ids, pa.array(["0", ""])), pc.not_equal(block[source], ""))
            fallback = pc.if_else(unmatched, pc.binary_join_element_wise("SOURCE", block[source], "/"), fallback)
        return pc.if_else(
            pc.is_in(ids, pa.array(["0", ""])), fallback, pc.coalesce(self._taken(self._codes, ids), fallback)
        )

    def names(self, ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return the names of concepts, null for 0 and for those that CONCEPT lacks."""
        return pc.if_else(pc.equal(ids, "0"), None, self._taken(self._names, ids))

    def plain(self, ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return the codes of concepts without their vocabulary: the UCUM spelling of a unit; null as above."""
        return pc.if_else(pc.equal(ids, "0"), None, self._taken(self._plain, ids))

    def _taken(self, column: pa.ChunkedArray, ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column's values for ids, null for those that CONCEPT lacks."""
        wanted = read_numbers(ids, "a concept_id", 2, kind=pa.int64()).fill_null(0).to_numpy()
        places = np.searchsorted(self._ids, wanted)
        known = np.append(self._ids, -1)[places] == wanted
        return column.take(pa.array(places, mask=~known))


def read_numbers(column: pa.ChunkedArray, file: str, row: int, *, kind: pa.DataType) -> pa.ChunkedArray:
    """Return numbers that stand as text, null where it is empty."""
    try:
        return pc.if_else(pc.equal(column, ""), None, column).cast(kind)
    except pa.ArrowInvalid as error:
        raise InputError(f"{file}, row {row} or later: {error}; correct it, or leave it empty") from error


def read_table(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, pa.Table]]:
    """Yield the blocks of a table that has at least the columns `needed`."""
    with path.open("rb") as file:  # OHDSI's own vocabulary files are separated by tabs, whatever their name
        tabs = not path.name.lower().endswith(".gz") and b"\t" in file.readline()
    delimiter = "\t" if tabs or ".tsv" in path.name.lower() else ","
    need(header(path, delimiter=delimiter), needed, file=path.name)
    yield from read_blocks(path, delimiter=delimiter)
