"""Prepared features: what the processor makes of every row, computed once and kept in memory-mapped files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from medhub.data.cache import cache_folder, scratch_folder
from medhub.data.columns import Column, ColumnWriter, StoredColumn
from medhub.data.tables import LABELS, row_keys
from medhub.errors import DataError, InputError

if TYPE_CHECKING:
    from medhub.processing import Processor

LAYOUT_FILE = "features.json"
LAYOUT_VERSION = 1


class Features:
    """The prepared columns of a data set, row by row as the data set has them.

    A column is taken as a stacked array, but one that the processor calls ragged, whose rows differ in length along
    the first axis, as a list of views, which are not to be written into.
    """

    columns: dict[str, Column]
    sha256: str
    """Hash over the rows, the processor and its code."""

    def __init__(self, folder: Path) -> None:
        """Open a folder that `prepare` wrote; raise DataError when it is not whole."""
        try:
            layout = json.loads((folder / LAYOUT_FILE).read_text(encoding="utf-8"))
            self._rows: int = layout["rows"]
            self.sha256 = layout["sha256"]
            self.columns = {
                name: Column(dtype=column["dtype"], shape=tuple(column["shape"]))
                for name, column in layout["columns"].items()
            }
            self._stored = {name: StoredColumn(folder, name, c, self._rows) for name, c in self.columns.items()}
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{folder} holds no whole features ({error}); delete it, it is made again") from error

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: int) -> dict[str, NDArray]:
        """Return one row's arrays by column name."""
        if not 0 <= row < self._rows:
            raise IndexError(f"no row {row}; there are {self._rows}")
        return {name: np.asarray(column[0]) for name, column in self.take(np.array([row])).items()}

    def take(self, indices: NDArray[np.integer]) -> dict[str, NDArray | list[NDArray]]:
        """Return the rows at `indices`: (len(indices), *shape) a column, or a list of arrays where it is ragged."""
        return {name: column.take(indices) for name, column in self._stored.items()}

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """Length of every row in the first ragged column that is no target; None where there is none."""
        columns = (column for name, column in self._stored.items() if name != LABELS)
        return next((lengths for column in columns if (lengths := column.lengths) is not None), None)


def prepare(
    rows: Dataset,
    processor: Processor,
    *,
    progress: Callable[[int, int], None] | None = None,
    cache: bool = True,
) -> Features:
    """Return the features and targets that a processor makes of every row.

    They are kept in the cache folder under a hash of the rows' content, the processor and its code, and only opened
    when they are there already; with `cache=False` they last as long as the returned object. Rows are read and written
    one by one, so memory does not grow with the data. `progress` is told (rows done, rows in all). Raises InputError,
    naming the row, for one that cannot be read.
    """
    rows = rows.with_format(None)
    code = _code_of(type(processor))
    sha256 = _hash_of(rows, processor, code or b"")
    write = partial(_write, rows=rows, processor=processor, sha256=sha256, progress=progress)
    return _kept(sha256, write) if cache and code is not None else _passing(write)


def _kept(sha256: str, write: Callable[[Path], None]) -> Features:
    """Open the features in the cache folder, made now where they are not there."""
    folder = cache_folder() / "features" / sha256
    if folder.is_dir():
        try:
            return Features(folder)
        except DataError:  # a disk that lost what was written; make it again
            shutil.rmtree(folder, ignore_errors=True)
    with scratch_folder(folder.parent) as scratch:
        whole = scratch / sha256
        whole.mkdir()
        write(whole)
        try:
            os.rename(whole, folder)
        except OSError:  # another process made the same features meanwhile
            if not folder.is_dir():
                raise
    return Features(folder)


def _passing(write: Callable[[Path], None]) -> Features:
    """Make features in a temporary folder that goes when they do."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-features-"))
    try:
        write(folder)
        features = Features(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    weakref.finalize(features, shutil.rmtree, folder, ignore_errors=True)
    return features


def _write(
    folder: Path, *, rows: Dataset, processor: Processor, sha256: str, progress: Callable[[int, int], None] | None
) -> None:
    """Write the features of all rows into an empty folder, the layout last."""
    writers: dict[str, ColumnWriter] = {}
    with ExitStack() as files:
        for index in range(len(rows)):
            arrays = _arrays_of(rows, index, processor)
            if index == 0:
                writers = {
                    name: files.enter_context(ColumnWriter(folder, name, array, ragged=name in processor.RAGGED))
                    for name, array in arrays.items()
                }
            if arrays.keys() != writers.keys():
                raise InputError(
                    f"row {index} has the features {', '.join(arrays)}, but row 0 has {', '.join(writers)}"
                )
            try:
                for name, array in arrays.items():
                    writers[name].append(array)
            except InputError as error:
                raise InputError(f"row {index}: {error}") from error
            if progress is not None:
                progress(index + 1, len(rows))
        columns = {name: asdict(writer.finish()) for name, writer in writers.items()}
    layout = {"layout": LAYOUT_VERSION, "sha256": sha256, "rows": len(rows), "columns": columns}
    with (folder / LAYOUT_FILE).open("w", encoding="utf-8") as file:
        json.dump(layout, file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def _arrays_of(rows: Dataset, index: int, processor: Processor) -> dict[str, NDArray]:
    """Return one row's features and targets; an error names the row."""
    try:
        row = rows[index]
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for a broken picture
        raise InputError(f"row {index} cannot be decoded: {error}") from error
    try:
        return {**processor.features(processor.read(row["input"])), **processor.targets(row)}
    except InputError as error:
        raise type(error)(f"row {index} (group {row['group']!r}): {error}") from error
    except Exception as error:
        error.add_note(f"while {type(processor).__name__} prepared row {index} (group {row['group']!r})")
        raise


def _hash_of(rows: Dataset, processor: Processor, code: bytes) -> str:
    """Return the identity of the features: everything that decides what they are."""
    from medhub import __version__

    columns = sorted(rows.column_names)
    made_by = [str(LAYOUT_VERSION), __version__, processor.sha256, hashlib.sha256(code).hexdigest(), *columns]
    return hashlib.sha256("\n".join([*made_by, *row_keys(rows, columns=columns)]).encode()).hexdigest()


def _code_of(processor: type) -> bytes | None:
    """Return the source that decides what features come out, None where there is none (an interactive session).

    It is that of the modules of the class and its bases, and of what those import from their own area, so that whoever
    edits a plugin never trains on features of the code before.
    """
    own = {base.__module__ for base in processor.__mro__} - {"builtins", "abc"}
    area = processor.__module__.rpartition(".")[0].rpartition(".")[0] or processor.__module__
    sources: dict[str, bytes] = {}
    waiting = sorted(own)
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        if module is None or name in sources or not (name in own or f"{name}.".startswith(f"{area}.")):
            continue
        file = getattr(module, "__file__", None)
        if file is None:
            return None
        sources[name] = Path(file).read_bytes()
        for value in vars(module).values():
            if not isinstance(value, ModuleType):
                waiting.append(str(getattr(value, "__module__", "")))
            elif not hasattr(module, "__path__"):  # a package's submodules are there once anybody imported them
                waiting.append(value.__name__)
    return b"\n".join(sources[name] for name in sorted(sources))
