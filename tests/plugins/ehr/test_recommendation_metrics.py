"""Metrics of recommended sets: by hand on a few visits, and their best value for perfect scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import medhub
from medhub.plugins.ehr.recommendation.metrics import METRICS, Truth, interaction_rate, perfect
from medhub.processing import as_rows

PAIRS = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], np.float32)
"""The first two of three drugs interact."""
NONE = np.zeros((3, 3), np.float32)
NAN = float("nan")


def truths(sets, *, outcomes=None, propensity=NAN, conflicts=PAIRS):
    outcomes = [NAN] * len(sets) if outcomes is None else outcomes
    return as_rows([
        Truth(given=np.array(given, np.float32), outcome=outcome, propensity=propensity, conflicts=conflicts)
        for given, outcome in zip(sets, outcomes, strict=True)
    ])  # fmt: skip


def scores(*rows):
    return np.array([[probabilities, chosen] for probabilities, chosen in rows], float)


def test_figures_of_visits_are_those_by_hand():
    given = truths([[1, 1, 0], [0, 0, 1], [0, 0, 0]])
    found = scores(([0.9, 0.2, 0.3], [1, 0, 1]), ([0.1, 0.2, 0.7], [0, 0, 1]), ([0.1, 0.1, 0.1], [0, 0, 0]))
    value = {name: metric.compute(found, given) for name, metric in METRICS.items()}
    assert value["jaccard"] == pytest.approx((1 / 3 + 1 + 1) / 3)
    assert value["exact"] == pytest.approx(2 / 3)
    assert value["f1"] == pytest.approx((2 / 4 + 1 + 1) / 3)
    assert value["prauc"] == pytest.approx((average_precision_score([1, 1, 0], [0.9, 0.2, 0.3]) + 1) / 2)
    assert value["precision@1"] == 1
    assert value["recall@3"] == 1
    assert value["ddi_rate"] == 0  # the only pair that is recommended does not interact
    assert value["ddi_rate_given"] == 1
    assert math.isnan(value["policy_value"])


def test_perfect_scores_get_the_best_value():
    task = medhub.get("ehr/recommendation")
    given = truths([[1, 0, 1], [0, 1, 0], [0, 0, 0], [0, 1, 1]], outcomes=[1, 1, 1, 1], propensity=0.25)
    best = perfect(given, count=3)
    for name in task.metrics:
        metric = task.metric(name)
        assert metric.compute(best, given) == pytest.approx(metric.best, abs=1e-9), name


def test_a_policy_is_worth_the_outcomes_of_those_who_got_what_it_recommends():
    given = truths([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], outcomes=[1, 0, 1, 1], propensity=0.5)
    first, second = np.tile([[[0.5] * 3, [1, 0, 0]]], (4, 1, 1)), np.tile([[[0.5] * 3, [0, 1, 0]]], (4, 1, 1))
    value = METRICS["policy_value"].compute
    assert value(first, given) == 0.5
    assert value(second, given) == 1
    # agreeing with a treatment that did not help is worth nothing
    assert METRICS["jaccard"].compute(second, given) == pytest.approx(2 / 3)


def test_unequal_chances_of_a_treatment_are_made_up_for():
    given = as_rows([
        Truth(given=np.array([1, 0, 0], np.float32), outcome=1.0, propensity=0.8, conflicts=NONE),
        Truth(given=np.array([1, 0, 0], np.float32), outcome=0.0, propensity=0.2, conflicts=NONE),
    ])  # fmt: skip
    everybody = np.tile([[[0.5] * 3, [1, 0, 0]]], (2, 1, 1))
    assert METRICS["policy_value"].compute(everybody, given) == pytest.approx((1 / 0.8) / (1 / 0.8 + 1 / 0.2))


def test_interactions_are_a_share_of_all_pairs_and_not_defined_without_a_table():
    sets = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]], float)
    assert interaction_rate(sets, PAIRS) == pytest.approx(2 / 4)
    assert math.isnan(interaction_rate(sets[2:], PAIRS))
    found = scores(([0.5] * 3, [1, 1, 0]))
    assert METRICS["ddi_rate"].compute(found, truths([[1, 0, 0]])) == 1
    assert math.isnan(METRICS["ddi_rate"].compute(found, truths([[1, 0, 0]], conflicts=NONE)))


def test_each_drug_has_its_own_average_precision():
    given = truths([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    found = scores(([0.9, 0.8, 0.1], [1, 0, 0]), ([0.2, 0.7, 0.1], [0, 1, 0]), ([0.8, 0.1, 0.1], [1, 0, 0]))
    metric = METRICS["auprc"]
    values = metric.labels(metric.examples(found, given))
    assert values[0] == 1
    assert values[1] == pytest.approx(average_precision_score([0, 1, 1], [0.8, 0.7, 0.1]))
    assert math.isnan(values[2])
