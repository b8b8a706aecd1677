"""The networks and their processor: what they read, learn, say and keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import medhub
from medhub.data import Table, load_data, prepare
from medhub.errors import ConfigError, InputError
from medhub.plugins.ehr.events import VISIT, Record
from medhub.plugins.ehr.recommendation.baselines import BASELINES
from medhub.plugins.ehr.recommendation.choices import Choices
from medhub.plugins.ehr.recommendation.config import RecommendationConfig
from medhub.plugins.ehr.recommendation.data import synthetic
from medhub.plugins.ehr.recommendation.encoding import VisitEncoder
from medhub.plugins.ehr.recommendation.explanation import drug_odds
from medhub.plugins.ehr.recommendation.metrics import METRICS
from medhub.plugins.ehr.recommendation.model import RecommendationModel
from medhub.plugins.ehr.recommendation.processing import RecommendationProcessor
from medhub.plugins.ehr.rows import from_input
from medhub.predictor import Predictor, from_pretrained

TABLE = synthetic(size=200, seed=3)


def made(table: Table = TABLE, **changes) -> tuple[RecommendationConfig, RecommendationProcessor]:
    names = dict(enumerate(table.label_names))
    config = RecommendationConfig.tiny(id2label=names, label2id={name: n for n, name in names.items()}, **changes)
    return config, RecommendationProcessor.fit(table.rows, config)


def fitted(config: RecommendationConfig, processor: RecommendationProcessor, rows, *, steps: int = 60):
    torch.manual_seed(0)
    model = RecommendationModel(config)
    features = prepare(rows, processor, cache=False)
    batch = processor.collate({name: column for name, column in features.take(np.arange(len(rows))).items()})
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        model(**batch).loss.backward()
        optimiser.step()
    return model.eval()


def scored(model, processor: RecommendationProcessor, rows) -> tuple[np.ndarray, np.ndarray]:
    features = prepare(rows, processor, cache=False)
    columns = features.take(np.arange(len(rows)))
    with torch.inference_mode():
        outputs = model(**processor.collate({name: columns[name] for name in ("visits", "statics")}))
    return processor.scores(outputs, model.config), processor.truths(columns)


def with_trial(table: Table) -> Table:
    """Return rows of a made-up trial: one of two drugs by lot, of which the first helps women, the second men."""
    random = np.random.default_rng(0)
    arms = random.integers(0, 2, len(table.rows))
    labels = []
    for arm, sex in zip(arms.tolist(), table.rows["sex"], strict=True):
        helps = (arm == 0) == (sex == "F")
        labels.append({"given": [1.0 - arm, float(arm)], "outcome": float(helps), "propensity": 0.5})
    rows = table.rows.remove_columns("labels").add_column("labels", labels)
    return Table(rows=rows, label_names=("ATC/first", "ATC/second"))


def test_a_network_learns_made_up_patients_better_than_one_set_for_all():
    splits = load_data(TABLE)
    config, processor = made()
    model = fitted(config, processor, splits.train)
    scores, truths = scored(model, processor, splits.test)
    jaccard = METRICS["jaccard"].compute
    base = BASELINES["one best set for all"](
        splits.train, splits.test, labels=TABLE.label_names, processor=processor, seed=0
    )
    assert jaccard(scores, truths) > jaccard(base, truths) + 0.2


def test_of_a_trial_is_learnt_who_fares_well_with_what():
    table = with_trial(TABLE)
    splits = load_data(table)
    config, processor = made(table)
    assert processor.objective == "outcome"
    assert processor.sets == [[0], [1]]
    model = fitted(config, processor, splits.train)
    scores, truths = scored(model, processor, splits.test)
    value = METRICS["policy_value"].compute
    arm = BASELINES["one best set for all"](
        splits.train, splits.test, labels=table.label_names, processor=processor, seed=0
    )
    assert value(scores, truths) > 0.9 > value(arm, truths)
    regression = BASELINES["logistic regression on the last visit"](
        splits.train, splits.test, labels=table.label_names, processor=processor, seed=0
    )
    assert value(regression, truths) > 0.9
    with pytest.raises(ConfigError, match="have no outcome"):
        made(objective="outcome")


def test_the_penalty_keeps_interacting_drugs_apart(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("drug_a,drug_b,note\nATC/C03CA01,ATC/C07AB07,made up\n", encoding="utf-8")
    rates = []
    for penalty in (0.0, 5.0):
        config, processor = made(interaction_table=str(path), interaction_penalty=penalty)
        assert config.interaction_table is None
        assert len(config.interactions) == 1
        scores, truths = scored(fitted(config, processor, TABLE.rows), processor, TABLE.rows)
        rates.append(METRICS["ddi_rate"].compute(scores, truths))
        assert "interact" in (processor.calibrate(scores, truths, config) or "")
    assert rates[0] > 0
    assert not rates[1] > 0


def test_the_copied_drugs_are_those_of_the_last_visit():
    _config, processor = made()
    rows = TABLE.rows.select(range(20))
    copied = BASELINES["the last visit's drugs again"](
        rows, rows, labels=TABLE.label_names, processor=processor, seed=0
    )
    for row, drugs in zip(rows, copied[:, 1], strict=True):
        last = processor.split(processor.read(row["input"]))[-2]
        assert {name for name, given in zip(processor.drugs, drugs, strict=True) if given} == {
            code for code in last.codes if code in processor.drugs
        }


def test_the_coming_visit_is_empty_where_the_last_one_has_drugs():
    _config, processor = made(most_visits=16)
    record, _index = from_input(TABLE.rows[0]["input"])
    known = processor.split(processor.read(record))
    assert len(known[-1])
    assert not any(code in processor.drugs for code in known[-1].codes)
    end = record.times[-1] + np.timedelta64(1, "h")
    given = Record(
        subject=0, times=np.append(record.times, end), codes=np.append(record.codes, "ATC/C09AA05"),
        values=np.append(record.values, np.float32(np.nan)), units=np.append(record.units, None),
    )  # fmt: skip
    visits = processor.split(processor.read(given))
    assert len(visits) == len(known) + 1
    assert not len(visits[-1])
    numbers = processor.encoder.encode(visits)
    assert not numbers[-1].any()
    assert numbers[-2][: len(processor.drugs)].sum() == 1
    assert numbers.shape == (len(visits), len(processor.encoder.names))


def test_time_between_visits_is_read_only_where_it_differs():
    _config, processor = made()
    assert processor.encoder.names[-1] == "time since the visit before"
    moments = np.array([f"2020-01-0{day}T08:00" for day in (1, 2, 3)], "datetime64[us]")
    codes = np.array(["VISIT/x"] * 3, object)
    nothing = np.full(3, np.nan, np.float32)
    records = [
        Record(subject=n, times=moments, codes=codes, values=nothing, units=np.full(3, None, object)) for n in range(10)
    ]
    daily = VisitEncoder.fit(records, drugs=["DRUG/a"])
    assert daily.names == ["DRUG/a", "VISIT/x", "other codes"]
    assert daily.encode(daily.split(records[0])).shape == (3, 3)


def test_codes_that_the_model_does_not_know_are_counted_and_a_record_of_nothing_else_is_refused():
    config, processor = made()
    model = RecommendationModel(config).eval()
    record, _ = from_input(TABLE.rows[0]["input"])
    codes = record.codes.copy()
    codes[-1] = "LOINC/never-seen"
    odd = Record(subject=0, times=record.times, codes=codes, values=record.values, units=record.units)
    result = Predictor(medhub.get("ehr/recommendation"), model, processor, device="cpu").predict(odd)
    assert result.unknown_events == 1
    assert result.events == len(processor.read(odd).events)
    unknown = np.array(["X/never-seen"] * len(codes), object)
    strange = Record(subject=0, times=record.times, codes=unknown, values=record.values, units=record.units)
    with pytest.raises(InputError, match="the model knows none of the"):
        processor.read(strange)
    with pytest.raises(InputError, match="no event"):
        processor.read(record.select(slice(record.static)))


def test_a_result_names_what_interacts_and_turns_into_json_and_a_picture(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("drug_a,drug_b,note\nATC/B03XA01,ATC/C09AA05,made up\n", encoding="utf-8")
    config, processor = made(interaction_table=str(path))
    row = next(row for row in TABLE.rows if "ATC/B03XA01" in processor.split(processor.read(row["input"]))[-2].codes)
    sample = processor.read(row["input"])
    chosen = np.array([name in ("ATC/B03XA01", "ATC/C09AA05") for name in processor.drugs], float)
    both = processor.result(sample, np.stack([chosen * 0.8, chosen]), config)
    assert [pair.note for pair in both.interactions] == ["made up"]
    assert not both.with_last
    assert "1 interacting" in both.title()
    one = np.array([name == "ATC/C09AA05" for name in processor.drugs], float)
    alone = processor.result(sample, np.stack([one * 0.8, one]), config)
    assert not alone.interactions
    assert len(alone.with_last) == 1
    assert '"made up"' in both.to_json()
    assert both.save(tmp_path / "page.png").stat().st_size > 1000


def test_a_saved_model_keeps_its_drugs_sets_and_interactions(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("drug_a,drug_b,note\nATC/B03XA01,ATC/C09AA05,made up\n", encoding="utf-8")
    config, processor = made(interaction_table=str(path))
    predictor = Predictor(medhub.get("ehr/recommendation"), RecommendationModel(config), processor, device="cpu")
    raws = [TABLE.rows[n]["input"] for n in range(3)]
    before = predictor.predict(raws)
    loaded = from_pretrained(predictor.save(tmp_path / "model"), device="cpu")
    after = loaded.predict(raws)
    assert [one.probabilities for one in before] == [one.probabilities for one in after]
    assert loaded.processor == processor
    text = "".join(file.read_text(encoding="utf-8") for file in Path(tmp_path / "model").glob("*.json"))
    assert str(tmp_path) not in text  # no path of this machine


def test_the_log_odds_of_a_drug_are_those_of_all_sets_with_it_against_all_without():
    choices = Choices.of([[], [0], [1], [0, 1]], drugs=2)
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.5]])
    odds = drug_odds(logits, torch.from_numpy(choices.sets), objective="given")
    p = choices.marginals(logits.double().softmax(1).numpy())[0]
    assert odds[0].tolist() == pytest.approx(np.log(p / (1 - p)).tolist(), abs=1e-5)
    best = drug_odds(logits, torch.from_numpy(choices.sets), objective="outcome")
    assert best[0].tolist() == [0.5, 2.0]


def test_an_explanation_adds_up_to_the_difference_to_an_empty_history():
    config, processor = made()
    splits = load_data(TABLE)
    model = fitted(config, processor, splits.train, steps=20)
    sample = processor.read(TABLE.rows[0]["input"])
    explanation = processor.explain(model, sample, processor.drugs[0])
    batch = processor.collate(processor.stack([processor.features(sample)]))
    sets = torch.from_numpy(processor.choices.sets)
    with torch.inference_mode():
        full, without = (
            drug_odds(model(**{**batch, "visits": visits})["logits"], sets, objective="given")[0, 0].item()
            for visits in (batch["visits"], torch.zeros_like(batch["visits"]))
        )
    inside = [v for v, part in zip(explanation.values, explanation.parts, strict=True) if "at all times" not in part]
    assert sum(inside) == pytest.approx(full - without, abs=0.05)
    assert explanation.picture is not None
    assert any("coming visit" in part for part in explanation.parts)
    assert any(VISIT in part for part in explanation.parts)


@pytest.mark.parametrize(
    "changes", [{"objective": "guess"}, {"most_visits": 1}, {"interaction_penalty": -1.0}, {"architecture": "cnn"}]
)
def test_settings_that_cannot_be_meant_are_refused(changes):
    with pytest.raises(ConfigError):
        RecommendationConfig(**changes)
