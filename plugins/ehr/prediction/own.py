"""The user's own records and outcomes: a folder with events of any kind that is read, and a table of outcomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from medhub.data import Table
from medhub.errors import InputError, LabelError, suggest

from ..events import Records, Time
from ..patients import read_time
from ..readers import read_events
from ..windows import NOW, Case, Cohort, Window, build
from .cohorts import EVERYTHING, make_table

OUTCOMES_FILE = "outcomes.csv"
NEEDED = ("subject_id", "index_time")
LABEL_VALUES = {"": np.nan, "0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0}

Asked = dict[int, dict[Time, list[float]]]
"""Outcomes by patient and index time."""


def own_files(path: str | Path) -> Table:
    """Read a folder with `outcomes.csv` and one other entry, which holds the events: any that `read_events` takes.

    outcomes.csv has the columns subject_id and index_time, and one a outcome with 1, 0 or nothing for unknown. Of a
    patient there may be several index times. What is known before the index time is the input. Raises InputError or
    LabelError, naming the line, for what cannot be used.
    """
    folder = Path(path)
    if not (folder / OUTCOMES_FILE).is_file():
        raise InputError(f"{path} is no folder with {OUTCOMES_FILE} (columns {', '.join(NEEDED)} and one a outcome) "
                         "and, beside it, one file or folder of events")  # fmt: skip
    events = [entry for entry in sorted(folder.iterdir()) if entry.name != OUTCOMES_FILE and entry.name[0] != "."]
    if len(events) != 1:
        raise InputError(f"{path} needs one file or folder of events beside {OUTCOMES_FILE}, but has {len(events)}"
                         f"{': ' + ', '.join(entry.name for entry in events) if events else ''}")  # fmt: skip
    records = read_events(events[0])
    frame = pd.read_csv(folder / OUTCOMES_FILE, dtype=str, keep_default_na=False)
    names = _label_names(frame)
    asked = _read_outcomes(frame, names, records)
    cohort = Cohort(
        index=lambda record: sorted(asked.get(record.subject, ())), observation=EVERYTHING,
        prediction=Window(start=NOW, end=None),
    )  # fmt: skip
    cases, flow = build(records, cohort, label=lambda case: _answer(asked, case))
    return make_table(cases, [flow], labels=names, notes=records.findings.notes())


def _label_names(frame: pd.DataFrame) -> tuple[str, ...]:
    columns = [str(name) for name in frame.columns]
    for name in NEEDED:
        if name not in columns:
            raise InputError(f"{OUTCOMES_FILE} has no column {name!r}{suggest(name, columns)} "
                             f"Columns: {', '.join(columns)}")  # fmt: skip
    names = tuple(name for name in columns if name not in NEEDED)
    if not names:
        raise LabelError(f"{OUTCOMES_FILE} has no column of outcomes; add at least one of 1 (yes), 0 (no) and nothing")
    return names


def _read_outcomes(frame: pd.DataFrame, names: tuple[str, ...], records: Records) -> Asked:
    numbers = {name: number for number, name in records.names.items()}
    known = {*records.subjects.tolist()}
    asked: Asked = {}
    for line, row in enumerate(frame.to_dict("records"), start=2):
        place = f"{OUTCOMES_FILE}, line {line}"
        patient = row["subject_id"].strip()
        subject = numbers.get(patient, int(patient) if patient.isascii() and patient.isdigit() else None)
        if subject not in known:
            raise InputError(f"{place}: there is no event of this subject_id; correct it, or remove the line")
        assert subject is not None
        try:
            time = read_time(row["index_time"].strip())
        except InputError as error:
            raise InputError(f"{place}: {error}") from error
        if time in asked.setdefault(subject, {}):
            raise InputError(f"{place}: the same patient and index time stand in an earlier line; keep one of them")
        asked[subject][time] = [_label(row[name], name, place) for name in names]
    return asked


def _label(text: str, name: str, place: str) -> float:
    try:
        return LABEL_VALUES[text.strip()]
    except KeyError:
        raise LabelError(
            f"{place}: the outcome {name!r} is {text!r}; write 1 for yes, 0 for no, and nothing for unknown"
        ) from None


def _answer(asked: Asked, case: Case) -> list[float] | None:
    """Return a case's outcomes, None where all are unknown."""
    labels = asked[case.record.subject][case.index]
    return None if np.isnan(labels).all() else labels
