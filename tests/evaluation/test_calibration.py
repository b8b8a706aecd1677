"""Temperature and conformal sets on synthetic logits whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import binom

from medhub.calibration import fit_platt, fit_temperature
from medhub.evaluation import conformal_thresholds, measure_coverage
from medhub.metrics import METRICS

NAMES = ("normal", "benign", "malignant")


def draw_classes(random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the probability with which the class was drawn."""
    logits = random.normal(0, 2, size=(size, 3))
    targets = np.array([random.choice(3, p=row) for row in softmax(logits, axis=1)])
    return logits, targets


def draw_labels(random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose sigmoid is the probability of the label, a quarter of the labels unknown."""
    logits = random.normal(-1, 2, size=(size, 4))
    targets = (random.random(logits.shape) < expit(logits)).astype(np.float32)
    targets[random.random(targets.shape) < 0.25] = np.nan
    return logits, targets


@pytest.mark.parametrize("draw", [draw_classes, draw_labels])
@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 3.0])
def test_the_temperature_of_overconfident_logits_is_found(draw, overconfidence: float) -> None:
    logits, targets = draw(np.random.default_rng(0), 4000)
    assert fit_temperature(logits * overconfidence, targets) == pytest.approx(overconfidence, rel=0.07)


def test_temperature_lowers_the_calibration_error() -> None:
    logits, targets = draw_classes(np.random.default_rng(1), 2000)
    logits = 4 * logits.astype(np.float32)
    ece = METRICS["ece"].compute
    before = ece(softmax(logits, axis=1), targets)
    after = ece(softmax(logits / fit_temperature(logits, targets), axis=1), targets)
    assert before > 0.1
    assert after < 0.03


def test_a_few_right_answers_do_not_make_a_model_certain() -> None:
    targets = np.arange(20) % 2
    logits = np.eye(2)[targets] * 4 - 2
    sure = softmax(logits / fit_temperature(logits, targets), axis=1).max(axis=1)
    assert sure.max() < 0.99


def test_nothing_known_leaves_the_temperature_at_one() -> None:
    assert fit_temperature(np.ones((5, 2)), np.full((5, 2), np.nan)) == 1.0


@pytest.mark.parametrize("weigh", [False, True])
def test_platts_line_is_found(weigh: bool) -> None:
    random = np.random.default_rng(4)
    logits = random.normal(0, 2, size=20_000)
    right = random.random(20_000) < expit(0.5 * logits - 1)
    weights = np.where(right, 1.0, 0.5) if weigh else None
    # to count what is wrong half moves the odds by two
    offset = -1 + (np.log(2) if weigh else 0)
    assert fit_platt(logits, right, weights=weights) == pytest.approx([0.5, offset], abs=0.05)


def test_a_few_right_answers_make_no_endless_line() -> None:
    logits = np.array([-3.0, -2.0, 2.0, 3.0])
    line = fit_platt(logits, logits > 0)
    assert line is not None
    # of two right ones and one more of each kind, three of four are right (weighed by their logits)
    assert expit(line[0] * logits[2:] + line[1]) @ logits[2:] == pytest.approx(0.75 * logits[2:].sum(), abs=0.001)


def test_platts_line_needs_right_and_wrong_in_the_right_order() -> None:
    logits = np.linspace(-2, 2, 50)
    assert fit_platt(logits, np.ones(50, dtype=bool)) is None
    assert fit_platt(logits, logits < 0) is None


@pytest.mark.parametrize("draw", [draw_classes, draw_labels])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_conformal_sets_hold_the_truth_as_often_as_promised(draw, coverage: float) -> None:
    random = np.random.default_rng(3)
    shares = []
    for _ in range(30):
        parts = []
        for size in (200, 400):
            logits, targets = draw(random, size)
            parts.append((softmax(logits, axis=1) if targets.ndim == 1 else expit(logits), targets))
        (scores, targets), (test_scores, test_targets) = parts
        thresholds = conformal_thresholds(scores, targets, coverage=coverage)
        found = measure_coverage(test_scores, test_targets, thresholds=thresholds, promised=coverage, names=NAMES)
        shares.append(found.measured)
    # the guarantee is on average over validation splits; each mean share lies within 1 / n above it
    assert np.mean(shares) == pytest.approx(coverage, abs=0.015)


def test_coverage_on_one_split_is_within_binomial_tolerance() -> None:
    random = np.random.default_rng(4)
    logits, targets = draw_classes(random, 5000)
    scores = softmax(logits, axis=1)
    thresholds = conformal_thresholds(scores[:3000], targets[:3000])
    found = measure_coverage(scores[3000:], targets[3000:], thresholds=thresholds, promised=0.9, names=NAMES)
    low, high = binom.ppf([0.001, 0.999], 2000, 0.9) / 2000
    assert low <= found.measured <= high
    assert set(found.by_truth) == set(NAMES)


@pytest.mark.parametrize(("rows", "everything_possible"), [(8, True), (9, False)])
def test_too_few_rows_leave_everything_possible(rows: int, everything_possible: bool) -> None:
    scores = np.full((rows, 2), 0.5)
    assert conformal_thresholds(scores, np.zeros(rows, dtype=int)) == [0.0 if everything_possible else 0.5]
    assert conformal_thresholds(scores, np.zeros((rows, 2))) == [0.0 if everything_possible else 0.5] * 2


def test_the_threshold_is_the_rank_that_the_guarantee_asks_for() -> None:
    true_scores = np.linspace(0.01, 0.99, 99)
    scores = np.column_stack([true_scores, 1 - true_scores])
    # 100 * 0.9 = 90 of 99 nonconformity scores: the tenth smallest probability
    assert conformal_thresholds(scores, np.zeros(99, dtype=int)) == [pytest.approx(0.10)]


def test_set_sizes_and_undecided_shares_are_counted() -> None:
    scores = np.array([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]])
    found = measure_coverage(scores, np.array([0, 1, 1]), thresholds=[0.4], promised=0.9, names=("no", "yes"))
    assert found.measured == pytest.approx(2 / 3)
    assert found.mean_size == pytest.approx(4 / 3)
    assert found.undecided == pytest.approx(1 / 3)
    assert found.by_truth == {"no": 1.0, "yes": 0.5}
