"""From pandas tables with a row a visit, or a patient, to events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..checking import check_events
from ..events import SCHEMA, EventTable
from ..findings import Findings

YEAR = 365.2425
"""Days."""
FOLLOW_UP_END = "FOLLOW_UP_END"
"""The code of the moment until which it is known what happened to a patient."""


def at(start: np.datetime64, days: Any) -> Any:
    """Return the moments so many days after a start, to the second."""
    return start + (np.asarray(days, float) * 86400).round().astype("timedelta64[s]")


def marks(frame: pd.DataFrame, code: str | pd.Series, *, time: str | None = "time") -> pd.DataFrame:
    """Return an event without a value for each row; static with `time=None`. Rows whose code is NaN give none."""
    events = _events(frame, time)
    events["code"] = code
    return events[events["code"].notna()]


def values(
    frame: pd.DataFrame, columns: Sequence[str] | Mapping[str, str | None], *, prefix: str, time: str | None = "time"
) -> pd.DataFrame:
    """Return an event "prefix/column" for each value of each column; `columns` may say their units."""
    parts = []
    for column in columns:
        events = _events(frame, time)
        events["code"], events["numeric_value"] = f"{prefix}/{column}", frame[column].astype(float)
        events["unit"] = columns[column] if isinstance(columns, Mapping) else None
        parts.append(events[events["numeric_value"].notna()])
    return pd.concat(parts)


def words(frame: pd.DataFrame, columns: Sequence[str], *, prefix: str, time: str | None = "time") -> pd.DataFrame:
    """Return an event "prefix/column/word" for each word of each column."""
    parts = []
    for column in columns:
        word = frame[column].where(frame[column].isna(), frame[column].astype(str))
        parts.append(marks(frame, f"{prefix}/{column}/" + word, time=time))
    return pd.concat(parts)


def join(parts: Sequence[pd.DataFrame], *, findings: Findings | None = None) -> EventTable:
    """Return events as records; those of one moment stay in the order of the parts.

    Made-up dates may lie in the future, so that nothing counts as future here.
    """
    names = ("subject_id", "time", "code", "numeric_value", "unit")
    tables = [
        pa.table({name: pa.array(part[name], from_pandas=True).cast(SCHEMA.field(name).type) for name in names})
        for part in parts
    ]
    checked, found = check_events(pa.concat_tables(tables), now=np.datetime64("9999-01-01", "us"))
    # the parts are one kind of event after another, so that their order says nothing of the data's
    found.counts.pop(UNSORTED, None)
    findings = Findings() if findings is None else findings
    findings.merge(Findings(counts=found.counts))
    return EventTable(checked, findings=findings)


UNSORTED = "event earlier than the one before it, sorted"


def _events(frame: pd.DataFrame, time: str | None) -> pd.DataFrame:
    times = frame[time].astype("datetime64[us]") if time else np.datetime64("NaT", "us")
    return pd.DataFrame({"subject_id": frame["subject_id"], "time": times, "code": None, "numeric_value": np.nan,
                         "unit": None}, index=frame.index)  # fmt: skip
