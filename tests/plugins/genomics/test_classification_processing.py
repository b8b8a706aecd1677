"""Sequences in, classes and explanations out: raw inputs, batches, results, logos and the demo."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

import medhub
from medhub.errors import InputError
from medhub.plugins.genomics.classification import demo, explanation
from medhub.plugins.genomics.classification.config import SequenceClassificationConfig
from medhub.plugins.genomics.classification.data import MOTIF, synthetic
from medhub.plugins.genomics.classification.explanation import log_odds, mutate
from medhub.plugins.genomics.classification.metrics import recall
from medhub.plugins.genomics.classification.model import SequenceClassificationModel, VariantOutput
from medhub.plugins.genomics.classification.processing import SequenceClassificationProcessor
from medhub.predictor import Predictor
from medhub.results import ClassPrediction
from medhub.sequences.alphabets import DNA
from medhub.sequences.fasta import Record

LABELS = {0: "other", 1: "promoter"}
SEQUENCE = "GGGCATATAAAGTCAGGGCAGAGCCATCTAACG"


def predictor(*, seed: int = 0, **changes) -> Predictor:
    config = SequenceClassificationConfig.tiny(id2label=LABELS, label2id={n: i for i, n in LABELS.items()}, **changes)
    rows = synthetic(size=8).rows
    processor = SequenceClassificationProcessor.fit(rows, config)
    torch.manual_seed(seed)
    return Predictor(
        medhub.get("genomics/classification"), SequenceClassificationModel(config), processor, device="cpu"
    )


@pytest.fixture(scope="module")
def trained() -> Predictor:
    """A model that has learnt to find the TATA box in made-up sequences."""
    model = predictor(seed=1)
    rows = synthetic(size=128, seed=3).rows
    columns = model.processor.stack(
        [
            {**model.processor.features(model.processor.read(row["input"])), **model.processor.targets(row)}
            for row in rows
        ]
    )
    batch = model.processor.collate(columns)
    optimiser = torch.optim.AdamW(model.model.parameters(), lr=1e-2)
    model.model.train()
    for _ in range(40):
        optimiser.zero_grad()
        model.model(**batch).loss.backward()
        optimiser.step()
    model.model.eval()
    model.model.zero_grad(set_to_none=True)
    return model


# -- reading --


def test_every_spelling_of_a_sequence_gets_one_answer(tmp_path: Path):
    from Bio.Seq import Seq
    from Bio.SeqRecord import SeqRecord

    file, packed = tmp_path / "a.fasta", tmp_path / "a.fa.gz"
    text = f">sequence of a gene\r\n{SEQUENCE[:20].lower()}\r\n{SEQUENCE[20:]}\r\n"
    file.write_text(text, newline="")
    packed.write_bytes(gzip.compress(text.encode()))
    raws = [
        SEQUENCE, SEQUENCE.lower(), SEQUENCE.replace("T", "U"), text, file, str(file), packed,
        Record(name="sequence", sequence=SEQUENCE), SeqRecord(Seq(SEQUENCE), id="sequence"),
    ]  # fmt: skip
    model = predictor()
    results = [model.predict(raw) for raw in raws]
    assert all(result == results[0] for result in results)
    assert isinstance(results[0], ClassPrediction)
    assert results[0].input == "sequence"


def test_a_file_of_many_sequences_gives_as_many_results(tmp_path: Path):
    file = tmp_path / "many.fasta"
    file.write_text(f">a\n{SEQUENCE}\n>b\n{SEQUENCE[::-1]}\n")
    assert [result.input for result in predictor().predict(file)] == ["a", "b"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (">a\nMKVLEERRTQ\n", "it looks like protein, this needs dna"),
        (">a\nACGT\n>a\nACGT\n", "a second record 'a'"),
        (">a\n\n>b\nACGT\n", "record 'a' is empty"),
        ("ACG-T", "is a gap"),
        ("", "holds no sequence"),
        ({}, "needs 'vcf'"),
        (7, "int is no sequence"),
    ],
)
def test_what_is_no_dna_is_refused_with_the_reason(raw, said):
    with pytest.raises(InputError, match=said):
        predictor().predict(raw)


def test_the_alphabet_and_the_usual_length_come_from_the_training_rows():
    config = SequenceClassificationConfig.tiny(window=70)
    table = synthetic(size=32)
    processor = SequenceClassificationProcessor.fit(table.rows, config)
    assert config.alphabet == processor.alphabet == "dna"
    assert processor.variant_window == int(np.median([len(row) for row in table.rows["input"]]))
    proteins = table.rows.map(lambda row: {"input": "MKVLE" + row["input"]})
    config = SequenceClassificationConfig.tiny(window=70)
    assert SequenceClassificationProcessor.fit(proteins, config).alphabet == config.alphabet == "protein"


# -- batches --


def test_training_reads_random_stretches_of_what_is_longer_than_the_window():
    processor = SequenceClassificationProcessor(alphabet="dna", window=100, variant_window=50)
    long, short = DNA.encode("ACGT" * 100), DNA.encode("GATTACA")
    columns = {"input_ids": [long, short], "labels": np.array([0, 1])}
    generator = torch.Generator().manual_seed(0)
    batches = [processor.collate(columns, generator) for _ in range(20)]
    assert all(batch["lengths"].tolist() == [100, 7] for batch in batches)
    assert len({tuple(batch["input_ids"][0, :4].tolist()) for batch in batches}) == 4
    for batch in batches:
        assert DNA.decode(batch["input_ids"][0].numpy()) in "ACGT" * 100
        assert DNA.decode(batch["input_ids"][1].numpy()) == "GATTACA"
    whole = processor.collate(columns)
    assert whole["lengths"].tolist() == [400, 7]
    assert whole["labels"].tolist() == [0, 1]


# -- explanation --


def test_mutagenesis_says_what_each_change_of_a_letter_does():
    model = predictor().model
    codes = DNA.encode("ACGTNACG")
    effects = mutate(model, codes, alphabet=DNA, label=1)
    assert effects.shape == (8, 4)
    assert not effects[np.arange(4), codes[:4] - 1].any()  # the letter that is there already
    assert effects[4].all()  # of an unknown letter, all four are changes

    def odds(letters: str) -> float:
        batch = {"input_ids": torch.from_numpy(DNA.encode(letters))[None], "lengths": torch.tensor([8])}
        with torch.inference_mode():
            return float(log_odds(model(**batch))[0, 1])

    part = mutate(model, codes, alphabet=DNA, label=1, part=slice(2, 4))
    np.testing.assert_allclose(part[2:4], effects[2:4], atol=1e-5)
    assert not np.delete(part, [2, 3], axis=0).any()
    assert effects[2, 0] == pytest.approx(odds("ACATNACG") - odds("ACGTNACG"), abs=1e-5)


def test_log_odds_are_those_of_the_softmax():
    logits = torch.tensor([[1.0, -2.0, 0.5]])
    probabilities = logits.softmax(-1)
    expected = (probabilities / (1 - probabilities)).log()
    torch.testing.assert_close(log_odds(VariantOutput(logits=logits)), expected)


@pytest.mark.parametrize("method", explanation.METHODS)
def test_the_motif_that_was_learnt_stands_out(trained, method):
    sequence = "GCGGCTCGGACGCTCGCCGG" + MOTIF + "GCGTCGGAGCTCGGACGGCT"
    assert trained.predict(sequence).probabilities["promoter"] > 0.5
    sample = trained.processor.read(sequence)
    found = trained.processor.explain(trained.model, sample, "promoter", method=method)
    assert found.method == method
    inside = slice(20, 20 + len(MOTIF))
    assert found.values[inside].sum() > 2 * max(0, *np.delete(found.values, inside))
    assert set(np.argsort(found.values)[-3:]) <= set(range(18, 28))
    assert found.parts[20:22] == ("T21", "A22")
    assert found.picture is not None


def test_integrated_gradients_add_up_to_the_difference_from_unknown_letters(trained):
    for changes in ({}, {"both_strands": True}, {"kmer": 3, "stem_kernels": []}):
        model = predictor(**changes) if changes else trained
        sample = model.processor.read("ACGATTATAAAGGCATTGCA")
        values = model.processor.explain(model.model, sample, "promoter", method="integrated gradients").values
        codes = torch.from_numpy(DNA.encode(sample.sequence))[None]
        with torch.inference_mode():
            there, unknown = (
                float(log_odds(model.model(ids, torch.tensor([20])))[0, 1])
                for ids in (codes, torch.full_like(codes, 5))
            )
        assert values.sum() == pytest.approx(there - unknown, abs=0.05 * max(1, abs(there - unknown)))


def test_with_both_strands_the_opposite_strand_is_explained_alike():
    model = predictor(both_strands=True)
    sequence = "ACGATTATAAAGGCATTGCA"
    for method in explanation.METHODS:
        there, back = (
            model.processor.explain(model.model, model.processor.read(text), "promoter", method=method).values
            for text in (sequence, DNA.reverse_complement(sequence))
        )
        np.testing.assert_allclose(there, back[::-1], atol=1e-4)


def test_of_a_long_sequence_the_telling_stretch_is_explained(trained):
    random = np.random.default_rng(0)
    background = "".join(random.choice([*"CG"], 900))
    sequence = background[:600] + MOTIF + background[600:]
    found = trained.processor.explain(trained.model, trained.processor.read(sequence), "promoter")
    start = int(found.parts[0][1:]) - 1
    assert len(found.parts) == explanation.MOST_EXPLAINED
    assert start <= 600 <= start + explanation.MOST_EXPLAINED - len(MOTIF)
    assert f"of letters {start + 1:,} to" in found.method


def test_a_method_that_is_not_there_is_refused():
    model = predictor()
    with pytest.raises(InputError, match="did you mean 'integrated gradients'"):
        model.processor.explain(model.model, model.processor.read(SEQUENCE), "promoter", method="integrated gradient")


# -- metrics and demo --


def test_recall_is_that_of_each_class():
    from sklearn.metrics import recall_score

    random = np.random.default_rng(0)
    scores, targets = random.random((50, 3)), random.integers(0, 3, 50)
    np.testing.assert_allclose(recall(scores, targets), recall_score(targets, scores.argmax(1), average=None))
    assert np.isnan(recall(scores[:2], np.array([0, 0]))[1:]).all()


def test_a_visitor_names_no_file_of_the_server(tmp_path: Path):
    secret = tmp_path / "secret.fasta"
    secret.write_text(f">secret\n{SEQUENCE}\n")
    with pytest.raises(InputError, match="position 1"):
        predictor().predict(demo.raw(str(secret), None, None, None))
    with pytest.raises(InputError, match="upload the FASTA file"):
        demo.raw("", "a.vcf", None, 1)
    with pytest.raises(InputError, match="there is no sequence"):
        demo.raw(" ", None, None, None)


def test_the_demo_shows_a_variant_before_and_after():
    *_, row = demo.examples().values()
    result = predictor().predict(demo.raw(*row))
    (drawn,) = demo.draw(result)
    assert "HBB:22 A>G (rs33931746)" in result.title()
    assert drawn.count("promoter") == drawn.count("other") == 2
    assert drawn.index("without the variant") < drawn.index("with the variant</caption>")
    assert len(demo.HBB) == len(demo.TERMINATOR) == 70
