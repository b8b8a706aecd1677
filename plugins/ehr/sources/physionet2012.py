"""The first 48 hours in an intensive care unit: PhysioNet's challenge of 2012, sets a and b."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from medhub.data import File

from ..events import BIRTH, VISIT, EventTable
from ..findings import Findings
from .frames import YEAR, at, join, marks, values
from .origin import Origin

ADMISSION = np.datetime64("2012-01-01T00:00", "us")
"""Made up, as the data names no dates."""
INDEX = ADMISSION + np.timedelta64(48 * 60 + 1, "m")
"""The end of the 48 hours; what was measured at 48:00 is before it."""
OUTCOME = "OUTCOME/DIED_IN_HOSPITAL"
"""An event of value 1 or 0 for each patient, a day after INDEX, as the data does not say when."""
CARE_UNITS = {1: "coronary", 2: "cardiac surgery", 3: "medical", 4: "surgical"}
UNITS = {
    "ALP": "IU/L", "ALT": "IU/L", "AST": "IU/L", "Albumin": "g/dL", "BUN": "mg/dL", "Bilirubin": "mg/dL",
    "Cholesterol": "mg/dL", "Creatinine": "mg/dL", "DiasABP": "mm[Hg]", "FiO2": None, "GCS": None, "Glucose": "mg/dL",
    "HCO3": "mmol/L", "HCT": "%", "HR": "/min", "K": "mmol/L", "Lactate": "mmol/L", "MAP": "mm[Hg]", "MechVent": None,
    "Mg": "mmol/L", "NIDiasABP": "mm[Hg]", "NIMAP": "mm[Hg]", "NISysABP": "mm[Hg]", "Na": "mmol/L", "PaCO2": "mm[Hg]",
    "PaO2": "mm[Hg]", "Platelets": "10*3/uL", "RespRate": "/min", "SaO2": "%", "SysABP": "mm[Hg]", "Temp": "Cel",
    "TroponinI": "ug/L", "TroponinT": "ug/L", "Urine": "mL", "WBC": "10*3/uL", "Weight": "kg", "pH": None,
}  # fmt: skip
"""The 37 series and the units that their values are taken to be in: the files themselves name none."""
POSSIBLE = {
    "Height": (100, 230), "Weight": (20, 350), "Temp": (25, 45), "pH": (6.5, 8), "HR": (1, 300), "RespRate": (1, 98),
    "MAP": (1, 299), "SysABP": (1, 299), "DiasABP": (1, 250), "NIMAP": (1, 299), "NISysABP": (1, 299),
    "NIDiasABP": (1, 250), "PaCO2": (5, 200), "PaO2": (10, 600), "SaO2": (20, 100), "Mg": (0.1, 15), "BUN": (1, 300),
    "Bilirubin": (0.01, 100), "WBC": (0.01, 600), "Platelets": (1, 2200), "FiO2": (0.2, 1), "GCS": (3, 15),
}  # fmt: skip
"""Least and greatest value that a living adult can have; what is beyond (a pressure of 0, a pH of 735) is missing."""

ORIGIN = Origin(
    name="physionet2012",
    version="1.0.0",
    title="PhysioNet/CinC challenge 2012, sets a and b, 8,000 stays in intensive care",
    files=(
        File(name="set-a.csv.gz", bytes=6875669,
             sha256="92e097ff28771c9d2d33bf5e62699dc832b366c7787b99a88e77d50b42c62430"),
        File(name="set-b.csv.gz", bytes=6896659,
             sha256="a1d4967fca22e48cd26bf392c106003ca7d39daaf9baa41b12bd7d0cfe242d5c"),
        File(name="Outcomes-a.txt", bytes=79219,
             sha256="2613ea60ccda29f87571a7d6b09ad130858a8ccd66325bd073365925026883c2"),
        File(name="Outcomes-b.txt", bytes=79149,
             sha256="1305f29734da374a809483229a99f33a9230aa8d4fa74b1a2d6ad788136423d5"),
    ),
    licence="ODC-By 1.0",
    citation="Silva et al., Predicting in-hospital mortality of ICU patients: the PhysioNet/Computing in Cardiology "
    "challenge 2012, Computing in Cardiology 39:245-248",
    homepage="https://physionet.org/content/challenge-2012/1.0.0/",
    traps=(
        "SAPS-I, SOFA, the length of stay and the days survived stand beside the outcome and are read into no input.",
        "Values that no living adult can have, and -1, the data's sign of missing, are taken as missing.",
        "Patients over 89 have the age 90.",
    ),
)  # fmt: skip


def read_records(paths: Mapping[str, Path], *, part: str, rows: int | None = None) -> EventTable:
    """Return the patients of set "a" or "b"; only the first `rows` lines of it where that is given.

    Series are PHYSIONET/<name>; the height is static, and so is ICU/<kind of care unit>. The weight is a series.
    """
    kinds = {"Time": "category", "Parameter": "category"}
    frame = pd.read_csv(paths[f"set-{part}.csv.gz"], nrows=rows, dtype=kinds)
    frame = frame.rename(columns={"RecordID": "subject_id", "Value": "numeric_value"})
    minutes = np.array([60 * int(time[:2]) + int(time[3:]) for time in frame["Time"].cat.categories])
    frame["time"] = ADMISSION + minutes[frame["Time"].cat.codes].astype("timedelta64[m]")
    findings = Findings()
    value, name = frame["numeric_value"], frame["Parameter"].cat
    least, most = np.array([POSSIBLE.get(each, (-np.inf, np.inf)) for each in name.categories])[name.codes].T
    missing = value == -1
    impossible = ~missing & ((value < least) | (value > most))
    findings.add("value that is the data's sign of missing", int(missing.sum()))
    findings.add("value that no living adult can have, taken as missing", int(impossible.sum()))
    frame = frame[~missing & ~impossible]
    first = frame.drop_duplicates(["subject_id", "Parameter"])
    wide = first.pivot(index="subject_id", columns="Parameter", values="numeric_value").reset_index()
    series = frame[frame["Parameter"].isin([*UNITS])].copy()
    series["unit"] = pd.array(
        np.array([UNITS.get(each) for each in name.categories], object)[series["Parameter"].cat.codes]
    )
    series["code"] = series["Parameter"].cat.rename_categories(lambda each: f"PHYSIONET/{each}")
    outcomes = pd.read_csv(paths[f"Outcomes-{part}.txt"], usecols=["RecordID", "In-hospital_death"])
    outcomes = outcomes.rename(columns={"RecordID": "subject_id", "In-hospital_death": OUTCOME.split("/")[1]})
    outcomes = outcomes[outcomes["subject_id"].isin(wide["subject_id"])]
    outcomes["time"] = INDEX + np.timedelta64(1, "D")
    wide["birth"], wide["time"] = at(ADMISSION, -wide["Age"] * YEAR), ADMISSION
    return join(
        [
            marks(wide, "SEX/" + wide["Gender"].map({0: "F", 1: "M"}), time=None),
            marks(wide, "ICU/" + wide["ICUType"].map(CARE_UNITS), time=None),
            values(wide, {"Height": "cm"}, prefix="PHYSIONET", time=None),
            marks(wide, BIRTH, time="birth"),
            marks(wide, f"{VISIT}ICU"),
            series[["subject_id", "time", "code", "numeric_value", "unit"]],
            values(outcomes, [OUTCOME.split("/")[1]], prefix="OUTCOME"),
        ],
        findings=findings,
    )
