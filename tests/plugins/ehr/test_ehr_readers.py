"""Readers: MEDS and long tables on small files, and what is wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medhub.errors import InputError
from medhub.plugins.ehr.events import EventTable
from medhub.plugins.ehr.readers import delimited, read_events
from medhub.plugins.ehr.synthetic import made_up_records

NOW = np.datetime64("2026-01-01", "us")
LONG = """subject_id,time,code,value,unit
7,2020-01-02T08:30:00,LOINC/2345-7,95,mg/dL
7,2020-01-03,ICD10CM/E11.9,,
7,,SEX/F,,
12,2020-01-01 10:00:00,"LOINC/5767-9, look",turbid,
"""


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


EXPECTED = [
    ("7", None, "SEX/F", None, None),
    ("7", "2020-01-02T08:30", "LOINC/2345-7", 95.0, "mg/dL"),
    ("7", "2020-01-03T00:00", "ICD10CM/E11.9", None, None),
    ("12", "2020-01-01T10:00", "LOINC/5767-9, look", None, None),
]


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz", "EVENTS.CSV"])
@pytest.mark.parametrize(
    "change",
    [
        str,
        lambda t: t.replace("\n", "\r\n"),
        lambda t: f"\ufeff{t}",
        lambda t: t.replace("subject_id", "Subject_ID"),
        lambda t: t.replace("value", "numeric_value"),
    ],
)
def test_a_long_csv_is_read(tmp_path, name, change):
    found = read_events(write(tmp_path / name, change(LONG)), now=NOW)
    assert events(found) == EXPECTED
    assert found.findings.counts == {"value that is no number, kept as text": 1}
    assert found.table["text_value"].to_pylist()[-1] == "turbid"


def test_tsv_parquet_and_tables_in_memory_are_read_alike(tmp_path):
    frame = pd.read_csv(write(tmp_path / "a.csv", LONG.replace("turbid", "")))
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    frame["time"] = pd.to_datetime(frame["time"], format="ISO8601")
    frame.to_parquet(tmp_path / "a.parquet")
    for source in (tmp_path / "a.tsv", str(tmp_path / "a.parquet"), frame, pa.Table.from_pandas(frame)):
        assert events(read_events(source, now=NOW)) == EXPECTED


def test_a_csv_of_many_blocks_is_read_with_right_row_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", 1000)
    lines = [f"{n % 7},2020-01-01T00:{n % 60:02}:00,C{n},1.5,kg" for n in range(500)]
    path = write(tmp_path / "a.csv", "\n".join(["subject_id,time,code,value,unit", *lines]))
    assert len(read_events(path, now=NOW).table) == 500
    lines[400] = lines[400].replace("2020-01-01T", "2030-01-01T")
    write(path, "\n".join(["subject_id,time,code,value,unit", *lines]))
    assert read_events(path, now=NOW).findings.places["event in the future"] == "a.csv, row 402"
    lines[450] = "3,soon,C,1,kg"
    with pytest.raises(InputError, match=r"a.csv, row 452: time 'soon' is no date or time"):
        read_events(write(path, "\n".join(["subject_id,time,code,value,unit", *lines])))


def test_times_with_a_zone_become_utc_and_mixed_ones_are_refused(tmp_path):
    path = write(tmp_path / "a.csv", "subject_id,time,code\n1,2020-01-01T10:00:00+02:00,A\n1,2020-01-01T09:00:00Z,B\n")
    assert [event[1:3] for event in events(read_events(path))] == [("2020-01-01T08:00", "A"), ("2020-01-01T09:00", "B")]
    write(path, "subject_id,time,code\n1,2020-01-01T10:00:00+02:00,A\n1,2020-01-01T09:00:00,B\n")
    with pytest.raises(InputError, match="some times of time have a zone and some have none"):
        read_events(path)


def test_ids_of_any_kind_are_kept_apart(tmp_path):
    path = write(
        tmp_path / "a.csv",
        "subject_id,time,code\n0012,2020-01-01,A\n12,2020-01-01,B\nx y,2020-01-01,C\n0012,2020-01-02,D\n",
    )
    found = read_events(path)
    assert sorted((found.name(record), [*record.codes]) for record in found) == [
        ("0012", ["A", "D"]),
        ("12", ["B"]),
        ("x y", ["C"]),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patient_id,time,code\n1,2020-01-01,A\n", "no column 'subject_id'; 'patient_id' looks like it: rename it"),
        ("RecordID,Time,Parameter\n1,2020-01-01,A\n", "no column 'subject_id'; 'recordid' looks like it"),
        (
            "subject_id,time\n1,2020-01-01\n",
            "no column 'code'. Columns: subject_id, time; needed: subject_id, time, code",
        ),
        ("", "no column 'subject_id'. Columns: none"),
        ("subject_id,time,code\n", "holds no event that can be used"),
        ("subject_id,time,code\n1,2020-01-01\n", "after row 1: .*Expected 3 columns, got 2"),
        ("subject_id,time,code,code\n1,2020-01-01,A,B\n", "names a column twice"),
        ("subject_id,time,code,value,numeric_value\n1,2020-01-01,A,1,1\n", "both columns numeric_value and value"),
        ("subject_id,time,code\n1,31.05.2020,A\n", "row 2: time '31.05.2020' is no date or time; write it as"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_events(write(tmp_path / "a.csv", text))


def test_what_is_no_source_is_refused(tmp_path):
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(LONG.encode() * 50)[:-20])
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    for source, said in (
        (tmp_path / "none.csv", "there is no"),
        (tmp_path / "folder", "holds no events; give a MEDS folder"),
        (write(tmp_path / "a.xml", "<a/>"), "is of no kind that is read"),
        (3, "cannot read events from int"),
        ([], "cannot read events from list"),
        (cut, "cut.csv.gz"),
        (tmp_path / "broken.parquet", "cannot be read"),
    ):
        with pytest.raises(InputError, match=said):
            read_events(source)


def test_records_are_a_source_too():
    records = made_up_records(5)
    assert [*read_events([*records])] == [*records]
    assert [*read_events(records[2])] == [records[2]]


def test_meds_is_read_and_its_types_are_held_to(tmp_path):
    table = pa.table(
        {
            "subject_id": pa.array([2, 1, 1]),
            "time": pa.array([None, 5, 7], pa.timestamp("us")),
            "code": ["SEX/F", "A", "B"],
            "numeric_value": pa.array([None, 1.5, float("nan")], pa.float32()),
        }
    )
    (tmp_path / "meds/data/train").mkdir(parents=True)
    pq.write_table(table.slice(0, 2), tmp_path / "meds/data/train/0.parquet")
    pq.write_table(table.slice(2), tmp_path / "meds/data/train/1.parquet")
    assert [event[2:4] for event in events(read_events(tmp_path / "meds"))] == [
        ("A", 1.5),
        ("B", None),
        ("SEX/F", None),
    ]
    pq.write_table(table.set_column(0, "subject_id", pa.array(["a", "b", "c"])), tmp_path / "meds/data/x.parquet")
    with pytest.raises(InputError, match="subject_id holds string, but MEDS has whole numbers"):
        read_events(tmp_path / "meds")
    pq.write_table(table.drop(["code"]), tmp_path / "meds/data/x.parquet")
    with pytest.raises(InputError, match=r"x.parquet has no column 'code'"):
        read_events(tmp_path / "meds")
