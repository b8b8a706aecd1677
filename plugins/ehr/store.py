"""Events on disk: MEDS's folder of Parquet files, each patient whole in one of them, larger than memory if need be."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from medhub.errors import DataError, InputError

from .checking import PLACED, check_events
from .code_units import most_frequent, unit_counts
from .events import EventTable, Record, Records, Time
from .findings import Findings
from .readers import Stream

PARTITIONS = 64
"""Files that unsorted events are first dealt to by patient: one of them is in memory at a time."""
SHARD_PATIENTS = 256
INDEX = pa.schema([("subject_id", pa.int64()), ("shard", pa.int32()), ("place", pa.int32()), ("events", pa.int64())])
FINDINGS, IDS = "findings.json", "original_ids.json"


class EventStore(Records):
    """Events in a folder that `write_events` wrote, as records; one shard is in memory at a time."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Open a folder; raise DataError where it is not whole."""
        self.folder = Path(folder)
        try:
            index = pq.read_table(self.folder / "metadata" / "subjects.parquet", schema=INDEX)
            self.findings = Findings(**_read_json(self.folder / "metadata" / FINDINGS))
            ids = self.folder / IDS
            self.names = {int(number): name for number, name in _read_json(ids).items()} if ids.is_file() else {}
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{folder} is no event store ({error}); write it again with write_events") from error
        self.subjects = index["subject_id"].to_numpy()
        self.events = int(np.sum(index["events"].to_numpy()))
        """How many there are in all."""
        self._shards, self._places = index["shard"].to_numpy(), index["place"].to_numpy()
        self._open: tuple[int, EventTable] | None = None

    def record(self, place: int) -> Record:
        """Return the record of the patient at a place in the order; those of neighbours stand in one shard."""
        number = int(self._shards[place])
        if self._open is None or self._open[0] != number:
            self._open = None  # lets go of one before the next is read
            self._open = number, EventTable(_read_shard(shard_path(self.folder, number)))
        return self._open[1].record(int(self._places[place]))


def write_events(
    stream: Stream,
    folder: str | os.PathLike[str],
    *,
    now: Time | None = None,
    units: Mapping[str, str] | None = None,
    shard_patients: int = SHARD_PATIENTS,
) -> EventStore:
    """Write a stream's events, checked as by `check_events`, into a new folder, and open it.

    Memory holds one batch, and then the events of one in PARTITIONS of the patients. The folder appears whole or not at
    all: data/*.parquet and metadata/codes.parquet and dataset.json as MEDS has them, metadata/subjects.parquet and
    findings.json of our own, and original_ids.json where ids were no numbers. Raises InputError where the folder is
    there already, or where no event is left.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder} is there already; remove it, or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder.parent) as scratch:
        parts, whole = Path(scratch) / "parts", Path(scratch) / "whole"
        for made in (parts, whole / "data", whole / "metadata"):
            made.mkdir(parents=True)
        found = _deal(stream, parts)
        _write_shards(parts, whole, stream, now=now, units=most_frequent(found) if units is None else units,
                      shard_patients=shard_patients)  # fmt: skip
        os.rename(whole, folder)
    return EventStore(folder)


def shard_path(folder: Path, number: int) -> Path:
    """Return the path of a shard by its number."""
    return folder / "data" / f"{number:05}.parquet"


def _deal(stream: Stream, folder: Path) -> Counter[tuple[str, str]]:
    """Deal a stream's events to files by patient, in their order, and count their units."""
    units: Counter[tuple[str, str]] = Counter()
    with ExitStack() as files:
        writers = [
            files.enter_context(pa.ipc.new_stream(str(folder / f"{number:02}"), PLACED)) for number in range(PARTITIONS)
        ]
        for batch in stream.batches:
            units += unit_counts(batch)
            part = _part_of(batch["subject_id"].fill_null(0).to_numpy())
            order = np.argsort(part, kind="stable")
            dealt = batch.take(pa.array(order))
            edges = np.searchsorted(part[order], np.arange(PARTITIONS + 1))
            for writer, start, end in zip(writers, edges[:-1], edges[1:], strict=True):
                if end > start:
                    writer.write_table(dealt.slice(start, end - start))
    return units


def _write_shards(
    parts: Path, folder: Path, stream: Stream, *, now: Time | None, units: Mapping[str, str], shard_patients: int
) -> None:
    """Check the dealt events, file by file, and write them as shards, with what is said of the whole."""
    index: list[pa.Table] = []
    codes: set[str] = set()
    for part in sorted(parts.iterdir()):
        with pa.memory_map(str(part)) as file, pa.ipc.open_stream(file) as reader:
            table, findings = check_events(reader.read_all(), now=now, units=units)
        part.unlink()
        stream.findings.merge(findings)
        codes.update(table["code"].unique().to_pylist())
        subjects, starts = np.unique(table["subject_id"].to_numpy(), return_index=True)
        for first in range(0, len(subjects), shard_patients):
            edges = np.append(starts, len(table))[first : first + shard_patients + 1]
            shard, patients = len(index), len(edges) - 1
            pq.write_table(table.slice(edges[0], edges[-1] - edges[0]), shard_path(folder, shard),
                           use_dictionary=["code", "unit"])  # fmt: skip
            columns = [
                subjects[first : first + patients],
                np.full(patients, shard),
                np.arange(patients),
                np.diff(edges),
            ]
            index.append(
                pa.table([pa.array(c, field.type) for c, field in zip(columns, INDEX, strict=True)], schema=INDEX)
            )
    if not index:
        stream.check_filled(0)
    pq.write_table(pa.concat_tables(index), folder / "metadata" / "subjects.parquet")
    _describe(folder, stream, sorted(codes))


def _describe(folder: Path, stream: Stream, codes: list[str]) -> None:
    """Write MEDS's metadata, the findings, and the ids that were no numbers."""
    described = {"code": codes, "description": pa.nulls(len(codes), pa.string()),
                 "parent_codes": pa.nulls(len(codes), pa.list_(pa.string()))}  # fmt: skip
    pq.write_table(pa.table(described), folder / "metadata" / "codes.parquet")
    dataset = {"dataset_name": stream.title, "etl_name": "medhub", "meds_version": "0.4"}
    _write_json(folder / "metadata" / "dataset.json", dataset)
    _write_json(folder / "metadata" / FINDINGS, stream.findings.as_dict())
    if stream.subjects.names:
        _write_json(folder / IDS, stream.subjects.names)


def _part_of(subjects: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the number of the file that each patient's events go to, by splitmix64 (Steele et al. 2014)."""
    mixed = subjects.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) % np.uint64(PARTITIONS)).astype(np.uint8)


def _read_shard(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path, memory_map=True, read_dictionary=["code", "unit"]) as file:
            return file.read(columns=["subject_id", "time", "code", "numeric_value", "unit"])
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} cannot be read: {error}; write the store again") from error


def _write_json(path: Path, values: Mapping) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
