"""Where the rows come from: two public data sets of visits, a randomised trial, own records, and made-up ones.

Every row's `input` is what was known when the drugs of a visit were chosen, `labels` are what was given (see LABELS in
cohort.py), and `group` is the patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from medhub.data import Source, Table
from medhub.errors import LabelError

from ..events import VISIT, Record, Time
from ..readers import read_events
from ..sources import diabetes130, synthea
from ..synthetic import made_up_records
from ..windows import at_each, build
from . import actg175
from .cohort import Answer, make_table, treatments, visit_cohort, visit_table
from .encoding import TREATMENTS, after_findings, is_treatment, later_treatments

FROM_DRUGS = "SOURCE/"
"""What the codes of Synthea's DRUG_EXPOSURE begin with that are no drugs but procedures of the same day."""


def load_diabetes130(paths: Mapping[str, Path]) -> Table:
    """Return each stay but the first of a patient, with the diabetes drugs that were given in it, often none.

    Known are the stays before and, of this one, how the patient was admitted, the diagnoses and the tests.
    """

    def index(record: Record) -> Sequence[Time]:
        return at_each(VISIT, delay=timedelta(hours=9))(record)[1:]

    cohort = visit_cohort(index, within=timedelta(hours=6))
    notes = (
        "Diagnoses and tests of the stay itself are known: the data says of none when in the stay it was made. Counts "
        "of the stay (its days, drugs and procedures) are known of earlier stays only.",
        *diabetes130.ORIGIN.traps,
    )
    return visit_table(diabetes130.read_records(paths), cohort, notes=notes)


def load_synthea(paths: Mapping[str, Path]) -> Table:
    """Return each visit but the first of a patient in which a drug or a vaccine was given."""

    def late(code: str) -> bool:
        return is_treatment(code) or code.startswith(FROM_DRUGS)

    records = (after_findings(record, late=late) for record in synthea.read_records(paths))
    notes = (
        "As times are days, what else was noted on the day of a visit is taken to be known before its drugs are given.",
        "DRUG_EXPOSURE also holds procedures, without a concept: they are known of earlier visits only, and not told.",
        *synthea.ORIGIN.traps,
    )
    return visit_table(records, visit_cohort(), notes=notes)


def own_files(path: str | Path) -> Table:
    """Read records of any kind that `medhub.plugins.ehr.readers.read_events` takes, by the path of a file or folder.

    Rows are the visits but the first of a patient in which a drug was given; drugs are the codes that begin with one of
    TREATMENTS. Raises InputError for what cannot be read, and LabelError where no drug is of ten patients or more.
    """
    table = read_events(path)
    records = [after_findings(record) for record in table]
    cases, flow = build(records, visit_cohort(), label=lambda case: Answer(drugs=treatments(case)))
    if not cases:
        raise LabelError(
            f"{path}: no patient has a drug in a second visit; the codes of drugs begin with {', '.join(TREATMENTS)}: "
            "call your own DRUG/<name>"
        )
    return make_table(cases, flow, notes=table.findings.notes())


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make up `size` patients, whose drugs of the last visit are to be told: they follow from group and illness."""

    def last(record: Record) -> Sequence[Time]:
        return later_treatments(record)[-1:]

    return visit_table(made_up_records(size, seed), visit_cohort(last))


DATASETS: dict[str, Source] = {
    source.name: source
    for source in (
        diabetes130.ORIGIN.declare(shows="the diabetes drugs of the next stay", load=load_diabetes130),
        synthea.ORIGIN.declare(shows="the drugs and vaccines of the next visit", load=load_synthea),
        actg175.ORIGIN.declare(shows="the arm after which the CD4 count rises", load=actg175.load),
    )
}
