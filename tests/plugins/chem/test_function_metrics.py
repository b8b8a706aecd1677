"""Fmax and Smin, against their definitions written out one sequence and one threshold at a time."""

from __future__ import annotations

import numpy as np
import pytest

from medhub.plugins.chem.function.metrics import METRICS, weigh

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.random((30, 6)).round(3)
TARGETS = (RANDOM.random((30, 6)) < 0.3).astype(float)
THRESHOLDS = [number / 100 for number in range(1, 101)]


def slow_fmax(scores, targets):
    best = 0.0
    for t in THRESHOLDS:
        precisions, recalls = [], []
        for score, truth in zip(scores, targets, strict=True):
            told = {i for i, value in enumerate(score) if value >= t}
            true = {i for i, value in enumerate(truth) if value == 1}
            if told:
                precisions.append(len(told & true) / len(told))
            if true:
                recalls.append(len(told & true) / len(true))
        p, r = np.mean(precisions) if precisions else 0.0, np.mean(recalls)
        best = max(best, 2 * p * r / (p + r) if p + r else 0.0)
    return best


def slow_smin(scores, targets, information):
    found = []
    for t in THRESHOLDS:
        missed = wrong = 0.0
        for score, truth in zip(scores, targets, strict=True):
            missed += sum(information[i] for i in range(len(score)) if truth[i] == 1 and score[i] < t)
            wrong += sum(information[i] for i in range(len(score)) if truth[i] == 0 and score[i] >= t)
        found.append(np.hypot(missed / len(scores), wrong / len(scores)))
    return min(found)


def test_fmax_is_its_definition():
    assert METRICS["fmax"].compute(SCORES, TARGETS) == pytest.approx(slow_fmax(SCORES, TARGETS))


def test_of_one_function_fmax_is_the_best_f1():
    f1 = pytest.importorskip("sklearn.metrics").f1_score
    scores, targets = SCORES[:, :1], TARGETS[:, :1]
    best = max(f1(targets[:, 0], scores[:, 0] >= t) for t in THRESHOLDS)
    assert METRICS["fmax"].compute(scores, targets) == pytest.approx(best)


def test_smin_is_its_definition_weighed_by_information():
    information = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])
    weighed = weigh(METRICS["smin"], information)
    assert weighed.compute(SCORES, TARGETS) == pytest.approx(slow_smin(SCORES, TARGETS, information))
    assert METRICS["smin"].compute(SCORES, TARGETS) == pytest.approx(slow_smin(SCORES, TARGETS, np.ones(6)))
    assert weigh(METRICS["fmax"], information) is METRICS["fmax"]
    assert np.isnan(weighed.compute(SCORES[:, :1], TARGETS[:, :1]))  # one of several, nobody knows which


def test_unknown_labels_count_for_nothing():
    targets = TARGETS.copy()
    targets[:, 5] = np.nan
    for metric in METRICS.values():
        assert metric.compute(SCORES, targets) == pytest.approx(metric.compute(SCORES[:, :5], TARGETS[:, :5]))


def test_without_any_function_fmax_is_not_defined():
    assert np.isnan(METRICS["fmax"].compute(SCORES, np.zeros_like(TARGETS)))
