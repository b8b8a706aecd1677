"""OMOP: tables in either case become events, and what is wrong with them is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from medhub.errors import InputError
from medhub.plugins.ehr.events import EventTable
from medhub.plugins.ehr.readers import read_events

NOW = np.datetime64("2026-01-01", "us")


def events(table: EventTable) -> list[tuple]:
    """Return (patient's id, time, code, value, unit) of every event."""
    return [
        (
            table.name(record),
            None if np.isnat(time) else str(time)[:16],
            code,
            None if np.isnan(value) else float(value),
            unit,
        )
        for record in table
        for time, code, value, unit in zip(record.times, record.codes, record.values, record.units, strict=True)
    ]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_omop(folder: Path, *, lower: bool = False) -> Path:
    tables = {
        "PERSON": [
            "person_id,gender_concept_id,year_of_birth,month_of_birth,birth_datetime,race_concept_id,race_source_value",
            "1,8507,1960,5,,8527,", "2,8532,1970,,1970-02-03,0,other", "3,0,1980,,,0,",
        ],
        "CONCEPT": [
            "concept_id,concept_name,vocabulary_id,concept_code", "8527,White,Race,5", "201826,T2DM,SNOMED,44054006",
            "3004410,HbA1c,LOINC,4548-4", "8554,percent,UCUM,%", "9201,Inpatient,Visit,IP",
        ],
        "VISIT_OCCURRENCE": [
            "person_id,visit_concept_id,visit_start_date,visit_start_datetime,visit_end_date,visit_end_datetime",
            "1,9201,2020-01-01,2020-01-01 08:00:00,2020-01-03,",
        ],
        "CONDITION_OCCURRENCE": [
            "person_id,condition_concept_id,condition_start_date,condition_start_datetime,condition_source_value",
            "1,201826,2020-01-01,,x", "2,0,2020-02-01,,E11.9", "2,77,2020-02-02,,y",
        ],
        "MEASUREMENT": [
            "person_id,measurement_concept_id,measurement_date,value_as_number,unit_concept_id,unit_source_value",
            "1,3004410,2020-01-02,7.5,8554,", "1,3004410,2020-01-02,8.5,0,%",
        ],
        "DEATH": ["person_id,death_date", "1,2021-01-01", "2,"],
    }  # fmt: skip
    for name, lines in tables.items():
        write(folder / f"{name.lower() if lower else name}.csv", "\n".join(lines))
    return folder


@pytest.mark.parametrize("lower", [False, True])
def test_omop_tables_are_read(tmp_path, lower):
    found = read_events(write_omop(tmp_path / "omop", lower=lower), now=NOW)
    assert events(found) == [
        ("1", None, "SEX/M", None, None),
        ("1", None, "RACE/White", None, None),
        ("1", "1960-05-01T00:00", "MEDS_BIRTH", None, None),
        ("1", "2020-01-01T00:00", "SNOMED/44054006", None, None),
        ("1", "2020-01-01T08:00", "VISIT/Visit/IP", None, None),
        ("1", "2020-01-02T00:00", "LOINC/4548-4", 7.5, "%"),
        ("1", "2020-01-02T00:00", "LOINC/4548-4", 8.5, "%"),
        ("1", "2020-01-03T00:00", "VISIT_END", None, None),
        ("1", "2021-01-01T00:00", "MEDS_DEATH", None, None),
        ("2", None, "SEX/F", None, None),
        ("2", None, "RACE/other", None, None),
        ("2", "1970-02-03T00:00", "MEDS_BIRTH", None, None),
        ("2", "2020-02-01T00:00", "SOURCE/E11.9", None, None),
        ("2", "2020-02-02T00:00", "OMOP/77", None, None),
        ("3", "1980-07-01T00:00", "MEDS_BIRTH", None, None),
    ]
    assert found.findings.counts == {"death without a date": 1}


def test_omop_tables_that_lack_a_column_or_hold_no_number_are_refused(tmp_path):
    folder = write_omop(tmp_path / "omop")
    write(
        folder / "MEASUREMENT.csv",
        "person_id,measurement_concept_id,measurement_date,value_as_number\n1,3,2020-01-01,high\n",
    )
    with pytest.raises(InputError, match=r"MEASUREMENT.csv, row 2 or later: .*high"):
        read_events(folder)
    write(folder / "MEASUREMENT.csv", "person_id,measurement_date\n1,2020-01-01\n")
    with pytest.raises(InputError, match=r"MEASUREMENT.csv has no column 'measurement_concept_id'"):
        read_events(folder)


def test_vocabularies_as_ohdsi_gives_them_are_read_by_tabs_and_with_stray_quotation_marks(tmp_path):
    folder = write_omop(tmp_path / "omop")
    lines = [
        "concept_id\tconcept_name\tvocabulary_id\tconcept_code",
        '9201\t24" bed\tVisit\tIP',
        "201826\tT2DM\tSNOMED\t44054006",
    ]
    write(folder / "CONCEPT.csv", "\n".join(lines))
    codes = [event[2] for event in events(read_events(folder, now=NOW))]
    assert {"VISIT/Visit/IP", "SNOMED/44054006", "OMOP/3004410"} <= {*codes}
    assert "RACE/White" not in codes
    write(folder / "CONCEPT.csv", "concept_id,concept_name,vocabulary_id,concept_code\nx,T2DM,SNOMED,44054006\n")
    with pytest.raises(InputError, match="CONCEPT, row 2 or later"):
        read_events(folder)
