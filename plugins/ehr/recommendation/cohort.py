"""Which visits are rows, what is known by then, and what was given: from records to a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from datasets import List, Value

from medhub.data import Table
from medhub.errors import LabelError

from ..events import Record, Time
from ..rows import make_rows
from ..vocabulary import LEAST
from ..windows import NOW, Case, Cohort, Flow, Window, build
from .encoding import is_treatment, later_treatments

LABELS = {"given": List(Value("float32")), "outcome": Value("float32"), "propensity": Value("float32")}
"""1 for each drug that was given and 0 for the others; how the patient fared, from 0 to 1, and with what probability
chance gave them what they got: both NaN but for randomised trials."""
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a patient was given at an index time; see LABELS."""

    drugs: frozenset[str]
    outcome: float = np.nan
    propensity: float = np.nan


def visit_cohort(index: Callable[[Record], Sequence[Time]] = later_treatments, *, within: timedelta = DAY) -> Cohort:
    """Return the cohort of index times; what is given `within` that time is to be told, all before it is known."""
    return Cohort(index=index, observation=Window(start=None, end=NOW), prediction=Window(start=NOW, end=within))


def visit_table(records: Iterable[Record], cohort: Cohort, *, notes: Sequence[str] = ()) -> Table:
    """Return the rows of observational data: what was given at each index time."""
    cases, flow = build(records, cohort, label=lambda case: Answer(drugs=treatments(case)))
    return make_table(cases, flow, notes=notes)


def treatments(case: Case) -> frozenset[str]:
    """Return the drugs that were given in the prediction window."""
    return frozenset(code for code in case.future.timed_part.codes if is_treatment(code))


def make_table(cases: Sequence[Case], flow: Flow, *, notes: Sequence[str] = ()) -> Table:
    """Return cases, whose labels are Answers, as rows.

    Drugs of fewer than LEAST patients are left out, and so are rows in which nothing else was given. Raises LabelError
    where no drug is left.
    """
    people = {(case.record.subject, drug) for case in cases for drug in case.label.drugs}
    counts = Counter(drug for _, drug in people)
    names = tuple(sorted(drug for drug, count in counts.items() if count >= LEAST))
    if not names:
        raise LabelError(
            f"no drug was given to {LEAST} patients or more, of {len(counts)} drugs in {len(cases)} visits; give more "
            "patients"
        )
    kept = [case for case in cases if not case.label.drugs or case.label.drugs & {*names}]
    rows = make_rows([replace(case, label=_label(case.label, names)) for case in kept], labels=LABELS)
    rare = f"only drugs of fewer than {LEAST} patients"
    patients = len({case.record.subject for case in kept})
    return Table(
        rows=rows,
        label_names=names,
        dropped={**flow.dropped, **({rare: len(cases) - len(kept)} if len(kept) < len(cases) else {})},
        notes=(
            f"Of {flow.patients:,} patients {patients:,} have a visit that is a row; the rows are "
            f"{len(kept):,} of {flow.index_times:,} such visits.",
            f"{len(counts) - len(names)} of {len(counts)} drugs were given to fewer than {LEAST} patients, and are not "
            "recommended.",
            *notes,
        ),
    )


def _label(answer: Answer, names: tuple[str, ...]) -> dict[str, object]:
    given = [float(name in answer.drugs) for name in names]
    return {"given": given, "outcome": answer.outcome, "propensity": answer.propensity}
