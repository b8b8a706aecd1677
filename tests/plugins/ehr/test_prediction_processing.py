"""From records to numbers: nothing at or after the index time counts, what cannot be read is refused or counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medhub.errors import InputError
from medhub.plugins.ehr.events import Record
from medhub.plugins.ehr.patients import read_time
from medhub.plugins.ehr.prediction.config import OutcomePredictionConfig
from medhub.plugins.ehr.prediction.cropping import crop
from medhub.plugins.ehr.prediction.data import synthetic
from medhub.plugins.ehr.prediction.explanation import risk_over_time
from medhub.plugins.ehr.prediction.model import OutcomePredictionModel
from medhub.plugins.ehr.prediction.processing import OutcomePredictionProcessor
from medhub.plugins.ehr.rows import from_input
from medhub.plugins.ehr.synthetic import made_up_records

TABLE = synthetic(48)
CONFIG = OutcomePredictionConfig.tiny(id2label={0: "admitted"}, label2id={"admitted": 0})
PROCESSOR = OutcomePredictionProcessor.fit(TABLE.rows, CONFIG)
CREATININE, DAY = "LOINC/2160-0", np.timedelta64(1, "D")


def model(architecture: str = "gru") -> OutcomePredictionModel:
    torch.manual_seed(0)
    return OutcomePredictionModel(replace_architecture(architecture)).eval()


def replace_architecture(architecture: str) -> OutcomePredictionConfig:
    config = OutcomePredictionConfig.tiny(architecture, id2label={0: "admitted"}, label2id={"admitted": 0})
    OutcomePredictionProcessor.fit(TABLE.rows, config)
    return config


def with_events(record: Record, *events: tuple[np.datetime64, str, float]) -> Record:
    """A record with further events, in the order of time."""
    times = np.concatenate([record.times, np.array([time for time, _, _ in events], "M8[us]")])
    order = np.argsort(np.where(np.isnat(times), np.datetime64("0001-01-01", "us"), times), kind="stable")
    return Record(
        subject=record.subject, times=times[order],
        codes=np.array([*record.codes, *(code for _, code, _ in events)], object)[order],
        values=np.array([*record.values, *(value for _, _, value in events)], np.float32)[order],
        units=np.array([*record.units, *(None for _ in events)], object)[order],
    )  # fmt: skip


@settings(max_examples=25)
@given(
    st.integers(0, 47),
    st.lists(st.tuples(st.integers(0, 10**8), st.sampled_from([CREATININE, "ATC/C03CA01", "NEW"]),
                       st.floats(-1e6, 1e6, width=32)), max_size=8),
)  # fmt: skip
def test_nothing_at_or_after_the_index_time_changes_any_number(place, later):
    record, index = from_input(TABLE.rows[place]["input"])
    events = [(index + np.timedelta64(seconds, "s"), code, value) for seconds, code, value in later]
    changed = with_events(record, *events)
    before = PROCESSOR.features(PROCESSOR.read({"events": record, "index": index}))
    after = PROCESSOR.features(PROCESSOR.read({"events": changed, "index": index}))
    assert before.keys() == after.keys()
    for name, array in before.items():
        assert np.array_equal(array, after[name]), name


def test_a_row_and_its_record_give_the_same_numbers():
    raw = TABLE.rows[3]["input"]
    record, index = from_input(raw)
    row = PROCESSOR.features(PROCESSOR.read(raw))
    again = PROCESSOR.features(PROCESSOR.read({"events": record, "index": index}))
    assert all(np.array_equal(row[name], again[name]) for name in row)


def test_the_last_step_is_the_index_time_and_codes_without_a_value_are_seen():
    start = np.datetime64("2020-01-01T00:00", "us")
    record = Record(subject=1, times=np.array([start, start + DAY], "M8[us]"),
                    codes=np.array([CREATININE, "ATC/C03CA01"], object), values=np.array([1.0, np.nan], np.float32),
                    units=np.array(["mg/dL", None], object))  # fmt: skip
    steps = PROCESSOR.steps(PROCESSOR.read({"events": record, "index": start + 3 * DAY}))
    creatinine, drug = (PROCESSOR.scaler.codes.index(code) for code in (CREATININE, "ATC/C03CA01"))
    assert steps.hours.tolist() == [0, 24, 72]
    assert steps.mask[:, creatinine].tolist() == [1, 0, 0]
    assert steps.mask[:, drug].tolist() == [0, 1, 0]
    assert steps.elapsed[:, creatinine].tolist() == [0, 24, 72]
    assert steps.elapsed[:, drug].tolist() == [0, 24, 48]
    assert steps.values[0, creatinine] != 0


def test_values_are_brought_into_the_unit_of_training():
    start = np.datetime64("2020-01-01T00:00", "us")

    def value(number: float, unit: str) -> float:
        record = Record(subject=1, times=np.array([start]), codes=np.array([CREATININE], object),
                        values=np.array([number], np.float32), units=np.array([unit], object))  # fmt: skip
        return PROCESSOR.features(PROCESSOR.read(record))["values"].sum()

    assert value(88.42, "umol/L") == pytest.approx(value(1.0, "mg/dL"), abs=1e-3)


def test_long_and_dense_histories_are_cut_into_steps_of_an_hour():
    start = np.datetime64("2020-01-01T00:00", "us")
    random = np.random.default_rng(0)
    rows = []
    for group in range(12):
        minutes = np.sort(random.choice(48 * 60, 100, replace=False))
        rows.append({
            "input": {"index": (start + np.timedelta64(48, "h")).item(),
                      "time": [(start + np.timedelta64(int(minute), "m")).item() for minute in minutes],
                      "code": ["HR"] * 100, "value": [80.0] * 100, "unit": [None] * 100},
            "labels": [float(group % 2)], "group": str(group),
        })  # fmt: skip
    from datasets import Dataset

    config = OutcomePredictionConfig.tiny()
    processor = OutcomePredictionProcessor.fit(Dataset.from_list(rows), config)
    assert (processor.window_hours, processor.step_hours, processor.unit_hours) == (48, 1, 1)
    assert (config.window_hours, config.step_hours, config.frequencies) == (48, 1, [0.5])
    assert (
        OutcomePredictionProcessor.fit(Dataset.from_list(rows), OutcomePredictionConfig(step_hours=4.0)).step_hours == 4
    )


def test_a_processor_lists_no_code_of_fewer_than_ten_patients_and_names_nobody():
    counts = {code: 0 for code in PROCESSOR.scaler.codes}
    for raw in TABLE.rows["input"]:
        for code in {*raw["code"]} & counts.keys():
            counts[code] += 1
    assert min(counts.values()) >= 10


@pytest.mark.parametrize(
    "raw", [None, "", object(), 3, [], {"events": None, "index": None}, {"resourceType": "Bundle"}]
)
def test_what_is_no_record_is_refused(raw):
    with pytest.raises(InputError):
        PROCESSOR.read(raw)


def test_a_window_that_holds_nothing_is_refused_with_the_cure():
    record, _ = from_input(TABLE.rows[0]["input"])
    assert record.start is not None
    with pytest.raises(InputError, match=r"hold none of the .* codes .* give a longer history"):
        PROCESSOR.read({"events": record, "index": record.start})
    unknown = replace(record, codes=np.array(["NEW"] * len(record), object))
    with pytest.raises(InputError, match="hold none"):
        PROCESSOR.read(unknown)


@pytest.mark.parametrize("architecture", OutcomePredictionConfig.ARCHITECTURES)
def test_a_row_whose_codes_are_all_too_rare_is_told_from_what_does_not_change(architecture):
    raw = dict(TABLE.rows[0]["input"])
    raw["code"] = ["RARE" if time else code for time, code in zip(raw["time"], raw["code"], strict=True)]
    features = PROCESSOR.features(PROCESSOR.read(raw))
    assert not features["seen"].any()
    known = PROCESSOR.features(PROCESSOR.read(TABLE.rows[1]["input"]))
    generator = torch.Generator().manual_seed(0)
    network = model(architecture)
    for batch in (PROCESSOR.collate(PROCESSOR.stack([features, known]), each) for each in (None, generator)):
        assert network(**batch).logits.isfinite().all()


def test_several_patients_give_a_list_and_are_no_single_input():
    records = [*made_up_records(3, seed=5)]
    samples = PROCESSOR.inputs(records)
    assert samples is not None
    assert [PROCESSOR.describe(PROCESSOR.read(sample)) for sample in samples] == ["0", "1", "2"]
    assert PROCESSOR.inputs(records[:1]) is None
    with pytest.raises(InputError, match="there are 3 patients; give one"):
        PROCESSOR.read({"events": records, "index": None})


def test_unknown_codes_and_mended_events_are_counted_in_the_result(tmp_path: Path):
    path = tmp_path / "events.csv"
    path.write_text(
        "subject_id,time,code,value,unit\n"
        "7,2024-05-02T08:00,LOINC/2160-0,1.4,mg/dL\n"
        "7,2024-05-01T08:00,LOINC/2160-0,1.1,mg/dL\n"
        "7,2024-05-01T08:00,LOINC/2160-0,1.1,mg/dL\n"
        "7,2024-05-02T08:00,MY/own,3,\n"
    )
    network = model()
    sample = PROCESSOR.read(path)
    batch = PROCESSOR.collate(PROCESSOR.stack([PROCESSOR.features(sample)]))
    with torch.inference_mode():
        scores = PROCESSOR.scores(network(**batch), network.config)
    result = PROCESSOR.result(sample, scores[0], network.config)
    assert (result.input, result.events, result.unknown_events) == ("7", 3, 1)
    assert any("copy" in reason for reason in result.changed)
    assert "1 of 3 events unknown" in result.title()
    assert result.index == "2024-05-02T08:00:00"


@pytest.mark.parametrize("architecture", OutcomePredictionConfig.ARCHITECTURES)
def test_an_explanation_adds_up_to_the_difference_from_a_patient_of_whom_nothing_is_known(architecture):
    network = model(architecture)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    sample = PROCESSOR.read(TABLE.rows[1]["input"])
    explanation = PROCESSOR.explain(network, sample, "admitted")
    batch = PROCESSOR.collate(PROCESSOR.stack([PROCESSOR.features(sample)]))
    unknown = {**batch, **{name: torch.zeros_like(batch[name]) for name in ("seen", "values", "statics")}}
    with torch.inference_mode():
        difference = (network(**batch).logits - network(**unknown).logits).item()
    assert explanation.values.sum() == pytest.approx(difference, abs=0.02 + 0.02 * abs(difference))
    assert len(explanation.parts) == len(explanation.values)
    assert any(part.startswith(CREATININE) for part in explanation.parts) or "age" in explanation.parts
    assert explanation.picture is not None


def test_the_risk_over_time_ends_with_the_risk_that_is_told():
    network, sample = model(), PROCESSOR.read(TABLE.rows[2]["input"])
    hours, risks = risk_over_time(PROCESSOR, network, sample, 0)
    batch = PROCESSOR.collate(PROCESSOR.stack([PROCESSOR.features(sample)]))
    with torch.inference_mode():
        told = PROCESSOR.scores(network(**batch), network.config)[0, 0]
    assert risks[-1] == pytest.approx(told, abs=1e-6)
    assert (np.diff(hours) > 0).all()
    # what is told of a moment rests on what was known before it
    halfway = len(hours) // 2
    start = sample.record.start
    assert start is not None
    moment = start + np.timedelta64(round(float(hours[halfway]) * 3600), "s")
    early = PROCESSOR.read({"events": sample.record.before(moment), "index": moment})
    batch = PROCESSOR.collate(PROCESSOR.stack([PROCESSOR.features(early)]))
    with torch.inference_mode():
        assert PROCESSOR.scores(network(**batch), network.config)[0, 0] == pytest.approx(risks[halfway], abs=1e-4)


def test_times_are_read_as_text_and_as_objects_and_brought_to_utc():
    expected = np.datetime64("2024-05-31T12:30", "us")
    east = datetime(2024, 5, 31, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    for value in ("2024-05-31T14:30:00+02:00", "2024-05-31T12:30", expected, east, east.astimezone(UTC)):
        assert read_time(value) == expected
    for value in ("yesterday", None, 3, np.datetime64("NaT")):
        with pytest.raises(InputError, match="is no date or time"):
            read_time(value)


def test_a_cropped_series_is_what_was_known_at_an_earlier_step():
    raw = TABLE.rows[4]["input"]
    sample = PROCESSOR.read(raw)
    whole = PROCESSOR.features(sample)
    columns = PROCESSOR.stack([whole] * 40)
    found = crop(columns, share=1.0, generator=torch.Generator().manual_seed(0))
    lengths = {len(seen) for seen in found["seen"]}
    assert len(lengths) > 3
    assert max(lengths) <= len(whole["seen"])
    for values, seen, elapsed in zip(found["values"], found["seen"], found["elapsed"], strict=True):
        end = len(seen) - 1
        assert seen[:-1].any()
        assert not seen[-1].any()
        assert not values[-1].any()
        assert np.array_equal(seen[:-1], whole["seen"][:end])
        assert np.array_equal(elapsed, whole["elapsed"][: end + 1])
        moment = sample.record.start + np.timedelta64(round(float(PROCESSOR.steps(sample).hours[end]) * 3600), "s")
        early = PROCESSOR.features(PROCESSOR.read({"events": sample.record, "index": moment}))
        assert np.array_equal(early["values"], values)
        assert np.allclose(early["elapsed"], elapsed, atol=1e-4)
    assert all(map(np.array_equal, crop(columns, share=0.0, generator=torch.Generator())["seen"], columns["seen"]))


def test_only_training_crops():
    cropping = replace(PROCESSOR, crop=1.0)
    columns = cropping.stack([cropping.features(cropping.read(raw)) for raw in TABLE.rows["input"][:4]])
    assert torch.equal(cropping.collate(columns)["lengths"], PROCESSOR.collate(columns)["lengths"])
    trained = cropping.collate(columns, torch.Generator().manual_seed(1))
    assert (trained["lengths"] <= PROCESSOR.collate(columns)["lengths"]).all()
    assert not torch.equal(trained["lengths"], PROCESSOR.collate(columns)["lengths"])


def test_a_message_names_no_patient(tmp_path: Path):
    path = tmp_path / "events.csv"
    path.write_text("subject_id,time,code,value\nAnna-1950,2024-05-02T08:00,MY/own,3\n")
    with pytest.raises(InputError, match="hold none") as unknown:
        PROCESSOR.read(path)
    path.write_text("subject_id,time,code,value\nAnna-1950,,SEX/F,\n")
    with pytest.raises(InputError, match="patient 1 of 1 has no event with a time") as static:
        PROCESSOR.read(path)
    assert "Anna" not in str(unknown.value) + str(static.value)
