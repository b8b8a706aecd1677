"""One column of prepared features as a raw little-endian file, written row by row and read by row numbers."""

from __future__ import annotations

import math
import os
from array import array
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from medhub.errors import DataError, InputError

IN_MEMORY_BYTES = 256 * 2**20
"""Columns up to this size are read into memory when first used, larger ones are memory-mapped."""


@dataclass(frozen=True)
class Column:
    """Type and shape of a row's array."""

    dtype: str
    """As NumPy writes it, byte order first: "<f4"."""
    shape: tuple[int | None, ...]
    """None stands for a first axis whose length differs from row to row."""

    @property
    def ragged(self) -> bool:
        """Whether the length of the first axis differs from row to row."""
        return bool(self.shape) and self.shape[0] is None

    @property
    def item_shape(self) -> tuple[int, ...]:
        """Shape of a row, or of one step along the first axis of a ragged row."""
        return tuple(size for size in self.shape if size is not None)

    @property
    def item_bytes(self) -> int:
        """Size of a row, or of one step along the first axis of a ragged row."""
        return np.dtype(self.dtype).itemsize * math.prod(self.item_shape)


class ColumnWriter:
    """Appends rows to one column's file in constant memory; a context that closes the file."""

    def __init__(self, folder: Path, name: str, first: NDArray, *, ragged: bool) -> None:
        """Open the file of column `name`, all of whose rows must be like the `first`, in length too unless ragged."""
        if not name.isidentifier():
            raise InputError(f"a feature cannot be called {name!r}; it must be the name of an argument of `forward`")
        self.name = name
        self._first = np.asarray(first)
        self._ragged = ragged
        self._folder = folder
        self._file = _values_path(folder, name).open("wb")
        self._lengths = array("q")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def append(self, value: NDArray) -> None:
        """Write one row; raise InputError for one that is no array of numbers or unlike the first."""
        row, first = np.asarray(value), self._first
        if row.dtype.kind not in "biufc":
            raise InputError(
                f"feature {self.name!r} holds {row.dtype}, but only numbers can be stored; "
                "turn text into numbers in Processor.features"
            )
        fixed = 1 if self._ragged else 0  # the first axis from which all rows must agree
        if row.dtype != first.dtype or row.ndim != first.ndim or row.shape[fixed:] != first.shape[fixed:]:
            raise InputError(
                f"feature {self.name!r} is {row.dtype} of shape {row.shape}, but in row 0 it is {first.dtype} of shape "
                f"{first.shape}; only the length of the first axis may differ, and of a column in Processor.RAGGED only"
            )
        self._file.write(row.astype(_little_endian(row.dtype), copy=False).tobytes())
        self._lengths.append(len(row) if row.ndim else 1)

    def finish(self) -> Column:
        """Bring everything onto the disk and return what the rows had in common."""
        _sync(self._file)
        shape: tuple[int | None, ...] = self._first.shape
        if self._ragged:
            shape = (None, *shape[1:])
            offsets = np.concatenate([[0], np.cumsum(self._lengths)]).astype("<i8")
            with _offsets_path(self._folder, self.name).open("wb") as file:
                file.write(offsets.tobytes())
                _sync(file)
        return Column(dtype=_little_endian(self._first.dtype).str, shape=shape)


class StoredColumn:
    """A column's files, opened for reading; raises DataError when they are not as long as they must be."""

    def __init__(self, folder: Path, name: str, column: Column, rows: int) -> None:
        self.column = column
        self._path = _values_path(folder, name)
        self._offsets: NDArray[np.int64] | None = None
        items = rows
        if column.ragged:
            self._offsets = np.fromfile(_offsets_path(folder, name), dtype="<i8")
            items = int(self._offsets[-1]) if len(self._offsets) == rows + 1 else -1
        if (found := self._path.stat().st_size) != items * column.item_bytes:
            raise DataError(f"{self._path} has {found} bytes, not the {items * column.item_bytes} of {items} items")
        self._items = items

    @cached_property
    def values(self) -> NDArray:
        """All rows one after the other, of shape (rows, *shape), or (sum of lengths, *rest) where they are ragged."""
        shape = (self._items, *self.column.item_shape)
        if self._items * self.column.item_bytes <= IN_MEMORY_BYTES:
            return np.fromfile(self._path, dtype=self.column.dtype).reshape(shape)
        # copy on write: torch warns about read-only arrays, and the file must not change
        return np.asarray(np.memmap(self._path, dtype=self.column.dtype, mode="c", shape=shape))

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """Length of every row; None where all have one shape."""
        return None if self._offsets is None else np.diff(self._offsets)

    def take(self, indices: NDArray[np.integer]) -> NDArray | list[NDArray]:
        """Return the rows at `indices`, stacked (a copy) or, where they are ragged, as a list of views."""
        if self._offsets is None:
            return self.values.take(indices, axis=0)
        starts, ends = self._offsets[indices].tolist(), self._offsets[indices + 1].tolist()
        return [self.values[start:end] for start, end in zip(starts, ends, strict=True)]


def _little_endian(dtype: np.dtype) -> np.dtype:
    return dtype.newbyteorder("<")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _values_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.bin"


def _offsets_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.offsets.bin"
