"""Ten years of hospital stays of people with diabetes, in 130 hospitals of the United States."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from medhub.data import File

from ..events import BIRTH, VISIT, VISIT_END, EventTable
from .frames import YEAR, at, join, marks, values, words
from .origin import Origin

FIRST = np.datetime64("2000-01-01T00:00", "us")
"""Day of a patient's first stay. Made up: the data has no dates, so stay number n is on the n-th day, from 0."""
DIAGNOSED, TREATED, DISCHARGED, OUTCOME_AT = (np.timedelta64(hours, "h") for hours in (6, 9, 12, 18))
"""When within that day the diagnoses, the drugs, the discharge and what came of it stand."""
ADMITTED = ("admission_type_id", "admission_source_id", "medical_specialty")
COUNTED_BEFORE = ("number_outpatient", "number_emergency", "number_inpatient")
"""Contacts in the year before the stay, known at admission."""
COUNTED_WITHIN = ("time_in_hospital", "num_lab_procedures", "num_procedures", "num_medications", "number_diagnoses")
"""Known at discharge."""
DIAGNOSES = ("diag_1", "diag_2", "diag_3")
DRUGS = (
    "metformin", "repaglinide", "nateglinide", "chlorpropamide", "glimepiride", "acetohexamide", "glipizide",
    "glyburide", "tolbutamide", "pioglitazone", "rosiglitazone", "acarbose", "miglitol", "troglitazone", "tolazamide",
    "insulin", "glyburide-metformin", "glipizide-metformin", "glimepiride-pioglitazone", "metformin-rosiglitazone",
    "metformin-pioglitazone",
)  # fmt: skip
"""The drugs that somebody was given: examide and citoglipton nobody was."""
READMITTED = {"<30": "READMITTED/within 30 days", ">30": "READMITTED/later", "NO": "READMITTED/no"}
DEATH_OR_HOSPICE = tuple(f"DISCHARGE/discharge_disposition_id/{number}" for number in (11, 13, 14, 19, 20, 21))
"""Discharges after which nobody is readmitted: leave them out of readmission, as Strack et al. do."""

ORIGIN = Origin(
    name="diabetes130",
    version="2014-05-16",
    title="Diabetes 130-US hospitals 1999-2008 (UCI 296), 101,766 stays of 71,518 patients",
    files=(
        File(name="diabetic_data.csv.gz", bytes=3031670,
             sha256="16bf108915fa42b57aebe9d40bdc3399ace67d6f4fafec2e500fd17e26c7af8d"),
    ),
    licence="CC BY 4.0",
    citation="Strack et al., Impact of HbA1c measurement on hospital readmission rates, BioMed Research International "
    "2014:781670 (10.1155/2014/781670)",
    homepage="https://archive.ics.uci.edu/dataset/296/diabetes+130-us+hospitals+for+years+1999-2008",
    traps=(
        "The data has no dates: a patient's stays are in the order of encounter_id, the usual proxy, on days made up.",
        "Discharges to death or to a hospice are in the data; nobody is readmitted from there.",
        "The columns `change` and `diabetesMed` are functions of the drugs of the same stay and are not read, nor are "
        "the payer and the weight, which is missing in 97 of 100 stays.",
        "Ages are bands of ten years; the middle is taken.",
    ),
)  # fmt: skip


def read_records(paths: Mapping[str, Path], *, rows: int | None = None) -> EventTable:
    """Return the patients; only those of the first `rows` lines where that is given.

    Each stay gives, in this order: VISIT/inpatient with ADMISSION/..., HISTORY/... (counts); then ICD9CM/... and tests;
    DRUG/<name> and DOSE/<name>/<Steady, Up, Down>; VISIT_END with STAY/... (counts) and DISCHARGE/...; READMITTED/....
    """
    missing = ["?", "Unknown/Invalid"]
    frame = pd.read_csv(paths["diabetic_data.csv.gz"], nrows=rows, dtype=str, na_values=missing, keep_default_na=False)
    frame[["patient_nbr", "encounter_id"]] = frame[["patient_nbr", "encounter_id"]].astype(int)
    frame = frame.rename(columns={"patient_nbr": "subject_id"}).sort_values(["subject_id", "encounter_id"])
    frame = frame.reset_index(drop=True)
    frame["time"] = at(FIRST, frame.groupby("subject_id").cumcount())
    for name, delay in (
        ("diagnosed", DIAGNOSED),
        ("treated", TREATED),
        ("discharged", DISCHARGED),
        ("later", OUTCOME_AT),
    ):
        frame[name] = frame["time"] + delay
    person = frame.drop_duplicates("subject_id").copy()
    decade = person["age"].str.extract(r"\[(\d+)-")[0].astype(float)
    person["birth"] = at(FIRST, -(decade + 5) * YEAR)
    given = frame[[*DRUGS]].where(frame[[*DRUGS]] != "No")
    tests = [f"TEST/{name}/" + frame[name].where(frame[name] != "None") for name in ("max_glu_serum", "A1Cresult")]
    return join(
        [
            marks(person, "SEX/" + person["gender"].str[0], time=None),
            marks(person, "RACE/" + person["race"], time=None),
            marks(person, BIRTH, time="birth"),
            marks(frame, f"{VISIT}inpatient"),
            words(frame, ADMITTED, prefix="ADMISSION"),
            values(frame, COUNTED_BEFORE, prefix="HISTORY"),
            *(marks(frame, "ICD9CM/" + frame[name], time="diagnosed") for name in DIAGNOSES),
            *(marks(frame, test, time="diagnosed") for test in tests),
            *(marks(frame, f"DRUG/{name}" + given[name].str[:0], time="treated") for name in DRUGS),
            *(marks(frame, f"DOSE/{name}/" + given[name], time="treated") for name in DRUGS),
            marks(frame, VISIT_END, time="discharged"),
            values(frame, COUNTED_WITHIN, prefix="STAY", time="discharged"),
            words(frame, ["discharge_disposition_id"], prefix="DISCHARGE", time="discharged"),
            marks(frame, frame["readmitted"].map(READMITTED), time="later"),
        ]
    )
