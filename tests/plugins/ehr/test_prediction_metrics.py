"""Sensitivity at a specificity and net benefit, with figures worked out by hand and held to scikit-learn's curve."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from medhub.plugins.ehr.prediction.metrics import METRICS, TABLES, net_benefit, sensitivity_at_specificity


def test_sensitivity_is_that_of_the_best_point_of_the_roc_curve():
    random = np.random.default_rng(0)
    outcome = (random.random(500) < 0.2).astype(float)
    risk = np.round(random.random(500) * 0.6 + 0.4 * outcome * random.random(500), 2)  # with ties
    false, true, _ = roc_curve(outcome, risk, drop_intermediate=False)
    assert sensitivity_at_specificity(risk, outcome) == pytest.approx(true[false <= 0.1 + 1e-12].max())


def test_perfect_risks_find_all_and_constant_ones_nobody():
    outcome = np.array([0.0, 0, 0, 1, 1])
    metric = METRICS["sensitivity_at_90_specificity"]
    assert metric.compute(outcome[:, None], outcome[:, None]) == 1
    assert metric.compute(np.full((5, 1), 0.3), outcome[:, None]) == 0


def test_net_benefit_counts_a_false_alarm_at_the_odds_of_the_threshold():
    risk, outcome = np.array([0.9, 0.3, 0.3, 0.1]), np.array([1.0, 1, 0, 0])
    found = net_benefit(risk, outcome, np.array([0.2, 0.5]))
    assert found == pytest.approx([(0.5 - 0.25 * 0.25) / 0.5, 0.25 / 0.5])


def test_net_benefit_of_doing_nothing_is_zero_and_of_alarm_for_all_may_be_harm():
    outcome = np.array([1.0] + [0.0] * 9)
    assert METRICS["net_benefit"].compute(np.zeros((10, 1)), outcome[:, None]) == 0
    assert METRICS["net_benefit"].compute(np.ones((10, 1)), outcome[:, None]) < 0


def test_outcomes_are_averaged_over_those_that_are_known_and_differ():
    nan = np.nan
    targets = np.array([[1.0, 0.0, nan], [0.0, 0.0, nan], [nan, 0.0, 1.0]])
    scores = np.array([[1.0, 0.5, 0.5], [0.0, 0.5, 0.5], [0.4, 0.5, 0.5]])
    for metric in METRICS.values():
        assert metric.compute(scores, targets) == 1
        assert np.isnan(metric.compute(scores[:, 1:], targets[:, 1:]))


def test_the_decision_curve_shows_perfect_risks_and_alarm_for_all():
    outcome = np.array([1.0] + [0.0] * 9)[:, None]
    _, curve = TABLES.values()
    for threshold, *gains in curve(outcome, outcome)[1:]:
        odds = float(threshold.strip("%")) / (100 - float(threshold.strip("%")))
        assert gains == ["1.000", f"{1 - 9 * odds:.3f}", "0"]


def test_the_calibration_curve_leaves_out_what_is_not_known():
    scores, targets = np.array([[0.25, 0.25], [0.25, 0.9]]), np.array([[1.0, 0.0], [np.nan, 1.0]])
    curve, _ = TABLES.values()
    assert curve(scores, targets)[1:] == [
        ["0.20 to 0.30", "2", "0.250", "0.500"],
        ["0.90 to 1.00", "1", "0.900", "1.000"],
    ]
