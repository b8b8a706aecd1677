"""The event store: what is written comes back, in any order, whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medhub.errors import DataError, InputError
from medhub.plugins.ehr import store
from medhub.plugins.ehr.events import EventTable, as_table
from medhub.plugins.ehr.readers import read_events, stream_events
from medhub.plugins.ehr.store import EventStore, write_events
from medhub.plugins.ehr.synthetic import made_up_records


def shuffled(records: EventTable, seed: int = 0) -> pa.Table:
    """Events in any order, but those of one moment as they were."""
    table = as_table([*records])
    order = np.random.default_rng(seed).permutation(len(table))
    moments = {}
    for row in order:
        moments.setdefault((table["subject_id"][int(row)].as_py(), table["time"][int(row)].as_py()), []).append(
            int(row)
        )
    return table.take([row for rows in moments.values() for row in sorted(rows)])


def test_records_come_back_in_shards_and_a_shard_holds_whole_patients(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PARTITIONS", 4)
    records = made_up_records(60)
    written = write_events(stream_events(shuffled(records)), tmp_path / "events", shard_patients=7)
    assert {record.subject: record for record in written}.keys() == {record.subject for record in records}
    assert all(record == records[record.subject] for record in written)
    assert written.events == len(records.table)
    assert written.findings.counts["event earlier than the one before it, sorted"] > 0
    shards = [
        set(pq.read_table(path)["subject_id"].to_pylist()) for path in sorted((tmp_path / "events/data").iterdir())
    ]
    assert sum(map(len, shards)) == len(set.union(*shards)) == 60
    assert max(map(len, shards)) <= 7
    assert [written[place].subject for place in (41, 3, -1)] == [int(written.subjects[place]) for place in (41, 3, -1)]
    assert [record.subject for record in written[2:5]] == written.subjects[2:5].tolist()
    with pytest.raises(IndexError):
        written[60]


def test_a_store_is_a_meds_data_set_that_is_read_as_one(tmp_path):
    records = made_up_records(20)
    write_events(stream_events(as_table([*records])), tmp_path / "events")
    again = read_events(tmp_path / "events")
    assert [*again] == [*records]
    assert again.findings.counts == {}
    assert json.loads((tmp_path / "events/metadata/dataset.json").read_text())["meds_version"] == "0.4"
    codes = pq.read_table(tmp_path / "events/metadata/codes.parquet")
    assert codes["code"].to_pylist() == sorted({code for record in records for code in record.codes})


def test_units_are_made_one_over_all_shards(tmp_path):
    rows = [(n, "2020-01-01", "LOINC/29463-7", 80.0, "kg") for n in range(9)] + [
        (77, "2020-01-01", "LOINC/29463-7", 100.0, "lb")
    ]
    columns = ("subject_id", "time", "code", "value", "unit")
    table = pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
    written = write_events(stream_events(table), tmp_path / "events")
    pounds = next(record for record in written if record.subject == 77)
    assert pounds.values.tolist() == pytest.approx([45.359237])
    assert pounds.units.tolist() == ["kg"]


def test_ids_that_are_no_numbers_stay_beside_the_events(tmp_path):
    table = pa.table({"subject_id": ["A-17", "5"], "time": ["2020-01-01"] * 2, "code": ["x", "y"]})
    written = write_events(stream_events(table), tmp_path / "events")
    assert sorted(written.subjects.tolist()) == [-1, 5]
    assert written.names == {-1: "A-17"}
    assert write_events(stream_events(as_table([*written])), tmp_path / "others").names == {}


def test_nothing_is_left_where_writing_fails_and_nothing_is_overwritten(tmp_path):
    table = pa.table({"subject_id": [1, 1], "time": ["2020-01-01", "yesterday"], "code": ["x", "y"]})
    with pytest.raises(InputError, match="row 2: time 'yesterday'"):
        write_events(stream_events(table), tmp_path / "events")
    future = pa.table({"subject_id": [1], "time": ["2999-01-01"], "code": ["x"]})
    with pytest.raises(InputError, match=r"no event that can be used .*1  event in the future"):
        write_events(stream_events(future), tmp_path / "events")
    assert [*tmp_path.iterdir()] == []
    write_events(stream_events(as_table([*made_up_records(2)])), tmp_path / "events")
    with pytest.raises(InputError, match="is there already"):
        write_events(stream_events(as_table([*made_up_records(2)])), tmp_path / "events")


def test_a_folder_that_is_not_whole_is_refused(tmp_path):
    with pytest.raises(DataError, match="is no event store"):
        EventStore(tmp_path)
    written = write_events(stream_events(as_table([*made_up_records(2)])), tmp_path / "events")
    for path in (tmp_path / "events/data").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        written[0]


def test_a_store_and_a_table_hold_the_same_of_messy_events(tmp_path):
    random = np.random.default_rng(5)
    times = np.datetime64("2019-01-01", "s") + random.integers(0, 3000, 4000) * np.timedelta64(1, "D")
    table = pa.table({
        "subject_id": random.integers(0, 300, 4000),
        "time": np.where(random.random(4000) < 0.1, np.datetime64("NaT"), times),
        "code": random.choice(["LOINC/2345-7", "B", "MEDS_BIRTH"], 4000, p=[0.6, 0.35, 0.05]),
        "value": random.integers(0, 3, 4000),
        "unit": random.choice(["mg/dL", "mmol/L", "kg"], 4000, p=[0.6, 0.3, 0.1]),
    })  # fmt: skip
    now = np.datetime64("2026-01-01", "us")
    held = read_events(table, now=now)
    written = write_events(stream_events(table), tmp_path / "events", now=now, shard_patients=50)
    assert sorted(written.findings.counts.items()) == sorted(held.findings.counts.items())
    assert len(held.findings.counts) == 7
    by_subject = {record.subject: record for record in held}
    assert len(written) == len(held)
    assert all(by_subject[record.subject] == record for record in written)


def test_events_need_no_torch():
    program = (
        "import sys; from medhub.plugins.ehr import features, statics, store, synthetic, visits, windows; "
        "print('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
