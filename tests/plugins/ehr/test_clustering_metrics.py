"""Figures of groups beside the libraries' own, and survival beside SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf, logrank
from sklearn.metrics import (
    adjusted_rand_score,
    davies_bouldin_score,
    normalized_mutual_info_score,
    silhouette_score,
)

from medhub.plugins.ehr.clustering.agreement import adjusted_rand, shared_information
from medhub.plugins.ehr.clustering.choosing import refit, try_groups
from medhub.plugins.ehr.clustering.metrics import METRICS, perfect
from medhub.plugins.ehr.clustering.placement import place
from medhub.plugins.ehr.clustering.survival import log_rank, log_rank_p, survival_at


def blobs(size: int = 150, *, apart: float = 6.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    kinds = np.arange(size) % 3
    return apart * np.eye(4)[kinds] + random.normal(size=(size, 4)), kinds


def followed(size: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    groups = np.arange(size) % 2
    days = random.exponential(100 * (1 + groups)).round()  # with ties
    return days, random.random(size) < 0.7, groups


def test_metrics_are_those_of_scikit_learn():
    points, kinds = blobs(apart=2.0)
    guesses = np.where(np.random.default_rng(1).random(len(kinds)) < 0.2, 0, kinds)
    scores = place(np.eye(3)[guesses], points[:, :2], points)
    targets = np.stack([kinds, np.full(len(kinds), np.nan), np.full(len(kinds), np.nan)], axis=1)
    found = {name: metric.compute(scores, targets) for name, metric in METRICS.items()}
    assert found["silhouette"] == pytest.approx(silhouette_score(points, guesses), abs=1e-5)
    assert found["latent_silhouette"] == pytest.approx(silhouette_score(points[:, :2], guesses), abs=1e-5)
    assert found["davies_bouldin"] == pytest.approx(davies_bouldin_score(points, guesses), abs=1e-5)
    assert found["nmi"] == pytest.approx(normalized_mutual_info_score(kinds, guesses))
    assert np.isnan(found["logrank_p"])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=40))
def test_agreement_of_divisions_is_that_of_scikit_learn(pairs):
    first, second = np.array(pairs).T
    assert adjusted_rand(first, second) == pytest.approx(adjusted_rand_score(first, second), abs=1e-9)
    if len({*first}) > 1 or len({*second}) > 1:
        assert shared_information(first, second) == pytest.approx(normalized_mutual_info_score(first, second), abs=1e-9)
    else:
        assert np.isnan(shared_information(first, second))


def test_labels_that_are_unknown_do_not_count():
    points, kinds = blobs()
    targets = np.full((len(kinds), 3), np.nan)
    targets[:60, 0] = kinds[:60]
    assert METRICS["nmi"].compute(place(np.eye(3)[kinds], points, points), targets) == pytest.approx(1)
    assert np.isnan(METRICS["nmi"].compute(place(np.eye(3)[kinds], points, points), np.full((len(kinds), 3), np.nan)))


@pytest.mark.parametrize("mixture", [False, True])
def test_groups_that_lie_apart_are_stable_and_random_ones_are_not(mixture):
    points, kinds = blobs()
    targets = np.full((len(kinds), 3), np.nan)
    stable = METRICS["stability"].compute(place(np.eye(3)[kinds], points, points, mixture=mixture), targets)
    assert stable > 0.97
    chance = np.random.default_rng(0).integers(3, size=len(kinds))
    assert METRICS["stability"].compute(place(np.eye(3)[chance], points, points, mixture=mixture), targets) < 0.1


def test_one_group_has_no_figures():
    points, _ = blobs(30)
    scores = place(np.eye(3)[np.zeros(30, int)], points, points)
    targets = np.stack([np.arange(30) % 2, np.arange(30.0), np.ones(30)], axis=1)
    assert np.isnan(
        [METRICS[name].compute(scores, targets) for name in ("silhouette", "davies_bouldin", "logrank_p")]
    ).all()
    assert METRICS["nmi"].compute(scores, targets) == 0


def test_perfect_placements_get_the_best_of_every_metric():
    kinds = np.arange(60) % 3
    targets = np.stack([kinds, 10.0 ** (1 + kinds) + np.arange(60) / 100, np.ones(60)], axis=1)
    scores = perfect(targets, count=3)
    for name, metric in METRICS.items():
        assert metric.compute(scores, targets) == pytest.approx(metric.best, abs=1e-6), name


def test_survival_is_that_of_scipy():
    days, died, _ = followed()
    theirs = ecdf(CensoredData.right_censored(days, ~died)).sf
    for at in (0.0, 50.0, 133.0):
        assert survival_at(days, died, at) == pytest.approx(float(theirs.evaluate(at)))
    last = days.argmax()
    for ended, share in ((True, 0.0), (False, np.nan)):
        died[last] = ended
        assert survival_at(days, died, days.max() + 1) == pytest.approx(share, nan_ok=True)
    assert np.isnan(survival_at(days[:0], died[:0], 1.0))


def test_log_rank_of_two_groups_is_that_of_scipy():
    days, died, groups = followed()
    first, second = (CensoredData.right_censored(days[groups == g], ~died[groups == g]) for g in (0, 1))
    theirs = logrank(first, second)
    statistic, freedom = log_rank(days, died, groups)
    assert (statistic, freedom) == (pytest.approx(theirs.statistic**2), 1)
    assert log_rank_p(days, died, groups) == pytest.approx(theirs.pvalue)


def test_log_rank_does_not_depend_on_names_and_order_of_groups():
    days, died, groups = followed(90)
    three = groups + (np.arange(90) % 3 == 0)
    statistic, freedom = log_rank(days, died, three)
    renamed = np.array([7, 3, 5])[three]
    order = np.random.default_rng(0).permutation(90)
    assert log_rank(days[order], died[order], renamed[order]) == (pytest.approx(statistic), freedom)
    assert freedom == 2
    assert log_rank(days, died, np.zeros(90, int)) == (0.0, 0)
    assert np.isnan(log_rank_p(days, np.zeros(90, bool), groups))


def test_the_number_of_groups_is_found():
    points, kinds = blobs()
    candidates = try_groups(points)
    best = max(candidates, key=lambda candidate: candidate.worth)
    assert best.groups == 3
    assert best.stability > 0.95
    assert refit(points, 3, samples=4, seed=0).shape == (len(kinds), 4)


def test_no_number_of_groups_makes_one_of_few_patients():
    points, _ = blobs(24)
    assert all(24 / candidate.groups >= 10 for candidate in try_groups(points) if candidate.groups > 2)
    assert not try_groups(np.zeros((50, 3)))
