"""Events: the record, the table of records, and every thing that can be wrong with events."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medhub.errors import InputError
from medhub.plugins.ehr.checking import check_events
from medhub.plugins.ehr.events import BIRTH, SCHEMA, EventTable, Record, as_table
from medhub.plugins.ehr.people import SEX, YEAR, age, age_band, said
from medhub.plugins.ehr.synthetic import made_up_records

NOW = np.datetime64("2026-01-01", "us")


def table(*rows: tuple) -> pa.Table:
    """Events as (subject, time, code, value, unit), the last two where there are any."""
    filled = [(*row, None, None)[:5] for row in rows]
    subjects, times, codes, values, units = zip(*filled, strict=True)
    times = [None if time is None else np.datetime64(time, "us") for time in times]
    return pa.table(
        {
            "subject_id": pa.array(subjects, pa.int64()), "time": pa.array(times, pa.timestamp("us")),
            "code": codes, "numeric_value": pa.array(values, pa.float64()), "unit": pa.array(units, pa.string()),
        }
    )  # fmt: skip


def record(*rows: tuple) -> Record:
    return EventTable(check_events(table(*[(1, *row) for row in rows]), now=NOW)[0])[0]


def checked(*rows: tuple, **options) -> tuple[list[tuple], dict[str, int]]:
    """Return (subject, code, value) of what is left, and the counts."""
    found, findings = check_events(table(*rows), now=NOW, **options)
    assert found.schema == SCHEMA
    kept = [(row["subject_id"], row["code"], row["numeric_value"]) for row in found.to_pylist()]
    return kept, findings.counts


def test_a_record_is_cut_strictly_before_a_moment_and_keeps_what_is_static():
    one = record((None, "SEX/F"), ("1950-01-01", BIRTH), ("2020-01-01", "A"), ("2020-01-02", "B"), ("2020-01-03", "C"))
    assert [*one.before(np.datetime64("2020-01-02")).codes] == ["SEX/F", BIRTH, "A"]
    part = one.between(np.datetime64("2020-01-02"), np.datetime64("2020-01-03"))
    assert [*part.codes] == ["SEX/F", BIRTH, "B"]
    assert [*one.between(None, np.datetime64("1949-01-01")).codes] == ["SEX/F"]
    assert one.start == np.datetime64("2020-01-01")
    assert one.end == np.datetime64("2020-01-03")
    assert one.before(np.datetime64("2020-01-01")).start is None


def test_a_record_cannot_be_written_into_and_must_be_sorted():
    one = record((None, "SEX/F"), ("2020-01-01", "A", 1.5))
    for name in ("times", "codes", "values", "units"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(one, name)[0] = None
    with pytest.raises(InputError, match="check_events"):
        Record(subject=1, times=one.times[::-1], codes=one.codes, values=one.values, units=one.units)
    with pytest.raises(InputError, match="2 times but 1 codes"):
        Record(subject=1, times=one.times, codes=one.codes[:1], values=one.values, units=one.units)


def test_values_and_first_times_are_found_by_code():
    one = record(("2020-01-01", "A"), ("2020-01-02", "A", 1.0), ("2020-01-03", "A", 2.0), ("2020-01-03", "B"))
    assert one.value("A") == 2.0
    assert one.value("B") is None
    assert one.first("A") == np.datetime64("2020-01-01")
    assert one.first("C") is None


def test_records_become_a_table_and_back():
    records = made_up_records(9, seed=1)
    again = EventTable(as_table([*records]))
    assert [*again] == [*records]
    assert again[-1] == records[8] == [*records[7:]][1]
    assert as_table([]).num_rows == 0
    assert len(EventTable(as_table([]))) == 0
    assert records[0] != records[1]


def test_unsorted_events_are_sorted_and_counted_and_equal_times_keep_their_order():
    kept, counts = checked((2, "2020-01-01", "X"), (1, "2020-01-03", "C"), (1, "2020-01-01", "B"), (1, None, "S"),
                           (1, "2020-01-01", "A"))  # fmt: skip
    assert [code for _, code, _ in kept] == ["S", "B", "A", "C", "X"]
    assert counts == {"event earlier than the one before it, sorted": 1}


def test_exact_copies_go_and_equal_codes_with_other_values_stay():
    kept, counts = checked((1, "2020-01-01", "A", 1.0), (1, "2020-01-01", "B"), (1, "2020-01-01", "A", 1.0),
                           (1, "2020-01-01", "A", 2.0), (1, "2020-01-01", "B"))  # fmt: skip
    assert kept == [(1, "A", 1.0), (1, "B", None), (1, "A", 2.0)]
    assert counts == {"exact copy of an event": 2}


def test_the_future_and_what_is_before_the_birth_go_and_the_day_of_birth_stays():
    kept, counts = checked(
        (1, "2000-06-01T14:00", BIRTH),
        (1, "2000-06-01", "day"),
        (1, "2000-05-31", "before"),
        (1, "2026-01-01T00:00:01", "late"),
        (1, "2026-01-01", "now"),
        (2, "1900-01-01", "old"),
        (1, "2001-01-01", BIRTH),
    )
    assert [code for _, code, _ in kept] == ["day", BIRTH, "now", "old"]
    assert counts == {
        "event earlier than the one before it, sorted": 3, "event in the future": 1,
        "event before the patient's birth": 1, "second birth of a patient": 1,
    }  # fmt: skip


def test_by_default_the_future_begins_a_day_from_now():
    soon, late = (np.datetime64("now") + np.timedelta64(hours, "h") for hours in (12, 48))
    found, findings = check_events(table((1, soon, "A"), (1, late, "B")))
    assert found["code"].to_pylist() == ["A"]
    assert findings.counts == {"event in the future": 1}


def test_negative_ages_infinite_values_and_events_of_nobody_are_found():
    kept, counts = checked(
        (1, "2020-01-01", "Age", -3.0),
        (1, "2020-01-01", "AGE", 3.0),
        (1, "2020-01-01", "T", -3.0),
        (1, "2020-01-01", "A", np.inf),
        (None, "2020-01-01", "A"),
        (1, "2020-01-01", ""),
    )
    assert kept == [(1, "AGE", 3.0), (1, "T", -3.0), (1, "A", None)]
    assert counts == {
        "event without a patient or a code": 2, "value that is not finite, taken as missing": 1, "negative age": 1
    }  # fmt: skip


def test_one_unit_a_code_what_can_be_converted_is_and_what_contradicts_goes():
    rows = [(1, f"2020-01-0{day}", "LOINC/2345-7", 90.0, "mg/dl") for day in range(1, 4)]
    kept, counts = checked(
        *rows,
        (1, "2020-02-01", "LOINC/2345-7", 5.0, "mmol/L"),
        (1, "2020-02-02", "LOINC/2345-7", 5.0, "kg"),
        (1, "2020-02-03", "LOINC/2345-7", 91.0),
        (1, "2020-02-03", "X", 1.0, "points"),
    )
    assert [value for _, _, value in kept] == pytest.approx([90, 90, 90, 90.078, 91, 1], rel=1e-5)
    assert counts == {"value converted into the unit of its code": 1, "unit that contradicts its code's": 1}
    found, _ = check_events(table(*rows), now=NOW, units={"LOINC/2345-7": "mmol/L"})
    assert found["numeric_value"].to_pylist() == pytest.approx([4.9957] * 3, rel=1e-4)
    assert found["unit"].to_pylist() == ["mmol/L"] * 3


def test_findings_name_a_row_and_never_a_patient():
    _, findings = check_events(table((77123, "2020-01-01", "A"), (77123, "2030-01-01", "A")), now=NOW)
    assert findings.lines() == ["           1  event in the future (such as row 2)"]
    assert "77123" not in str(findings.as_dict())


def test_a_table_that_is_none_is_refused_by_column():
    with pytest.raises(InputError, match="no column 'code'"):
        check_events(pa.table({"subject_id": [1]}))
    with pytest.raises(InputError, match="'subject_id' must hold int64"):
        check_events(pa.table({"subject_id": ["x"], "code": ["A"]}))


def test_who_a_patient_is():
    one = record((None, "SEX/F"), ("1950-01-01", BIRTH), ("2020-01-01", "A"))
    at = np.datetime64("2020-01-01", "us")
    assert age(one, at) == pytest.approx(70.0, abs=0.01)
    assert age_band(one, at) == "65-74"
    assert [age_band(one, np.datetime64(day, "us")) for day in ("1960-01-01", "2050-01-01")] == [
        "under 18",
        "85 and over",
    ]
    assert said(one, SEX) == "F"
    assert age_band(one, np.datetime64("1950-01-01", "us") + 65 * YEAR) == "65-74"
    with pytest.raises(InputError, match="negative"):
        age(one, np.datetime64("1949-01-01", "us"))
    nobody = record(("2020-01-01", "A"))
    assert (age(nobody, at), age_band(nobody, at), said(nobody, SEX)) == (None, "unknown", "unknown")


DAYS = [f"20{year}-01-0{day}T0{hour}:00" for year in (19, 20, 35) for day in (1, 2) for hour in (0, 5)]
messy = st.lists(
    st.tuples(
        st.sampled_from([1, 2, None]),
        st.sampled_from([None, *DAYS]),
        st.sampled_from(["A", "B", BIRTH, "age"]),
        st.sampled_from([None, 1.0, -1.0, np.inf]),
        st.sampled_from([None, "kg", "lb", "Cel"]),
    ),
    min_size=1,
    max_size=25,
)


def plainly_checked(rows: list[tuple]) -> list[tuple]:
    """Do what check_events does, row by row."""
    pounds, units = {"lb": "[lb_av]"}, {}
    for code in {row[2] for row in rows}:
        counts = Counter(pounds.get(row[4], row[4]) for row in rows if row[2] == code and row[4])
        units[code] = min(counts, key=lambda unit: (-counts[unit], unit), default=None)
    kept: dict[tuple, None] = {}
    born: dict[int, str] = {}
    for subject, day, code, value, unit in sorted(rows, key=lambda row: (row[0] or 0, row[1] or "")):
        value, unit = None if value == np.inf else value, pounds.get(unit, unit)
        future = day is not None and np.datetime64(day) > NOW
        if subject is None or future or (code == "age" and value == -1.0):
            continue
        if day and code == BIRTH and subject in born:
            continue
        if day and code == BIRTH:
            born[subject] = day
        if unit not in (None, units[code]):
            if "Cel" in (unit, units[code]):
                continue
            value = None if value is None else value * (0.45359237 if units[code] == "kg" else 1 / 0.45359237)
            unit = units[code]
        kept[subject, day, code, value, unit] = None
    return [row for row in kept if not row[1] or row[1][:10] >= born.get(row[0], "")[:10]]


@given(messy)
def test_whatever_is_wrong_the_same_is_left_as_when_checked_row_by_row(rows):
    found, _ = check_events(table(*rows), now=NOW)
    assert [(*row.values(),) for row in found.drop(["text_value"]).to_pylist()] == [
        (subject, day and np.datetime64(day, "us").item(), code, value and pytest.approx(value), unit)
        for subject, day, code, value, unit in plainly_checked(rows)
    ]
    again, nothing = check_events(found, now=NOW)
    assert again.equals(found)
    assert not nothing.counts
