"""ACTG 175: four treatments of HIV, given by lot, and how the patients fared with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from medhub.data import Table

from ..events import BIRTH, VISIT, EventTable
from ..sources.frames import YEAR, at, join, marks, values
from ..sources.origin import Origin, wheel_files
from ..windows import Case, at_each, build
from .cohort import Answer, make_table, treatments, visit_cohort

START = np.datetime64("2000-01-01T00:00", "us")
"""The day on which a patient enters the trial. Made up: the data counts days from it."""
FOUND, TREATED = np.timedelta64(1, "h"), np.timedelta64(2, "h")
ARMS = {
    0: ("DRUG/zidovudine",),
    1: ("DRUG/zidovudine", "DRUG/didanosine"),
    2: ("DRUG/zidovudine", "DRUG/zalcitabine"),
    3: ("DRUG/didanosine",),
}
PROPENSITY = 1 / len(ARMS)
"""The lot gave each arm the same chance."""
FOUND_AT_START: dict[str, str | None] = {
    "wtkg": "kg", "karnof": None, "preanti": "d", "cd40": "/uL", "cd80": "/uL",
    "hemo": None, "homo": None, "drugs": None, "oprior": None, "z30": None, "str2": None, "symptom": None,
}  # fmt: skip
"""What was known before the lot was drawn, and the units."""
RISEN = "OUTCOME/CD4_RISEN"
"""1 or 0: whether the CD4 count was higher after 20 weeks (of five more or less) than at the start."""

ORIGIN = Origin(
    name="actg175", version="lifelines 0.30.3",
    title="ACTG 175, 2,139 patients with HIV in four randomised arms",
    files=wheel_files("lifelines==0.30.3", "lifelines/datasets", {
        "ACTG175.csv": ("56fba31fa0d7bfbff9667b7149fd96a97c352e72aa582871a62a935e812f0e07", 185144)}),
    licence="public research data; the wheel is MIT",
    citation="Hammer et al., A trial comparing nucleoside monotherapy and combination therapy in HIV-infected adults "
    "with CD4 cell counts from 200 to 500 per cubic millimeter, New England Journal of Medicine 335:1081-1090 (1996)",
    homepage="https://lifelines.readthedocs.io",
    traps=(
        "The treatments are those of 1991 to 1995, and none of them is given alone today.",
        "The outcome is a rise of the CD4 count within 20 weeks, which stands for benefit and is none.",
        "Columns from after the lot (offtrt, cd420, cd496, cd820, r, cens, days) are read into no input; treat and "
        "strat repeat others.",
    ),
)  # fmt: skip


def read_records(paths: Mapping[str, Path]) -> EventTable:
    """Return the patients: ACTG175/... an hour after START, DRUG/... of their arm after two, RISEN after 20 weeks."""
    frame = pd.read_csv(paths["ACTG175.csv"]).reset_index(names="subject_id")
    frame["time"], frame["found"], frame["treated"] = START, START + FOUND, START + TREATED
    frame["birth"], frame["later"] = at(START, -(frame["age"] + 0.5) * YEAR), at(START, 140)
    frame["CD4_RISEN"] = (frame["cd420"] > frame["cd40"]).astype(float)
    drugs = sorted({drug for arm in ARMS.values() for drug in arm})
    given = {drug: frame[frame["arms"].map(lambda arm, drug=drug: drug in ARMS[arm])] for drug in drugs}
    return join(
        [
            marks(frame, "SEX/" + frame["gender"].map({0: "F", 1: "M"}), time=None),
            marks(frame, "RACE/" + frame["race"].map({0: "White", 1: "other"}), time=None),
            marks(frame, BIRTH, time="birth"),
            marks(frame, f"{VISIT}trial"),
            values(frame, FOUND_AT_START, prefix="ACTG175", time="found"),
            *(marks(who, drug, time="treated") for drug, who in given.items()),
            values(frame, ["CD4_RISEN"], prefix="OUTCOME", time="later"),
        ]
    )


def load(paths: Mapping[str, Path]) -> Table:
    """Return the patients with what the lot gave them, and whether their CD4 count rose."""
    cohort = visit_cohort(at_each(VISIT, delay=timedelta(hours=2)), within=timedelta(days=200))

    cases, flow = build(read_records(paths), cohort, label=_answer)
    return make_table(cases, flow, notes=ORIGIN.traps)


def _answer(case: Case) -> Answer:
    risen = case.future.value(RISEN)
    assert risen is not None  # of every patient of the trial
    return Answer(drugs=treatments(case), outcome=risen, propensity=PROPENSITY)
