"""The alignment networks: untrained they are the classical algorithms, and what they learn shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medhub.data import prepare
from medhub.errors import ConfigError
from medhub.evaluation import predict_scores
from medhub.plugins.genomics.alignment import model as module
from medhub.plugins.genomics.alignment.baselines import BASELINES, best_score, pair_up
from medhub.plugins.genomics.alignment.calibration import calibrated
from medhub.plugins.genomics.alignment.config import SequenceAlignmentConfig
from medhub.plugins.genomics.alignment.data import synthetic
from medhub.plugins.genomics.alignment.demo import HAEMOGLOBINS
from medhub.plugins.genomics.alignment.metrics import METRICS, perfect
from medhub.plugins.genomics.alignment.model import SequenceAlignmentModel
from medhub.plugins.genomics.alignment.pairing import Pairing
from medhub.plugins.genomics.alignment.processing import SequenceAlignmentProcessor
from medhub.plugins.genomics.alignment.substitution import SUBSTITUTIONS
from medhub.processing import as_rows
from medhub.sequences.fasta import read_fasta

ROWS = synthetic(16).rows
GENES = {"first": "ACGTTGCATGCCGATCGATCGGATCCATTA", "second": "ACGTTGCAGCCGTTCGATCGGTTTATCCATAA"}


def fitted(**changes: object) -> tuple[SequenceAlignmentModel, SequenceAlignmentProcessor]:
    """Return a tiny untrained network and its processor."""
    config = SequenceAlignmentConfig.tiny(id2label={0: "aligned"}, label2id={"aligned": 0}, **changes)
    torch.manual_seed(0)
    return SequenceAlignmentModel(config).eval(), SequenceAlignmentProcessor.fit(ROWS, config)


def scores_of(
    model: SequenceAlignmentModel, processor: SequenceAlignmentProcessor, pairs: list[dict[str, str]]
) -> list[Pairing]:
    batch = processor.collate(processor.stack([processor.features(processor.read(pair)) for pair in pairs]))
    with torch.inference_mode():
        return [*processor.scores(model(**batch), model.config)]


def haemoglobins() -> dict[str, str]:
    first, second = read_fasta(HAEMOGLOBINS, alphabet=None)
    return {"first": first.sequence, "second": second.sequence}


def test_matrix_is_blosum62() -> None:
    from Bio.Align import substitution_matrices

    published = substitution_matrices.load("BLOSUM62")
    ours = SUBSTITUTIONS["protein"]
    expected = [[published[one, other] for other in ours.letters] for one in ours.letters]
    np.testing.assert_array_equal(ours.matrix(), expected)


@pytest.mark.parametrize("mode", ["global", "local"])
@pytest.mark.parametrize("alphabet", ["protein", "dna"])
def test_untrained_model_scores_as_the_classical_algorithm(mode: str, alphabet: str) -> None:
    model, processor = fitted(mode=mode, alphabet=alphabet, decoding="viterbi")
    pairs = [GENES] if alphabet == "dna" else [haemoglobins(), *ROWS["input"][:6], {"first": "MKXB", "second": "MKVWW"}]
    bits = SUBSTITUTIONS[alphabet].unit / np.log(2)
    for pair, found in zip(pairs, scores_of(model, processor, pairs), strict=True):
        expected = best_score(pair, alphabet, local=mode == "local")
        assert found.score / bits == pytest.approx(expected, abs=1e-3)


def test_untrained_model_finds_the_columns_of_needleman_and_wunsch() -> None:
    model, processor = fitted(decoding="viterbi")
    pair = haemoglobins()
    (found,) = scores_of(model, processor, [pair])
    np.testing.assert_array_equal(found.partners, pair_up(pair, "protein", local=False).partners)


def test_decoding_by_expected_accuracy_has_the_greater_sum_of_probabilities() -> None:
    by_decoding = {}
    for decoding in ("expected-accuracy", "viterbi"):
        model, processor = fitted(decoding=decoding)
        by_decoding[decoding] = scores_of(model, processor, ROWS["input"][:8])
    sums = {name: np.array([each.posteriors.sum() for each in found]) for name, found in by_decoding.items()}
    assert (sums["expected-accuracy"] >= sums["viterbi"] - 1e-4).all()
    assert (sums["expected-accuracy"] > sums["viterbi"] + 1e-3).any()
    for found in by_decoding["expected-accuracy"]:
        assert (np.diff(found.partners[found.partners >= 0]) > 0).all()


def test_swapping_the_sequences_swaps_the_columns() -> None:
    model, processor = fitted()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    batch = processor.collate(processor.stack([processor.features(processor.read(haemoglobins()))]))
    swapped = {"first": batch["second"], "second": batch["first"], "lengths": batch["lengths"].flip(1)}
    with torch.inference_mode():
        (total, columns), (other_total, others) = (model.posteriors(**each) for each in (batch, swapped))
    torch.testing.assert_close(columns[0], others[0].T, rtol=0, atol=1e-4)
    torch.testing.assert_close(total, other_total, rtol=1e-5, atol=1e-4)


def test_a_batch_is_answered_in_portions_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = fitted()
    pairs = [haemoglobins(), *ROWS["input"][:5]]
    whole = scores_of(model, processor, pairs)
    monkeypatch.setattr(module, "CELLS", 2000)
    divided = scores_of(model, processor, pairs)
    for one, other in zip(whole, divided, strict=True):
        np.testing.assert_array_equal(one.partners, other.partners)
        np.testing.assert_allclose(one.confidence, other.confidence, atol=1e-5)


@pytest.mark.parametrize("mode", ["global", "local"])
def test_training_finds_what_the_matrix_misses(mode: str) -> None:
    model, processor = fitted(mode=mode)
    features = prepare(ROWS, processor, cache=False)
    rows = np.arange(len(features))
    recall = METRICS["recall"].compute
    before = recall(*predict_scores(model, features, processor))
    batch = processor.collate(features.take(rows))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    losses = []
    for _ in range(30):
        loss = model(**batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    after = recall(*predict_scores(model.eval(), features, processor))
    assert losses[-1] < 0.5 * losses[0]
    assert after > before


def test_the_loss_is_zero_nats_a_column_only_where_nothing_else_is_possible() -> None:
    model, processor = fitted()
    pair = {"first": "MKV", "second": "MKV"}
    batch = processor.collate(processor.stack([processor.features(processor.read(pair))]))
    certain = model(**batch, labels=torch.tensor([[[0, 0], [1, 1], [2, 2]]])).loss
    unlikely = model(**batch, labels=torch.tensor([[[0, 2], [-1, -1], [-1, -1]]])).loss
    assert 0 < certain < 0.05 < unlikely
    assert model(**batch, labels=torch.full((1, 1, 2), -1)).loss.item() == pytest.approx(0.0, abs=1e-5)


def test_baselines_agree_with_biopython() -> None:
    from Bio.Align import PairwiseAligner, substitution_matrices

    aligner = PairwiseAligner(mode="global", substitution_matrix=substitution_matrices.load("BLOSUM62"))
    aligner.open_gap_score, aligner.extend_gap_score = -12, -1
    for pair in ROWS["input"][:5]:
        assert best_score(pair, "protein", local=False) == aligner.score(pair["first"], pair["second"])


def test_metrics_of_known_alignments() -> None:
    truth = Pairing.certain(np.array([0, 1, -1, 3, -1]), identity=0.2)
    # right, wrong, beside a residue of a known column, missing, and where nobody knows
    answer = Pairing.certain(np.array([0, 2, 3, -1, 4]))
    targets, scores = as_rows([truth]), as_rows([answer])
    figures = {name: metric.compute(scores, targets) for name, metric in METRICS.items()}
    assert figures["recall"] == figures["recall_10_30"] == pytest.approx(1 / 3)
    assert figures["precision"] == pytest.approx(1 / 3)
    assert figures["f1"] == pytest.approx(1 / 3)
    assert figures["ece"] == pytest.approx(2 / 3)
    alike = as_rows([Pairing.certain(truth.partners, identity=0.5)])
    assert np.isnan(METRICS["recall_10_30"].compute(scores, alike))
    assert METRICS["ece"].compute(perfect(targets, count=1), targets) == 0.0


def test_calibration_is_fitted_to_columns_and_changes_no_alignment() -> None:
    model, processor = fitted()
    features = prepare(ROWS, processor, cache=False)
    before, truths = predict_scores(model, features, processor)
    said = processor.calibrate(before, truths, model.config)
    after, _ = predict_scores(model, features, processor)
    assert said is not None
    assert "16 validation pairs" in said
    ece = METRICS["ece"].compute
    assert ece(after, truths) <= ece(before, truths) + 0.01
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.partners, other.partners)
        np.testing.assert_allclose(other.confidence, calibrated(one.posteriors, model.config.calibration), atol=1e-6)


def test_calibration_needs_right_and_wrong_columns() -> None:
    truths = as_rows([Pairing.certain(np.array([0, 1]), identity=1.0)])
    model, processor = fitted()
    assert processor.calibrate(truths, truths, model.config) is None
    assert model.config.calibration is None


def test_baselines_answer_every_row() -> None:
    _, processor = fitted()
    for baseline in BASELINES.values():
        found = baseline(ROWS, ROWS, labels=("aligned",), processor=processor, seed=0)
        assert [len(each.partners) for each in found] == [len(pair["first"]) for pair in ROWS["input"]]


def test_unknown_choices_are_refused_with_the_nearest() -> None:
    for changes in ({"mode": "globl"}, {"alphabet": "proteins"}, {"decoding": "viterby"}):
        with pytest.raises(ConfigError, match="did you mean"):
            SequenceAlignmentConfig(**changes)


def test_a_frozen_reader_learns_nothing_and_is_never_disturbed() -> None:
    model, processor = fitted(freeze_reader=True, dropout=0.5, masking=0.5)
    features = prepare(ROWS, processor, cache=False)
    model.train()(**processor.collate(features.take(np.arange(2)))).loss.backward()
    assert all(parameter.grad is None for parameter in model.reader.parameters())
    assert model.scorer.project.weight.grad is not None
    codes, lengths = torch.randint(1, 20, (2, 30)), torch.tensor([30, 20])
    torch.testing.assert_close(model.reader(codes, lengths), model.reader(codes, lengths))
