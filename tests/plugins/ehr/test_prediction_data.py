"""The rows of ehr/prediction: public cohorts with their published counts, own files, baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import medhub
from medhub.data import Table, load_data, row_keys
from medhub.errors import DataError, InputError, LabelError
from medhub.plugins.ehr.prediction.baselines import BASELINES, summaries
from medhub.plugins.ehr.prediction.cohorts import load_framingham, load_nafld, load_pbc, make_table
from medhub.plugins.ehr.prediction.config import OutcomePredictionConfig
from medhub.plugins.ehr.prediction.data import own_files, synthetic
from medhub.plugins.ehr.prediction.normalising import NormalScores
from medhub.plugins.ehr.prediction.processing import OutcomePredictionProcessor
from medhub.plugins.ehr.rows import from_input
from medhub.plugins.ehr.scaling import Scaler
from medhub.plugins.ehr.synthetic import OUTCOME, made_up_records

EVENTS = (
    "subject_id,time,code,value\n"
    "ann,2024-01-01T08:00,LAB/a,1\n"
    "ann,2024-01-03T08:00,LAB/a,2\n"
    "ben,2024-01-01T08:00,LAB/a,3\n"
    "eve,2024-01-05T08:00,LAB/a,4\n"
)


def folder(path: Path, outcomes: str, *, events: str = EVENTS) -> Path:
    (path / "events.csv").write_text(events)
    (path / "outcomes.csv").write_text(outcomes)
    return path


def columns(table: Table, name: str) -> list:
    return [row[name] for row in table.rows]


def test_made_up_rows_repeat_and_hold_nothing_of_the_outcome():
    table = synthetic(32, seed=3)
    assert row_keys(table.rows) == row_keys(synthetic(32, seed=3).rows)
    assert row_keys(table.rows) != row_keys(synthetic(32, seed=4).rows)
    assert not any(OUTCOME in raw["code"] for raw in table.rows["input"])
    assert 0.2 < np.mean(table.rows["labels"][:]) < 0.8


def test_own_outcomes_are_rows_of_what_was_known_before_each_index_time(tmp_path):
    table = own_files(folder(
        tmp_path,
        "subject_id,index_time,died,readmitted\n"
        "ann,2024-01-02T00:00,0,\n"
        "ann,2024-01-04T00:00,1,0\n"
        "ben,2024-01-02T00:00,0.0,1\n"
        "eve,2024-01-05T08:00,1,1\n"  # nothing is known before it
        "ben,2024-01-03T00:00,,\n",
    ))  # fmt: skip
    assert table.label_names == ("died", "readmitted")
    assert [raw["value"] for raw in table.rows["input"]] == [[3.0], [1.0], [1.0, 2.0]]
    assert np.array_equal(columns(table, "labels"), [[0, 1], [0, np.nan], [1, 0]], equal_nan=True)
    assert columns(table, "group")[0] != columns(table, "group")[1] == columns(table, "group")[2]
    assert dict(table.dropped) == {"too few events in the observation window": 1, "label not known": 1}
    assert not {"ann", "ben"} & {*columns(table, "group")}  # the user's own ids stay at home


@pytest.mark.parametrize(
    ("outcomes", "kind", "said"),
    [
        ("subject,index_time,died\nann,2024-01-02,1\n", InputError, "no column 'subject_id'; did you mean 'subject'"),
        ("subject_id,index_time\nann,2024-01-02\n", LabelError, "no column of outcomes"),
        ("subject_id,index_time,died\nzoe,2024-01-02,1\n", InputError, "line 2: there is no event of this subject_id"),
        ("subject_id,index_time,died\nann,soon,1\n", InputError, "line 2: the index 'soon' is no date"),
        ("subject_id,index_time,died\nann,2024-01-02,yes\n", LabelError, "line 2: the outcome 'died' is 'yes'"),
        ("subject_id,index_time,died\nann,2024-01-02,1\nann,2024-01-02,0\n", InputError, "line 3: the same patient"),
        ("subject_id,index_time,died\nann,2024-01-01,1\n", DataError, "the table has no rows"),
    ],
)
def test_outcomes_that_cannot_be_used_are_named_with_their_line(tmp_path, outcomes, kind, said):
    with pytest.raises(kind, match=said):
        own_files(folder(tmp_path, outcomes))


def test_a_folder_needs_one_source_of_events(tmp_path):
    folder(tmp_path, "subject_id,index_time,died\nann,2024-01-02,1\n")
    (tmp_path / "more.csv").write_text(EVENTS)
    with pytest.raises(InputError, match=r"has 2: events\.csv, more\.csv"):
        own_files(tmp_path)


def test_outcomes_of_one_class_are_refused_before_training(tmp_path):
    rows = "".join(f"p{n},2024-01-01T08:00,LAB/a,1\n" for n in range(30))
    asked = "".join(f"p{n},2024-01-02,1\n" for n in range(30))
    table = own_files(folder(tmp_path, "subject_id,index_time,died\n" + asked,
                             events="subject_id,time,code,value\n" + rows))  # fmt: skip
    with pytest.raises(LabelError, match="'died' is always 1"):
        load_data(table)


def test_normal_scores_undo_a_skewed_scale_and_keep_what_has_two_values():
    records = [*made_up_records(200, seed=1)]
    scaler = Scaler.fit(record.timed_part for record in records)
    scores = NormalScores.fit([record.timed_part for record in records], scaler)
    place = scaler.codes.index("LOINC/2160-0")
    values = np.zeros((500, len(scaler.codes)), np.float32)
    drawn = np.random.default_rng(0).choice(np.concatenate([r.values[r.codes == "LOINC/2160-0"] for r in records]), 500)
    values[:, place] = (drawn - scaler.means[place]) / scaler.deviations[place]
    mask = np.zeros_like(values)
    mask[:, place] = 1
    found = scores.transform(values, mask)
    assert abs(found[:, place].mean()) < 0.15
    assert 0.8 < found[:, place].std() < 1.1
    assert not np.delete(found, place, axis=1).any()
    order = np.argsort(values[:, place], kind="stable")
    assert (np.diff(found[order, place]) >= 0).all()


def test_each_baseline_beats_the_outcomes_frequency_on_made_up_patients():
    splits = load_data(synthetic(240), seed=0)
    processor = OutcomePredictionProcessor.fit(splits.train, OutcomePredictionConfig.tiny())
    task = medhub.get("ehr/prediction")
    truths = np.array(splits.test["labels"][:])
    for name, baseline in BASELINES.items():
        scores = baseline(splits.train, splits.test, labels=splits.label_names, processor=processor, seed=0)
        assert scores.shape == (len(splits.test), 1)
        value = task.metric("auroc").compute(scores, truths)
        assert value == 0.5 if name == "outcome frequency" else value > 0.7
    assert summaries(splits.test, processor).shape[0] == len(splits.test)


def test_a_cohort_table_counts_over_all_its_parts():
    from medhub.plugins.ehr.windows import Flow

    first = Flow(patients=3, index_times=3, rows=2, patients_left=2, dropped={"label not known": 1})
    cases = []
    with pytest.raises(DataError, match=r"no rows \(2 label not known\)"):
        make_table(cases, [first, first], labels=("died",))


def files(name: str) -> dict[str, Path]:
    return medhub.get("ehr/prediction").source(name).fetch()


@pytest.mark.index
def test_pbc_rows_tell_death_within_two_years_after_every_visit(cache):
    table = load_pbc(files("pbc2"))
    labels = np.array(columns(table, "labels"))[:, 0]
    assert len(set(columns(table, "group"))) <= 312
    assert 0.1 < labels.mean() < 0.3
    assert not any("MEDS_DEATH" in raw["code"] or "FOLLOW_UP_END" in raw["code"] for raw in table.rows["input"])
    assert table.dropped["label not known"] > 0


@pytest.mark.index
def test_framingham_rows_leave_out_who_had_an_event_before(cache):
    table = load_framingham(files("framingham"))
    assert table.dropped["had a cardiovascular event before"] > 0
    assert not any("OUTCOME/CVD" in raw["code"] for raw in table.rows["input"])
    assert 0.05 < np.array(columns(table, "labels")).mean() < 0.3


def test_each_person_of_nafld_is_a_row_or_counted_among_those_left_out(mirror, cache):
    table = load_nafld(files("nafld"))
    labels = np.array(columns(table, "labels"))[:, 0]
    assert len(labels) + sum(table.dropped.values()) == 17_549
    assert len(labels) > 8_000
    assert 0.06 < labels.mean() < 0.09
    record, index = from_input(table.rows[0]["input"])
    assert record.end is None or record.end < index
