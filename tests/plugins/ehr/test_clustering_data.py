"""The rows of clustering: what is known before the index time, and labels that the inputs do not hold."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from medhub.errors import InputError, LabelError
from medhub.plugins.ehr.clustering.data import DATASETS, own_files, synthetic
from medhub.plugins.ehr.clustering.profile import EXTREME, Profile
from medhub.plugins.ehr.events import Record
from medhub.plugins.ehr.rows import from_input
from medhub.plugins.ehr.synthetic import GROUPS, made_up_records
from medhub.plugins.ehr.windows import at_end


def people(size: int = 60) -> tuple[list[Record], list[np.datetime64]]:
    records = [record.select([not code.startswith(("OUTCOME", "MEDS_DEATH")) for code in record.codes])
               for record in made_up_records(size)]  # fmt: skip
    return records, [at_end(record)[0] for record in records]


def write_csv(path, records) -> None:
    lines = ["subject_id,time,code,value,unit"]
    for record in records:
        for time, code, value, unit in zip(record.times, record.codes, record.values, record.units, strict=True):
            told = ["" if np.isnat(time) else str(time), code, "" if np.isnan(value) else f"{value:g}", unit or ""]
            lines.append(",".join([str(record.subject), *told]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_synthetic_rows_hide_the_outcome_and_tell_the_kind():
    table = synthetic(size=12, seed=3)
    assert [labels["label"] for labels in table.rows["labels"]] == [GROUPS[n % 3] for n in range(12)]
    for raw in table.rows["input"]:
        record, index = from_input(raw)
        assert not any(code.startswith(("OUTCOME", "MEDS_DEATH")) for code in record.codes)
        assert record.end < index


def test_own_events_make_rows_without_labels(tmp_path):
    write_csv(tmp_path / "mine.csv", people(12)[0])
    table = own_files(tmp_path / "mine.csv")
    assert len(table.rows) == 12
    assert table.rows[0]["labels"] == {"label": None, "days": None, "died": None}
    (tmp_path / "empty.csv").touch()
    for name in ("empty.csv", "absent.csv"):
        with pytest.raises(InputError, match=name):
            own_files(tmp_path / name)


def test_a_profile_is_scaled_and_knows_what_is_unknown():
    records, index = people()
    profile = Profile.fit(records, index)
    assert "age" in profile.names
    assert not any(
        name.startswith(("SEX", "RACE", "VISIT", "MEDS")) or name.endswith("count") for name in profile.names
    )
    table = np.stack([profile.vector(record, at) for record, at in zip(records, index, strict=True)])
    assert np.nanmax(np.abs(table)) <= EXTREME
    assert np.abs(np.nanmean(table, axis=0)).max() < 0.2
    assert 0.5 < np.nanstd(table, axis=0).mean() < 1.2
    without = records[0].select([code != "LOINC/2160-0" for code in records[0].codes])
    gone = [number for number, name in enumerate(profile.names) if name.startswith("LOINC/2160-0")]
    assert gone
    assert np.isnan(profile.vector(without, index[0])[gone]).all()


def test_a_profile_survives_json_and_lists_no_rare_code():
    records, index = people()
    first = records[0]
    rare = Record(subject=0, times=first.times[-1:], codes=np.array(["ICD10CM/E75.2"], object),
                  values=np.array([np.nan], np.float32), units=np.array([None], object))  # fmt: skip
    joined = Record(**{name: np.concatenate([getattr(first, name), getattr(rare, name)])
                       for name in ("times", "codes", "values", "units")}, subject=0)  # fmt: skip
    profile = Profile.fit([joined, *records[1:]], index)
    assert "E75.2" not in json.dumps(asdict(profile))
    assert Profile(**json.loads(json.dumps(asdict(profile)))) == profile


def test_nothing_in_common_is_refused():
    records, index = people(12)
    alone = [replace(record, codes=np.array([f"{code}/{n}" for code in record.codes], object))
             for n, record in enumerate(records)]  # fmt: skip
    with pytest.raises(LabelError, match="no value or code in common"):
        Profile.fit(alone, index)


def test_pbc_rows_are_seen_a_year_after_the_first_visit(mirror):
    table = DATASETS["pbc2"].load(DATASETS["pbc2"].fetch())
    assert 250 < len(table.rows) < 312
    assert sum(table.dropped.values()) + len(table.rows) == 312
    for row in table.rows.select(range(50)):
        record, index = from_input(row["input"])
        assert index - record.start == np.timedelta64(365, "D")
        assert not any("histologic" in code or "drug" in code for code in record.codes)
        assert row["labels"]["days"] >= 0
    assert {labels["label"] for labels in table.rows["labels"]} == {f"stage {n}" for n in (1, 2, 3, 4)}
