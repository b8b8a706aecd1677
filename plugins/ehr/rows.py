"""The form of the rows that every loader of every EHR task makes, and the way back from a row to a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, List, Value

from .events import Record, Time, as_table
from .people import ETHNICITY, RACE, SEX, age_band, said
from .windows import Case

INPUT = {
    "index": Value("timestamp[us]"),
    "time": List(Value("timestamp[us]")),
    "code": List(Value("string")),
    "value": List(Value("float32")),
    "unit": List(Value("string")),
}
"""An input: the index time, and what is known before it, as lists of one length; no id of the patient."""
SUBGROUPS = ("sex", "age_band", "race", "ethnicity")


def make_rows(cases: Sequence[Case], *, labels: Any, split: Callable[[Case], str] | None = None) -> Dataset:
    """Return cases as rows with `input`, `labels` (of that kind of feature), `group` (the patient) and SUBGROUPS.

    `split` names the part of a case where the data set has an official split.
    """
    known = [subgroups(case.record, case.index) for case in cases]
    columns = {
        "input": _inputs(cases),
        "labels": [case.label for case in cases],
        "group": [str(case.record.subject) for case in cases],
        **{name: [groups[name] for groups in known] for name in SUBGROUPS},
    }
    if split is not None:
        columns["split"] = [split(case) for case in cases]
    strings = dict.fromkeys([name for name in columns if name not in ("input", "labels")], Value("string"))
    features = Features({"input": INPUT, "labels": labels, **strings})
    schema = features.arrow_schema
    arrays = [
        pa.array(columns[name], schema.field(name).type) if name != "input" else columns[name] for name in schema.names
    ]
    return Dataset(pa.table(arrays, schema=schema))


def subgroups(record: Record, at: Time) -> dict[str, str]:
    """Return the subgroups that a patient is of at a moment, "unknown" where the record does not say."""
    return {"sex": said(record, SEX), "age_band": age_band(record, at), "race": said(record, RACE),
            "ethnicity": said(record, ETHNICITY)}  # fmt: skip


def as_input(record: Record, index: Time) -> dict[str, Any]:
    """Return a row's input."""
    return {
        "index": index.astype("datetime64[us]").item(), "time": record.times.tolist(), "code": record.codes.tolist(),
        "value": [None if np.isnan(value) else float(value) for value in record.values],
        "unit": record.units.tolist(),
    }  # fmt: skip


def _inputs(cases: Sequence[Case]) -> pa.StructArray:
    """Return the inputs of all cases; `as_input` makes the same of one, in Python's types."""
    events = as_table([case.record for case in cases]).combine_chunks()
    offsets = pa.array(np.cumsum([0, *(len(case.record) for case in cases)]), pa.int32())
    index = pa.array(np.array([case.index for case in cases], "datetime64[us]"))
    names = {"time": "time", "code": "code", "value": "numeric_value", "unit": "unit"}
    lists = [pa.ListArray.from_arrays(offsets, events[column].combine_chunks()) for column in names.values()]
    return pa.StructArray.from_arrays([index, *lists], names=["index", *names])


def from_input(row: Mapping[str, Any]) -> tuple[Record, Time]:
    """Return the record and the index time in a row's input; the subject is 0, as inputs name none."""
    record = Record(
        subject=0, times=np.array(row["time"], "datetime64[us]"), codes=np.array(row["code"], object),
        values=np.array(row["value"], np.float32), units=np.array(row["unit"], object),
    )  # fmt: skip
    return record, np.datetime64(row["index"], "us")


def read_rows(rows: Dataset) -> tuple[list[Record], list[Time]]:
    """Return the records and the index times of rows, the patients numbered by their group."""
    numbers: dict[str, int] = {}
    records, index = [], []
    for raw, group in zip(rows["input"], rows["group"], strict=True):
        record, at = from_input(raw)
        records.append(replace(record, subject=numbers.setdefault(group, len(numbers))))
        index.append(at)
    return records, index
