"""The core's metrics against scikit-learn and torchmetrics, on random data with ties and missing labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as torch_metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from medhub.metrics import METRICS, reliability

BINARY = {
    "auroc": lambda score, truth: sklearn_metrics.roc_auc_score(truth, score),
    "auprc": lambda score, truth: sklearn_metrics.average_precision_score(truth, score),
    "sensitivity": lambda score, truth: sklearn_metrics.recall_score(truth, score >= 0.5),
    "specificity": lambda score, truth: sklearn_metrics.recall_score(1 - truth, score < 0.5),
    "precision": lambda score, truth: sklearn_metrics.precision_score(truth, score >= 0.5, zero_division=0),
    "f1": lambda score, truth: sklearn_metrics.f1_score(truth, score >= 0.5),
    "mcc": lambda score, truth: sklearn_metrics.matthews_corrcoef(truth, score >= 0.5),
}
AVERAGED = {"sensitivity": "recall", "precision": "precision", "f1": "f1-score"}


def classes(seed: int, number: int, size: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that know something of the classes, rounded so that some tie."""
    random = np.random.default_rng(seed)
    targets = random.integers(number, size=size)
    logits = random.normal(size=(size, number)) + 1.5 * np.eye(number)[targets]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.round(scores, 2), targets


def multi_label(seed: int, labels: int = 5, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of rare labels of which a fifth is unknown, as float32 as a network gives them."""
    random = np.random.default_rng(seed)
    targets = (random.random((size, labels)) < np.linspace(0.05, 0.5, labels)).astype(np.float32)
    scores = np.clip(random.normal(0.3 + 0.3 * targets, 0.25), 0, 1).round(2).astype(np.float32)
    targets[random.random(targets.shape) < 0.2] = np.nan
    return scores, targets


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", BINARY)
def test_multi_label_metrics_are_the_mean_of_sklearns_over_known_labels(name: str, seed: int) -> None:
    scores, targets = multi_label(seed)
    expected = []
    for score, truth in zip(scores.T, targets.T, strict=True):
        known = ~np.isnan(truth)
        expected.append(BINARY[name](score[known], truth[known]))
    assert METRICS[name].compute(scores, targets) == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize("name", BINARY)
def test_two_classes_report_class_one(name: str) -> None:
    scores, targets = classes(0, 2)
    decided = scores.argmax(axis=1).astype(float)  # a tie goes to class 0
    score = scores[:, 1] if name.startswith("au") else decided
    assert METRICS[name].compute(scores, targets) == pytest.approx(BINARY[name](score, targets))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", AVERAGED)
def test_several_classes_are_decided_by_the_largest_probability(name: str, seed: int) -> None:
    scores, targets = classes(seed, 4)
    report = sklearn_metrics.classification_report(targets, scores.argmax(axis=1), output_dict=True)
    assert METRICS[name].compute(scores, targets) == pytest.approx(report["macro avg"][AVERAGED[name]])


@pytest.mark.parametrize("number", [2, 4])
def test_whole_table_metrics_agree_with_sklearn(number: int) -> None:
    scores, targets = classes(1, number)
    decided = scores.argmax(axis=1)
    scores /= scores.sum(axis=1, keepdims=True)
    brier = sklearn_metrics.brier_score_loss(targets, scores, scale_by_half=True)
    assert METRICS["accuracy"].compute(scores, targets) == pytest.approx(np.mean(decided == targets))
    assert METRICS["mcc"].compute(scores, targets) == pytest.approx(sklearn_metrics.matthews_corrcoef(targets, decided))
    assert METRICS["brier"].compute(scores, targets) == pytest.approx(brier)


def test_ranking_metrics_of_several_classes_agree_with_torchmetrics() -> None:
    scores, targets = classes(2, 4)
    preds, target = torch.from_numpy(scores), torch.from_numpy(targets)
    auroc = torch_metrics.multiclass_auroc(preds, target, 4, average="macro", thresholds=None)
    auprc = torch_metrics.multiclass_average_precision(preds, target, 4, average="macro", thresholds=None)
    specificity = torch_metrics.multiclass_specificity(preds, target, 4, average="macro")
    assert METRICS["auroc"].compute(scores, targets) == pytest.approx(float(auroc), abs=1e-5)
    assert METRICS["auprc"].compute(scores, targets) == pytest.approx(float(auprc), abs=1e-5)
    assert METRICS["specificity"].compute(scores, targets) == pytest.approx(float(specificity), abs=1e-5)


def test_multi_label_auroc_agrees_with_torchmetrics() -> None:
    scores, targets = multi_label(7)
    target = torch.from_numpy(np.nan_to_num(targets, nan=-1).astype(int))
    expected = torch_metrics.multilabel_auroc(torch.from_numpy(scores), target, 5, ignore_index=-1, thresholds=None)
    assert METRICS["auroc"].compute(scores, targets) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("number", [2, 5])
def test_calibration_error_agrees_with_torchmetrics(number: int) -> None:
    random = np.random.default_rng(number)
    scores, targets = random.dirichlet(np.ones(number), size=500), random.integers(number, size=500)
    expected = torch_metrics.multiclass_calibration_error(
        torch.from_numpy(scores), torch.from_numpy(targets), number, n_bins=15
    )
    assert METRICS["ece"].compute(scores, targets) == pytest.approx(float(expected), abs=1e-6)
    if number == 2:  # one yes-or-no label says the same as two classes
        assert METRICS["ece"].compute(scores[:, 1:], targets[:, None].astype(float)) == pytest.approx(float(expected))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("shape", ["two classes", "four classes", "multi-label"])
def test_best_is_what_a_perfect_prediction_gets_and_none_is_better(name: str, shape: str) -> None:
    scores, targets = multi_label(3) if shape == "multi-label" else classes(3, 2 if shape == "two classes" else 4)
    perfect = np.nan_to_num(targets, nan=0.5) if targets.ndim == 2 else np.eye(scores.shape[1])[targets]
    metric = METRICS[name]
    assert metric.compute(perfect, targets) == pytest.approx(metric.best)
    sign = 1 if metric.higher_is_better else -1
    assert sign * metric.compute(scores, targets) < sign * metric.best


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.chance is not None])
def test_chance_is_what_a_constant_prediction_gets(name: str) -> None:
    for scores, targets in (classes(4, 2), classes(4, 4), multi_label(4)):
        constant = np.broadcast_to(np.linspace(0.2, 0.3, scores.shape[1]), scores.shape)
        assert METRICS[name].compute(constant, targets) == pytest.approx(METRICS[name].chance)


@pytest.mark.parametrize("name", ["auroc", "auprc", "mcc"])
def test_one_class_only_cannot_tell(name: str) -> None:
    scores, _ = classes(5, 2)
    assert np.isnan(METRICS[name].compute(scores, np.ones(len(scores), dtype=int)))
    assert np.isnan(METRICS[name].compute(scores[:, :1], np.zeros((len(scores), 1))))


@pytest.mark.parametrize("name", METRICS)
def test_no_known_label_cannot_tell(name: str) -> None:
    scores, targets = multi_label(6)
    assert np.isnan(METRICS[name].compute(scores, np.full_like(targets, np.nan)))


@pytest.mark.parametrize("name", METRICS)
def test_a_label_nobody_knows_changes_nothing(name: str) -> None:
    scores, targets = multi_label(8)
    more = np.column_stack([targets, np.full(len(targets), np.nan)])
    assert METRICS[name].compute(np.column_stack([scores, scores[:, 0]]), more) == pytest.approx(
        METRICS[name].compute(scores, targets)
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_ranking_metrics_agree_with_sklearn_for_any_ties(examples: list[tuple[int, bool]]) -> None:
    score = np.array([[value / 5] for value, _ in examples])
    truth = np.array([[float(yes)] for _, yes in examples])
    for name in ("auroc", "auprc"):
        value = METRICS[name].compute(score, truth)
        if truth.all() or not truth.any():
            assert np.isnan(value)
        else:
            assert value == pytest.approx(BINARY[name](score[:, 0], truth[:, 0]))


def test_reliability_counts_each_example_once_up_to_certainty() -> None:
    told = np.array([0.0, 0.05, 0.1, 0.95, 1.0])
    header, *rows = reliability(told, np.array([0, 1, 1, 1, 0]), edges=(0.0, 0.1, 0.5, 1.0))
    assert header[0] == "probability"
    assert rows == [
        ["0.00 to 0.10", "2", "0.025", "0.500"],
        ["0.10 to 0.50", "1", "0.100", "1.000"],
        ["0.50 to 1.00", "2", "0.975", "0.500"],
    ]
