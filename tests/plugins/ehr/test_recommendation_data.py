"""Rows of the recommendation task: which visits, what is known by then, what was given."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from medhub.data import load_data
from medhub.errors import InputError, LabelError
from medhub.plugins.ehr.events import VISIT, Record
from medhub.plugins.ehr.recommendation import actg175
from medhub.plugins.ehr.recommendation.cohort import visit_cohort, visit_table
from medhub.plugins.ehr.recommendation.data import DATASETS, own_files, synthetic
from medhub.plugins.ehr.recommendation.encoding import after_findings, is_treatment, later_treatments
from medhub.plugins.ehr.rows import from_input
from medhub.plugins.ehr.sources import diabetes130
from medhub.plugins.ehr.synthetic import made_up_records
from medhub.plugins.ehr.visits import visits
from medhub.plugins.ehr.windows import at_each


def record(*events: tuple[str, str], subject: int = 1) -> Record:
    times, codes = zip(*events, strict=True)
    return Record(
        subject=subject, times=np.array(times, "datetime64[us]"), codes=np.array(codes, object),
        values=np.full(len(codes), np.nan, np.float32), units=np.full(len(codes), None, object),
    )  # fmt: skip


def given(row: dict, names: tuple[str, ...]) -> set[str]:
    return {name for name, value in zip(names, row["labels"]["given"], strict=True) if value}


def test_rows_know_nothing_from_the_first_drug_of_their_visit_on_and_tell_what_was_given():
    table = synthetic(size=64, seed=1)
    records = {str(one.subject): one for one in made_up_records(64, 1)}
    for row in table.rows:
        seen, index = from_input(row["input"])
        last = visits(records[row["group"]])[-1]
        assert index == min(time for time, code in zip(last.times, last.codes, strict=True) if is_treatment(code))
        assert (seen.times[seen.static :] < index).all()
        assert not any(is_treatment(code) for code in visits(seen)[-1].codes)
        assert given(row, table.label_names) == {code for code in last.codes if code in table.label_names}
    # of the six drugs one was given to fewer than ten patients
    assert len(table.label_names) < 6
    assert "fewer than 10" in " ".join(table.notes)


def test_the_first_visit_is_no_row_and_what_is_given_after_the_window_is_not_told():
    one = record(
        ("2020-01-01T08:00", "VISIT/x"), ("2020-01-01T09:00", "ATC/A"), ("2020-02-01T08:00", "VISIT/x"),
        ("2020-02-01T09:00", "ATC/B"), ("2020-02-03T09:00", "ATC/C"), ("2020-03-01T08:00", "VISIT/x"),
    )  # fmt: skip
    assert [str(time) for time in later_treatments(one)] == ["2020-02-01T09:00:00.000000"]
    many = [Record(subject=n, times=one.times, codes=one.codes, values=one.values, units=one.units) for n in range(10)]
    table = visit_table(many, visit_cohort())
    assert table.label_names == ("ATC/B",)
    with pytest.raises(LabelError, match="no drug was given to 10 patients"):
        visit_table(many[:9], visit_cohort())


def test_where_times_are_days_drugs_come_after_the_findings_of_their_day():
    one = record(
        ("2020-01-01", "RxNorm/1"), ("2020-01-01", "VISIT/x"), ("2020-01-01", "ICD10CM/E11"), ("2020-01-02", "VISIT/x")
    )
    later = after_findings(one)
    assert later.codes.tolist() == ["VISIT/x", "ICD10CM/E11", "RxNorm/1", "VISIT/x"]
    assert [len(visit) for visit in visits(later)] == [3, 1]
    assert later.times[2] - one.times[0] == np.timedelta64(1, "s")


def write_events(path: Path, patients: int) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subject_id", "time", "code"])
        for number in range(patients):
            for month in (1, 2):
                drug = "DRUG/a" if (number + month) % 2 else "DRUG/b"
                day = f"2020-{month:02}-01"
                writer.writerows(
                    [[number, day, "VISIT/x"], [number, day, f"ICD10CM/{number % 2}"], [number, day, drug]]
                )
    return path


def test_own_records_need_no_labels(tmp_path):
    table = own_files(write_events(tmp_path / "mine.csv", patients=40))
    assert table.label_names == ("DRUG/a", "DRUG/b")
    assert len(table.rows) == 40
    assert len({*table.rows["group"][:]}) == 40
    seen, _ = from_input(table.rows[0]["input"])
    assert [len(visit) for visit in visits(seen)] == [3, 2]  # of the second day all but the drug is known
    assert len(load_data(table).train) == 32


def test_records_without_drugs_are_refused(tmp_path):
    path = tmp_path / "labs.csv"
    path.write_text("subject_id,time,code\n1,2020-01-01,LAB/x\n1,2020-02-01,LAB/x\n", encoding="utf-8")
    with pytest.raises(LabelError, match=r"labs\.csv: no patient has a drug in a second visit"):
        own_files(path)
    with pytest.raises(InputError, match=r"absent\.csv"):
        own_files(tmp_path / "absent.csv")


def test_data_sets_are_split_by_patient():
    assert {*DATASETS} == {"diabetes130", "synthea-omop", "actg175"}
    assert all(source.splits == ("group",) and source.group_by == "patient" for source in DATASETS.values())


def test_diabetes_rows_are_all_stays_but_the_first_with_the_diagnoses_and_without_the_drugs_of_the_stay(mirror):
    paths = DATASETS["diabetes130"].fetch()
    table = diabetes130.read_records(paths, rows=6_000)
    stays = sum(len(visits(one)) for one in table)
    cohort = visit_cohort(lambda one: at_each(VISIT, delay=timedelta(hours=9))(one)[1:], within=timedelta(hours=6))
    rows = visit_table(table, cohort)
    assert len(rows.rows) + rows.dropped.get("only drugs of fewer than 10 patients", 0) == stays - len(table)
    assert "DRUG/insulin" in rows.label_names
    for row in rows.rows.select(range(50)):
        seen, _ = from_input(row["input"])
        coming = visits(seen)[-1]
        assert any(code.startswith("ICD9CM/") for code in coming.codes)
        assert not any(code.startswith(("DRUG/", "DOSE/", "STAY/", "DISCHARGE/")) for code in coming.codes)


@pytest.mark.index
def test_the_trial_has_four_arms_of_equal_chance_and_nothing_of_after_the_lot():
    table = DATASETS["actg175"].load(DATASETS["actg175"].fetch())
    assert table.label_names == ("DRUG/didanosine", "DRUG/zalcitabine", "DRUG/zidovudine")
    sets = np.array([label["given"] for label in table.rows["labels"]])
    arms, counts = np.unique(sets, axis=0, return_counts=True)
    assert len(arms) == 4
    assert counts.sum() == 2139
    assert sorted(counts.tolist()) == [522, 524, 532, 561]
    assert {label["propensity"] for label in table.rows["labels"]} == {actg175.PROPENSITY}
    known = {code for row in table.rows for code in row["input"]["code"]}
    assert not known & {actg175.RISEN, "ACTG175/cd420", "ACTG175/offtrt"}
    assert "ACTG175/cd40" in known
