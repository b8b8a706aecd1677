"""From raw sequences to typed results, their files, pictures and explanations."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import torch

from medhub.errors import ConfigError, InputError
from medhub.plugins.genomics.prediction import demo, explanation
from medhub.plugins.genomics.prediction.config import SequencePredictionConfig
from medhub.plugins.genomics.prediction.data import synthetic
from medhub.plugins.genomics.prediction.model import IGNORED, SequencePredictionModel
from medhub.plugins.genomics.prediction.processing import SequencePredictionProcessor
from medhub.plugins.genomics.prediction.results import LabelledSequence, SequenceLikelihood
from medhub.plugins.genomics.prediction.rows import LABELS, next_letters
from medhub.plugins.genomics.prediction.track import LINE, MOST_LINES, draw_track
from medhub.predictor import Predictor
from medhub.processing import as_rows
from medhub.registry import get
from medhub.sequences.fasta import Record, read_fasta
from medhub.sequences.rows import make_rows


def predictor(objective: str = "labels", **changes) -> Predictor:
    table = synthetic(size=8)
    names = table.label_names if objective == "labels" else tuple("ARNDCQEGHILKMFPSTWYV")
    config = SequencePredictionConfig.tiny(
        id2label=dict(enumerate(names)), label2id={name: number for number, name in enumerate(names)}, **changes
    )
    processor = SequencePredictionProcessor.fit(table.rows, config)
    torch.manual_seed(0)
    return Predictor(get("genomics/prediction"), SequencePredictionModel(config), processor, device="cpu")


@pytest.fixture(scope="module")
def labelling() -> Predictor:
    return predictor()


def test_every_form_of_a_sequence_gives_the_same_result(labelling, tmp_path):
    record = pytest.importorskip("Bio.SeqRecord").SeqRecord(pytest.importorskip("Bio.Seq").Seq("MKVLEE"), id="p")
    (tmp_path / "one.fasta").write_text(">p\nmkv\nlee\n")
    wanted = labelling.predict(Record(name="p", sequence="MKVLEE"))
    for raw in (record, ">p\nMKVLEE", tmp_path / "one.fasta", str(tmp_path / "one.fasta")):
        assert labelling.predict(raw) == wanted
    assert labelling.predict("MKVLEE").labels == wanted.labels


def test_fasta_of_several_records_gives_a_list(labelling):
    results = labelling.predict(">a\nMKVLEE\n>b\nWQ\n")
    assert [(result.input, len(result.labels)) for result in results] == [("a", 6), ("b", 2)]
    with pytest.raises(InputError, match="2 sequences where one is needed"):
        labelling.processor.read(">a\nMKVLEE\n>b\nWQ\n")
    with pytest.raises(InputError, match="looks like dna"):
        labelling.predict("ACGT" * 10)


def test_a_result_says_what_the_probabilities_say():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    result = LabelledSequence.from_probabilities(
        Record(name="p", sequence="MKVL"), probabilities, names=("H", "E", "C")
    )
    assert result.label_string == "HHEC"
    assert result.bars() == {"H": 0.5, "E": 0.25, "C": 0.25}
    assert result.title() == "p: H 50 %, E 25 %, C 25 %"
    first = result.segments[0]
    assert (first.label, first.start, first.end) == ("H", 1, 2)
    assert first.confidence == pytest.approx(0.8)
    assert "".join(run.label * (run.end - run.start + 1) for run in result.segments) == result.label_string


def test_files_hold_what_the_result_says(labelling, tmp_path):
    result = labelling.predict(">p1\nMKVLEEARWQQ")
    sequence, labels = read_fasta(result.save(tmp_path / "p1.fasta"), alphabet=None)
    assert (sequence.sequence, labels.sequence) == (result.sequence, result.label_string)
    rows = [*csv.DictReader(io.StringIO(result.save(tmp_path / "p1.csv").read_text()))]
    assert [row["label"] for row in rows] == [*result.labels]
    assert [row["residue"] for row in rows] == [*result.sequence]
    assert rows[-1]["position"] == "11"
    values = [[float(row[name]) for name in "HEC"] for row in rows]
    assert np.allclose(values, result.posteriors, atol=1e-4)
    known = json.loads(result.save(tmp_path / "p1.json").read_text())
    assert known["segments"][0]["start"] == 1
    assert np.shape(known["posteriors"]) == (11, 3)
    assert result.save(tmp_path / "p1.png").read_bytes().startswith(b"\x89PNG")


def test_a_track_draws_labels_in_their_colours_as_high_as_they_are_probable():
    high, low = (draw_track("M" * 70, ["H"] * 70, np.full(70, share), names=("H", "C")) for share in (0.9, 0.3))
    count = [np.sum((np.asarray(picture) == (0xD5, 0x5E, 0x00)).all(-1)) for picture in (high, low)]
    assert count[0] > 2.5 * count[1] > 0
    longest = LINE * MOST_LINES
    usual = draw_track("M" * longest, ["H"] * longest, np.ones(longest), names=("H",))
    longer = draw_track("M" * 9 * longest, ["H"] * 9 * longest, np.ones(9 * longest), names=("H",))
    assert longer.height < usual.height + 40


def test_explanations_sum_to_what_the_letters_do(labelling):
    sequence = "MKVLEEARWQQPFE"
    result = labelling.predict(sequence)
    label = max(result.bars(), key=result.bars().__getitem__)
    found = labelling.explain(sequence)
    model, number = labelling.model, labelling.labels.index(label)
    places = [place for place, name in enumerate(result.labels) if name == label]
    inputs = labelling.processor.collate({"input_ids": [labelling.processor.letters.encode(sequence)]})
    with torch.inference_mode():
        logits = model(**inputs).logits[0, places, number].mean()
        weight = model.reader.embedding.weight
        weight.data, kept = torch.zeros_like(weight), weight.data
        blank = model(**inputs).logits[0, places, number].mean()
        weight.data = kept
    assert found.label == label
    assert found.values.sum() == pytest.approx(float(logits - blank), rel=0.02, abs=1e-4)
    assert found.parts[0] == "M1"
    assert len(found.values) == len(sequence)
    assert found.picture is not None


def test_of_a_long_sequence_the_part_with_the_label_is_explained(monkeypatch):
    monkeypatch.setattr(explanation, "STRETCH", 20)
    labelling = predictor()
    sequence = synthetic(size=20).rows["input"]
    sequence = "".join(sequence)[:400]
    label = labelling.predict(sequence).labels[200]
    found = labelling.explain(sequence, label)
    start = int(found.parts[0][1:])
    there = [name == label for name in labelling.predict(sequence).labels]
    assert sum(there[start - 1 : start + 19]) == max(sum(there[first : first + 20]) for first in range(381))
    assert len(found.values) == 20
    assert f"positions {start} to {start + 19}" in found.method


def test_sequences_without_labels_get_a_perplexity_and_what_follows():
    following = predictor("next")
    assert following.processor.objective == "next"
    assert following.model.config.causal
    result = following.predict("MKVXLE")
    assert isinstance(result, SequenceLikelihood)
    batch = following.processor.collate({"input_ids": [following.processor.letters.encode("MKVXLE")]})
    with torch.inference_mode():
        expected = following.model(**batch).logits[0].log_softmax(-1).numpy()
    names = "ARNDCQEGHILKMFPSTWYV"
    wanted = [expected[place, names.index(letter)] for place, letter in ((0, "K"), (1, "V"), (3, "L"), (4, "E"))]
    assert result.perplexity == pytest.approx(np.exp(-np.mean(wanted)), rel=1e-5)
    assert np.isnan(result.log_likelihoods[2])
    assert sum(result.following.values()) == pytest.approx(1)
    assert list(result.following) == [*names]
    assert following.predict("M").perplexity is None
    assert "not defined" in following.predict("M").title()


def test_what_follows_is_written_and_explained(tmp_path):
    following = predictor("next")
    result = following.predict("MKVXLE", explain=True)
    rows = [*csv.DictReader(io.StringIO(result.save(tmp_path / "p.csv").read_text()))]
    assert [row["position"] for row in rows] == ["2", "3", "4", "5", "6"]
    assert rows[2]["log_likelihood"] == ""
    assert json.loads(result.to_json())["log_likelihoods"][2] is None
    assert len(result.explanation.values) == 6
    pytest.importorskip("gradio")
    assert len(demo.draw(result)) == len(demo.outputs())


def test_an_objective_that_does_not_go_with_the_labels_is_refused():
    with pytest.raises(ConfigError, match="'next' does not go with the labels H, E, C"):
        _fit("next", ("H", "E", "C"))
    with pytest.raises(ConfigError, match="'labels' does not go with the labels A, R"):
        _fit("labels", tuple("ARNDCQEGHILKMFPSTWYV"))


def _fit(objective: str, names: tuple[str, ...]) -> SequencePredictionProcessor:
    config = SequencePredictionConfig.tiny(objective=objective, id2label=dict(enumerate(names)))
    return SequencePredictionProcessor.fit(synthetic(size=4).rows, config)


def test_training_takes_random_windows_of_long_sequences_with_their_labels():
    processor = SequencePredictionProcessor(alphabet="dna", objective="labels", window=10)
    columns = {
        "input_ids": [np.arange(1, 41, dtype=np.uint8), np.arange(1, 5, dtype=np.uint8)],
        "labels": [np.arange(1, 41, dtype=np.int16), np.arange(1, 5, dtype=np.int16)],
    }
    starts = set()
    for seed in range(20):
        batch = processor.collate(columns, torch.Generator().manual_seed(seed))
        assert batch["lengths"].tolist() == [10, 4]
        assert batch["input_ids"].shape == (2, 10)
        assert torch.equal(batch["input_ids"][0], batch["labels"][0])
        assert batch["labels"][1, 4:].eq(IGNORED).all()
        starts.add(int(batch["input_ids"][0, 0]))
    assert len(starts) > 8
    assert processor.collate(columns)["lengths"].tolist() == [40, 4]


def test_calibration_moves_probabilities_and_says_so(labelling):
    random = np.random.default_rng(0)
    true = random.dirichlet(np.ones(3), 4000)
    labels = (true.cumsum(1) < random.random((4000, 1))).sum(1)
    sure = true**2 / (true**2).sum(1, keepdims=True)
    config = SequencePredictionConfig.tiny()
    labels[:50] = IGNORED
    said = labelling.processor.calibrate(as_rows([sure[:1000], sure[1000:]]), as_rows([labels[:1000], labels[1000:]]),
                                         config)  # fmt: skip
    assert config.temperature == pytest.approx(2, rel=0.1)
    assert "3,950 scored positions" in said


def test_labels_of_another_length_than_the_sequence_are_refused(labelling):
    rows = make_rows([{"input": "MKVL", "labels": [0, 1, 2], "group": "a"}], labels=LABELS)
    with pytest.raises(InputError, match="3 labels for 4 letters"):
        labelling.processor.targets(rows[0])


def test_next_letters_are_those_behind():
    alphabet = predictor("next").processor.letters
    assert next_letters("ARXN", alphabet) == [1, IGNORED, 2, IGNORED]


def test_a_visitors_text_is_never_read_as_a_file(tmp_path):
    path = tmp_path / "secret.fasta"
    path.write_text(">a\nMKVL\n")
    labelling = predictor()
    with pytest.raises(InputError, match="record 'sequence'"):
        labelling.predict(demo.raw(str(path), None))
    assert labelling.predict(demo.raw("", str(path))).sequence == "MKVL"
    with pytest.raises(InputError, match="paste one, or upload"):
        demo.raw(" ", None)
