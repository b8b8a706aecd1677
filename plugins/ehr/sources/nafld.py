"""Fatty liver disease in Olmsted County: labs, blood pressures and diagnoses over twenty years."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from medhub.data import File

from ..events import BIRTH, DEATH, EventTable
from .frames import FOLLOW_UP_END, YEAR, at, join, marks, values
from .origin import Origin

DAY_ZERO = np.datetime64("2000-01-01T00:00", "us")
"""A patient's index day in the study (the diagnosis, or that of the matched case). Made up: days count from it."""
INDEX = DAY_ZERO + np.timedelta64(1, "D")
"""The end of that day."""
UNITS = {"hdl": "mg/dL", "chol": "mg/dL", "sbp": "mm[Hg]", "dbp": "mm[Hg]", "smoke": None, "fib4": None}

ORIGIN = Origin(
    name="nafld",
    version="survival 3",
    title="NAFLD (R's survival::nafld), 17,549 people with labs and diagnoses over up to 20 years",
    files=(
        File(name="nafld1.csv.gz", bytes=342367,
             sha256="56e3e46588e49016e6c318676cdb4abeb2fd35fd991b605fb16ff609dbbabb1b"),
        File(name="nafld2.csv.gz", bytes=1704050,
             sha256="aac8c35d1c61411ee893e9c2428f7136f4f872bf55cd1b364153c5555172ed73"),
        File(name="nafld3.csv.gz", bytes=164449,
             sha256="0c599e42f52b1c67a773d6800c86b2225be44e6c4c1700825c5fa6edcb947cac"),
    ),
    licence="LGPL-2.0-or-later",
    citation="Allen et al., Nonalcoholic fatty liver disease incidence and impact on metabolic burden and death: a 20 "
    "year community study, Hepatology 67:1726-1736 (2018)",
    homepage="https://cran.r-project.org/package=survival",
    traps=(
        "The columns futime and status are the outcome, and no input; case.id, of matched people, is not read.",
        "Controls were matched to cases on age and sex, so that the cohort is no sample of the county.",
        "The data is a subset of the study's, slightly perturbed by its publishers.",
    ),
)  # fmt: skip


def read_records(paths: Mapping[str, Path]) -> EventTable:
    """Return the people: NAFLD/... at each day with a lab or a diagnosis; death, and the end of follow-up.

    Weight, height and BMI are static, as they are given for day 0 alone.
    """
    person, labs, events = (
        pd.read_csv(paths[f"nafld{n}.csv.gz"]).rename(columns={"id": "subject_id"}) for n in (1, 2, 3)
    )
    person["birth"] = at(DAY_ZERO, -(person["age"] + 0.5) * YEAR)  # ages are whole years
    person["ended"] = at(DAY_ZERO, person["futime"])
    for frame in (labs, events):
        frame["time"] = at(DAY_ZERO, frame["days"])
    labs["code"], labs["unit"] = "NAFLD/" + labs["test"], labs["test"].map(UNITS)
    labs = labs.rename(columns={"value": "numeric_value"})
    return join(
        [
            marks(person, "SEX/" + person["male"].map({0: "F", 1: "M"}), time=None),
            values(person, {"weight": "kg", "height": "cm", "bmi": "kg/m2"}, prefix="NAFLD", time=None),
            marks(person, BIRTH, time="birth"),
            labs[["subject_id", "time", "code", "numeric_value", "unit"]],
            marks(events, "NAFLD/" + events["event"]),
            marks(person[person["status"] == 1], DEATH, time="ended"),
            marks(person, FOLLOW_UP_END, time="ended"),
        ]
    )
