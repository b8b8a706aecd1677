"""Where the records come from: public data sets, the user's own files, and patients made up for tests.

Every row's `input` is what is known before its index time, `labels` are 1, 0 or NaN for each outcome, `group` is the
patient, and sex, age band, race and ethnicity are subgroups of the report.
"""

from __future__ import annotations

from datetime import timedelta

from medhub.data import Table

from ..events import VISIT_END
from ..synthetic import OUTCOME, made_up_records
from ..windows import NOW, Case, Cohort, Window, at_each, build
from .cohorts import DATASETS, EVERYTHING, make_table
from .own import own_files

__all__ = ["DATASETS", "own_files", "synthetic"]


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make up patients; what is foretold after the last visit is whether they are admitted the day after."""
    last = at_each(VISIT_END, delay=timedelta(hours=1))
    cohort = Cohort(
        index=lambda record: last(record)[-1:], observation=EVERYTHING, prediction=Window(start=NOW, end=None)
    )

    def admitted(case: Case) -> list[float] | None:
        found = case.future.value(OUTCOME)
        return None if found is None else [found]

    cases, flow = build(made_up_records(size, seed), cohort, label=admitted)
    return make_table(cases, [flow], labels=("admitted",))
