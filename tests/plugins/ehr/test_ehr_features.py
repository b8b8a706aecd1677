"""Features: vocabularies, scales, series, summaries, visits and units, with figures worked out by hand."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import numpy as np
import pytest

from medhub.errors import InputError, LabelError
from medhub.plugins.ehr.events import BIRTH, Record
from medhub.plugins.ehr.features import series, summary, summary_names
from medhub.plugins.ehr.scaling import Scaler
from medhub.plugins.ehr.statics import Statics
from medhub.plugins.ehr.synthetic import GROUPS, OUTCOME, made_up_records
from medhub.plugins.ehr.units import conversion, spell
from medhub.plugins.ehr.visits import visits
from medhub.plugins.ehr.vocabulary import OTHER, Vocabulary

START = np.datetime64("2020-01-01T00:00", "us")
HOUR = np.timedelta64(1, "h")


def record(*rows: tuple, subject: int = 1) -> Record:
    """A record of (hours from START, or None; code; value; unit)."""
    filled = [(*row, None, None)[:4] for row in rows]
    hours, codes, values, units = zip(*filled, strict=True)
    times = [np.datetime64("NaT") if hour is None else START + np.timedelta64(int(hour * 60), "m") for hour in hours]
    values = [np.nan if value is None else value for value in values]
    return Record(subject=subject, times=np.array(times, "M8[us]"), codes=np.array(codes, object),
                  values=np.array(values, np.float32), units=np.array(units, object))  # fmt: skip


SCALER = Scaler(codes=("A", "B"), units=("mg/dL", None), means=(10.0, 0.0), deviations=(2.0, 1.0), lowest=(0.0, -9.0),
                highest=(20.0, 9.0))  # fmt: skip


def test_every_moment_with_a_value_is_a_step_with_mask_and_time_since():
    one = record(
        (None, "A", 5.0), (1, "A", 12.0), (1, "B", 1.0), (1, "X", 7.0), (2, "B"), (3, "A", 8.0), (6, "A", 10.0)
    )
    found = series(one, SCALER, start=START, end=START + 6 * HOUR)
    assert found.hours.tolist() == [1, 3]
    assert found.values.tolist() == [[1, 1], [-1, 0]]
    assert found.mask.tolist() == [[1, 1], [1, 0]]
    assert found.elapsed.tolist() == [[1, 1], [2, 2]]


def test_stretches_are_averaged_and_those_that_hold_nothing_stay():
    one = record((0.5, "A", 12.0), (0.75, "A", 16.0), (3.5, "A", 10.0), (3.5, "B", 2.0))
    found = series(one, SCALER, start=START, end=START + 5 * HOUR, width=timedelta(hours=1))
    assert found.hours.tolist() == [0, 1, 2, 3, 4]
    assert found.values[:, 0].tolist() == [2, 0, 0, 0, 0]
    assert found.mask.tolist() == [[1, 0], [0, 0], [0, 0], [1, 1], [0, 0]]
    assert found.elapsed.tolist() == [[0, 0], [1, 1], [2, 2], [3, 3], [1, 1]]
    assert all(array.dtype == np.float32 for array in vars(found).values())


def test_a_window_that_holds_nothing_is_refused_by_moments_and_empty_by_stretches():
    one = record((None, "SEX/F"), (9, "A", 1.0))
    with pytest.raises(InputError, match="holds no value"):
        series(one, SCALER, start=START, end=START + 2 * HOUR)
    assert series(one, SCALER, start=START, end=START + 2 * HOUR, width=timedelta(hours=1)).mask.sum() == 0
    with pytest.raises(InputError, match="holds no time"):
        series(one, SCALER, start=START, end=START)


def test_values_beyond_what_was_seen_are_clipped_and_other_units_converted():
    one = record((1, "A", 1e6, "mg/dL"), (2, "A", -1e6), (3, "A", 0.12, "g/L"))
    _, variables, values = SCALER.scale(one)
    assert variables.tolist() == [0, 0, 0]
    assert values.tolist() == pytest.approx([5.0, -5.0, 1.0])
    with pytest.raises(InputError, match="A: 'stones' cannot be turned into 'mg/dL'"):
        SCALER.scale(record((1, "A", 1.0, "stones")))


def test_a_scale_is_that_of_the_training_values_without_outliers():
    records = [record((1, "A", float(n), "kg"), (2, "B", 1.0), (2, "C", float(n)), subject=n) for n in range(2000)]
    records[7] = record((1, "A", 1e9, "kg"), (2, "B", 1.0), subject=7)
    found = Scaler.fit(records, keep=lambda code: code != "C")
    assert found.codes == ("A", "B")
    assert found.units == ("kg", None)
    assert found.means == pytest.approx((1000, 1), rel=0.01)
    assert found.deviations == pytest.approx((577, 1), rel=0.02)
    assert found.highest[0] < 2000


def test_a_variable_of_few_patients_is_none_however_often_it_was_measured():
    many = [record(*((hour, "rare", 1.0) for hour in range(50)), (60, "A", 1.0), subject=n) for n in range(9)]
    many += [record((1, "A", 2.0), subject=9)]
    assert Scaler.fit(many).codes == ("A",)
    with pytest.raises(LabelError, match="10 patients or more"):
        Scaler.fit(many[:9])
    with pytest.raises(InputError, match="A has values in kg and in g"):
        Scaler.fit([record((1, "A", 1.0, "kg")), record((1, "A", 1.0, "g"))])


def test_a_summary_says_last_mean_least_most_and_count():
    one = record((1, "A", 12.0), (2, "A", 16.0), (3, "A", 8.0))
    found = summary(one, SCALER)
    assert found[0].tolist() == [-1, 1, -1, 3, 3]
    assert np.isnan(found[1, :4]).all()
    assert found[1, 4] == 0
    assert len(summary_names(SCALER)) == found.size
    assert summary_names(SCALER)[:2] == ["A, last", "A, mean"]


def test_rare_codes_are_never_listed_and_unknown_ones_are_counted():
    records = [record((1, "common"), (2, "common"), (3, f"own {n}"), subject=n) for n in range(10)]
    found = Vocabulary.fit(records)
    assert (found.codes, found.patients, len(found)) == (("common",), (10,), 3)
    assert "own" not in json.dumps(dataclasses.asdict(found))
    one = record((1, "common"), (2, "own 3"), (3, "new"))
    assert found.encode(one).tolist() == [2, OTHER, OTHER]
    assert found.unknown(one) == 2
    assert [found.decode(n) for n in range(3)] == ["padding", "other", "common"]
    assert found.multi_hot([one, one.select(slice(1, 3))]).tolist() == [[1], [0]]
    assert found.multi_hot([]).shape == (0, 1)


def test_rows_of_one_patient_count_once():
    with pytest.raises(LabelError, match="1 patients with 1 codes"):
        Vocabulary.fit([record((1, "A"))] * 50)


def test_what_was_learnt_goes_into_json_and_back():
    records = made_up_records(30)
    index = [record.end for record in records]
    for learnt in (Scaler.fit(records), Vocabulary.fit(records), Statics.fit(records, index)):
        again = type(learnt)(**json.loads(json.dumps(dataclasses.asdict(learnt))))
        assert again == learnt
    assert (
        Statics(**json.loads(json.dumps(dataclasses.asdict(Statics.fit(records, index)))))
        .vector(records[0], index[0])
        .tolist()
        == Statics.fit(records, index).vector(records[0], index[0]).tolist()
    )


def test_statics_hold_age_values_and_codes_and_say_what_is_not_known():
    people = [
        record(
            (None, "SEX/F" if n % 2 else "SEX/M"),
            (None, "Height", 150.0 + n),
            (-8766 * (40 + n), BIRTH),
            (1, "A"),
            subject=n,
        )
        for n in range(20)
    ]
    found = Statics.fit(people, [START] * 20)
    assert found.names == ["age", "age known", "Height", "Height known", "SEX/F", "SEX/M"]
    assert found.age_mean == pytest.approx(49.5, abs=0.05)
    assert found.vector(people[19], START).tolist() == pytest.approx([1.65, 1, 1.65, 1, 1, 0], abs=0.02)
    assert found.vector(record((1, "A")), START).tolist() == [0] * 6


def test_visits_begin_where_one_is_named_or_else_with_the_day():
    named = record(
        (None, "SEX/F"), (-900, BIRTH), (0, "A"), (1, "VISIT/x"), (1, "VISIT/y"), (2, "B"), (5, "VISIT/x"), (99, "C")
    )
    assert [[*visit.codes] for visit in visits(named)] == [["A"], ["VISIT/x", "VISIT/y", "B"], ["VISIT/x", "C"]]
    assert [[*visit.codes] for visit in visits(record((1, "A"), (23, "B"), (25, "C")))] == [["A", "B"], ["C"]]
    assert visits(record((None, "SEX/F"))) == []


@pytest.mark.parametrize(
    ("value", "unit", "to", "code", "expected"),
    [
        (98.6, "degF", "Cel", "x", 37.0),
        (37.0, "°C", "[degF]", "x", 98.6),
        (150, "lb", "kg", "x", 68.0389),
        (70, "in", "cm", "x", 177.8),
        (1.8, "m", "cm", "x", 180),
        (310.15, "K", "Cel", "x", 37.0),
        (90, "mg/dL", "mmol/L", "LOINC/2345-7", 4.9957),
        (1.0, "mg/dl", "umol/L", "LOINC/2160-0", 88.40),
        (5.2, "mmol/L", "mg/dL", "LOINC/2093-3", 201.06),
        (40, "g/L", "g/dL", "x", 4.0),
        (12, "kPa", "mmHg", "x", 90.007),
    ],
)
def test_units_are_converted(value, unit, to, code, expected):
    scale, offset = conversion(unit, to, code=code)
    assert value * scale + offset == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("unit", "to", "code", "said"),
    [
        ("mg/dL", "mmol/L", "LOINC/unknown", "without its molar mass"),
        ("kg", "cm", "x", "kg is a mass, cm a length"),
        ("mgdL", "mmol/L", "x", "'mgdL' is no known unit; did you mean 'mg/dL'"),
        ("kg", "mg/dL", "LOINC/2345-7", "is a mass"),
    ],
)
def test_nothing_is_guessed_of_units(unit, to, code, said):
    with pytest.raises(InputError, match=said):
        conversion(unit, to, code=code)


def test_units_have_one_spelling():
    assert [spell(unit) for unit in ("mg/dl", " mg/dL ", "mmHg", "lbs", "odd", "", None)] == [
        "mg/dL", "mg/dL", "mm[Hg]", "[lb_av]", "odd", None, None
    ]  # fmt: skip


def test_made_up_patients_are_the_same_for_a_seed_and_their_outcome_can_be_learnt():
    records = made_up_records(300, seed=3)
    assert [*records] == [*made_up_records(300, seed=3)]
    assert [*records[:5]] != [*made_up_records(5, seed=4)]
    last = [
        (record.value("LOINC/2160-0"), record.value(OUTCOME), number % len(GROUPS))
        for number, record in enumerate(records)
    ]
    for group in range(len(GROUPS)):
        with_creatinine = [(value, outcome) for value, outcome, of in last if of == group and value is not None]
        sick, well = ([value for value, outcome in with_creatinine if outcome == answer] for answer in (1, 0))
        assert len(sick) > 20
        assert len(well) > 20
        assert np.mean(sick) > np.mean(well) + 0.2
