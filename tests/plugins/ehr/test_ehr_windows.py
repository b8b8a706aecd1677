"""Windows: nothing at or after the index time reaches a model, and it is counted who fell out and why."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from datasets import Value
from hypothesis import given, settings
from hypothesis import strategies as st

from medhub.data import Table
from medhub.errors import InputError
from medhub.plugins.ehr.events import BIRTH, DEATH, Record
from medhub.plugins.ehr.features import series, summary
from medhub.plugins.ehr.rows import as_input, from_input, make_rows
from medhub.plugins.ehr.scaling import Scaler
from medhub.plugins.ehr.statics import Statics
from medhub.plugins.ehr.synthetic import OUTCOME, made_up_records
from medhub.plugins.ehr.visits import visits
from medhub.plugins.ehr.vocabulary import Vocabulary
from medhub.plugins.ehr.windows import NOW, Cohort, Criterion, Window, at_each, at_end, build, cut, since_start

DAY = np.timedelta64(1, "D")
COHORT = Cohort(index=at_each("VISIT/"), observation=Window(start=None, end=NOW),
                prediction=Window(start=NOW, end=timedelta(days=60)), least=3)  # fmt: skip
RECORDS = made_up_records(40)
SCALER = Scaler.fit(RECORDS)
VOCABULARY = Vocabulary.fit(RECORDS)
STATICS = Statics.fit(RECORDS, [record.end for record in RECORDS])

codes = st.sampled_from(["LOINC/2160-0", "LOINC/1751-7", "ICD10CM/N18.3", "VISIT/x", DEATH, "never seen"])
later = st.lists(
    st.tuples(st.integers(0, 10**9), codes, st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))), max_size=8
)


def with_future(record: Record, index: np.datetime64, events: list[tuple[int, str, float]]) -> Record:
    """Return a record whose events at and after the index time are others."""
    past = record.before(index)
    events = sorted(events, key=lambda event: event[0])
    return Record(
        subject=record.subject,
        times=np.concatenate([past.times, np.array([index + np.timedelta64(s, "s") for s, _, _ in events], "M8[us]")]),
        codes=np.concatenate([past.codes, np.array([code for _, code, _ in events], object)]),
        values=np.concatenate([past.values, np.array([value for _, _, value in events], np.float32)]),
        units=np.concatenate([past.units, np.full(len(events), None, object)]),
    )


def inputs(record: Record, cohort: Cohort, index: np.datetime64) -> list:
    """Return every number that a model could be given of a case."""
    case = cut(record, cohort, index)
    seen, start = case.record, index - 400 * DAY
    steps = [series(seen, SCALER, start=start, end=index, width=timedelta(days=5))]
    if seen.start is not None and (SCALER.find(seen) >= 0).any():
        steps.append(series(seen, SCALER, start=np.datetime64("1900-01-01", "us"), end=index))
    arrays = [array for one in steps for array in (one.values, one.mask, one.elapsed, one.hours)]
    arrays += [
        STATICS.vector(seen, index),
        summary(seen, SCALER),
        VOCABULARY.encode(seen),
        VOCABULARY.multi_hot(visits(seen)),
    ]
    return [as_input(seen, index), *(array.tobytes() for array in arrays)]


@settings(max_examples=60)
@given(
    which=st.integers(0, 39),
    hours=st.integers(0, 24 * 900),
    gap=st.integers(0, 30),
    length=st.none() | st.integers(1, 400),
    events=later,
    others=later,
)
def test_no_event_at_or_after_the_index_time_changes_an_input(which, hours, gap, length, events, others):
    record = RECORDS[which]
    index = record.start + np.timedelta64(hours, "h")
    start = None if length is None else -timedelta(days=gap + length)
    cohort = Cohort(
        index=since_start(NOW), observation=Window(start=start, end=-timedelta(days=gap)), prediction=COHORT.prediction
    )
    plain = inputs(record, cohort, index)
    assert inputs(with_future(record, index, events), cohort, index) == plain
    assert inputs(with_future(record, index, others), cohort, index) == plain


def test_an_event_before_the_index_time_does_change_the_inputs():
    record = RECORDS[0]
    index = record.end + DAY
    assert inputs(record, COHORT, index) != inputs(record.before(record.end - 2 * DAY), COHORT, index)


@pytest.mark.parametrize("end", [None, timedelta(microseconds=1)])
def test_a_window_that_would_leak_cannot_be_written(end):
    with pytest.raises(InputError, match="must foretell"):
        Cohort(index=since_start(NOW), observation=Window(start=None, end=end), prediction=Window(start=NOW, end=None))


@pytest.mark.parametrize("start", [None, -timedelta(microseconds=1)])
def test_a_prediction_window_before_the_index_time_cannot_be_written(start):
    with pytest.raises(InputError, match="must foretell"):
        Cohort(
            index=since_start(NOW), observation=Window(start=None, end=NOW), prediction=Window(start=start, end=None)
        )


def test_a_window_that_holds_no_time_is_refused():
    with pytest.raises(InputError, match="is empty"):
        Window(start=NOW, end=NOW)


def test_who_falls_out_is_counted_step_by_step():
    kidney = Criterion(
        name="kidney disease", excludes=lambda record, index: bool((record.codes == "ICD10CM/N18.3").any())
    )
    cohort = Cohort(index=at_each("VISIT/"), observation=COHORT.observation, prediction=COHORT.prediction, least=3,
                    criteria=(kidney,))  # fmt: skip

    def label(case):
        admitted = case.future.value(OUTCOME)
        return int(admitted) if admitted is not None else None if not case.followed else 0

    nobody = Record(subject=99, times=np.array(["NaT"], "M8[us]"), codes=np.array(["SEX/F"], object),
                    values=np.array([np.nan]), units=np.array([None]))  # fmt: skip
    cases, flow = build([*RECORDS, nobody], cohort, label=label)
    assert flow.patients == 41
    assert flow.index_times == sum(len(at_each("VISIT/")(record)) for record in RECORDS)
    assert flow.dropped["patient without an index time"] == 1
    assert flow.dropped["too few events in the observation window"] == 26  # the first visits of the others
    assert sum(flow.dropped.values()) - 1 + flow.rows == flow.index_times
    assert flow.rows == len(cases) > 0
    assert {case.label for case in cases} == {0, 1}
    assert all((case.record.times[case.record.static :] < case.index).all() for case in cases)
    timed = [case.future.select(case.future.codes != BIRTH) for case in cases]
    assert all((one.times[one.static :] >= case.index).all() for one, case in zip(timed, cases, strict=True))
    assert any("left out: kidney disease" in line for line in flow.lines())
    assert flow.markdown().startswith("| step | number |\n|---|---|\n| patients | 41 |")


def test_a_case_says_whether_the_patient_was_followed_to_the_end_of_the_window():
    record = RECORDS[0]
    assert cut(record, COHORT, record.end - 60 * DAY).followed
    assert not cut(record, COHORT, record.end - 59 * DAY).followed
    dead = with_future(record, record.end, [(1, DEATH, float("nan"))])
    assert cut(dead, COHORT, record.end).followed


def test_a_record_as_it_stands_is_asked_about_behind_its_last_event():
    record = RECORDS[0]
    (index,) = at_end(record)
    assert cut(record, COHORT, index).record == record
    assert at_end(record.static_part) == []
    assert since_start(timedelta(hours=48))(record) == [record.start + np.timedelta64(48, "h")]
    assert since_start(NOW)(record.static_part) == []


def test_rows_hold_a_case_without_the_patients_id_and_give_the_record_back():
    cases, flow = build(RECORDS, COHORT, label=lambda case: len(case.future))
    rows = make_rows(cases, labels=Value("int64"), split=lambda case: "train")
    Table(rows=rows, label_names=(), dropped=flow.dropped)
    for case, row in zip(cases[:20], rows, strict=False):
        assert row["input"] == as_input(case.record, case.index)
        record, index = from_input(row["input"])
        assert record.subject == 0
        assert index == case.index
        assert inputs(record, COHORT, index) == inputs(case.record, COHORT, index)
        assert row["group"] == str(case.record.subject)
        assert row["sex"] in ("F", "M")
        assert (row["split"], row["labels"]) == ("train", case.label)
