"""Patients who never lived: labs, diagnoses, drugs and visits with an outcome that can be learnt from them."""

from __future__ import annotations

import numpy as np

from .events import BIRTH, DEATH, VISIT, VISIT_END, EventTable, Record, Time, as_table

START = np.datetime64("2015-01-01T08:00", "us")
DAY = np.timedelta64(1, "D")
HOUR = np.timedelta64(1, "h")
OUTCOME = "OUTCOME/ADMITTED"
"""An event of value 1 or 0 on the day behind the last visit: 1 is likelier the higher creatinine, the lower albumin."""
GROUPS = ("kidney", "heart", "lung")
"""The three kinds of patients, which differ in diagnoses, labs and drugs."""
DIAGNOSES = {"kidney": "ICD10CM/N18.3", "heart": "ICD10CM/I50.9", "lung": "ICD10CM/J44.9"}
DRUGS = {"kidney": ("ATC/C09AA05", "ATC/B03XA01"), "heart": ("ATC/C03CA01", "ATC/C07AB07"),
         "lung": ("ATC/R03AC13", "ATC/R03BB04")}  # fmt: skip
LABS = {
    "LOINC/2160-0": ("mg/dL", 1.0, 0.15, {"kidney": 1.2}),
    "LOINC/1751-7": ("g/dL", 4.0, 0.3, {"heart": -0.6}),
    "LOINC/8480-6": ("mm[Hg]", 125.0, 10.0, {"heart": 20.0}),
    "LOINC/2708-6": ("%", 97.0, 1.0, {"lung": -6.0}),
    "LOINC/2345-7": ("mg/dL", 105.0, 12.0, {}),
}
"""Unit, mean, deviation, and how the mean differs in a group."""


def made_up_records(size: int = 64, seed: int = 0) -> EventTable:
    """Make up `size` patients of 2 to 8 visits; the same seed gives the same patients.

    The group of patient n, which no event names, is GROUPS[n % 3]. One value in four was not measured.
    """
    random = np.random.default_rng(seed)
    return EventTable(as_table([_patient(number, random) for number in range(size)]))


def _patient(number: int, random: np.random.Generator) -> Record:
    """Make up one patient, who is the sicker the more creatinine rises and albumin falls from visit to visit."""
    group = GROUPS[number % len(GROUPS)]
    illness = random.normal()
    events: list[tuple[Time, str, float, str | None]] = [
        (np.datetime64("NaT"), f"SEX/{random.choice(['F', 'M'])}", np.nan, None),
        (np.datetime64("NaT"), f"RACE/{random.choice(['Asian', 'Black', 'White'])}", np.nan, None),
        (START - int(random.integers(30 * 365, 85 * 365)) * DAY, BIRTH, np.nan, None),
    ]
    day = START
    for _ in range(int(random.integers(2, 9))):
        day = day + int(random.integers(20, 120)) * DAY + int(random.integers(0, 8)) * HOUR
        events += _visit(day, group, illness, random)
    admitted = random.random() < 1 / (1 + np.exp(-3 * illness))
    events.append((day + DAY, OUTCOME, float(admitted), None))
    if admitted and random.random() < 0.2:
        events.append((day + 30 * DAY, DEATH, np.nan, None))
    times, codes, values, units = zip(*events, strict=True)
    return Record(
        subject=number, times=np.array(times, "datetime64[us]"), codes=np.array(codes, object),
        values=np.array(values, np.float32), units=np.array(units, object),
    )  # fmt: skip


def _visit(
    day: Time, group: str, illness: float, random: np.random.Generator
) -> list[tuple[Time, str, float, str | None]]:
    """Make up the events of one visit: what is measured comes before what is diagnosed, and drugs come last."""
    events: list[tuple[Time, str, float, str | None]] = [(day, f"{VISIT}outpatient", np.nan, None)]
    for code, (unit, mean, deviation, shifts) in LABS.items():
        if random.random() < 0.25:
            continue
        harm = {"LOINC/2160-0": 2 * illness, "LOINC/1751-7": -illness}.get(code, 0.0)
        value = mean + shifts.get(group, 0.0) + deviation * (harm + random.normal())
        events.append((day + HOUR, code, round(max(value, 0.1), 2), unit))
    events.append((day + 2 * HOUR, DIAGNOSES[group], np.nan, None))
    first, second = DRUGS[group]
    events.append((day + 3 * HOUR, first, np.nan, None))
    if illness > 0:
        events.append((day + 3 * HOUR, second, np.nan, None))
    return [*events, (day + 4 * HOUR, VISIT_END, np.nan, None)]
