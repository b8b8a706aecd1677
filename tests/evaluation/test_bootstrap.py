"""Intervals that hold what they promise, drawn by group."""

from __future__ import annotations

import numpy as np
import pytest

from medhub.evaluation import Estimate, draw_groups, estimate, prepare_examples, replicate
from medhub.metrics import METRICS, Metric

MEAN = Metric("mean", lambda scores, targets: float(scores.mean()), best=1.0)


def width(number: Estimate) -> float:
    assert number.low is not None
    assert number.high is not None
    return number.high - number.low


def mean_with_interval(values: np.ndarray, groups: list[str], seed: int = 0) -> Estimate:
    replicates = replicate(
        {"model": prepare_examples([MEAN], values, values)}, groups=groups, metrics=[MEAN], replicates=200, seed=seed
    )
    return estimate(values.mean(), replicates[:, 0, 0])


def test_a_draw_holds_whole_groups_as_many_as_there_are() -> None:
    groups = ["b", "a", "b", "c", "a", "b"]
    for rows in draw_groups(groups, replicates=20, seed=0):
        drawn = [groups[row] for row in rows]
        times = {name: drawn.count(name) / groups.count(name) for name in set(drawn)}
        assert all(time == int(time) for time in times.values())
        assert sum(times.values()) == 3


def test_the_same_seed_draws_the_same_rows() -> None:
    groups = [str(i) for i in range(30)]
    first, again, other = ([*draw_groups(groups, replicates=2, seed=seed)] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_intervals_cover_the_truth_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(120):
        number = mean_with_interval(random.normal(0.5, 0.2, size=60), [str(i) for i in range(60)], seed)
        covered += number.low <= 0.5 <= number.high
    assert 106 <= covered <= 119  # 114 expected


def test_clusters_of_alike_rows_make_intervals_wider() -> None:
    random = np.random.default_rng(1)
    values = np.repeat(random.normal(0.5, 0.2, size=40), 10) + random.normal(0, 0.01, size=400)
    by_group = mean_with_interval(values, [str(i // 10) for i in range(400)])
    by_row = mean_with_interval(values, [str(i) for i in range(400)])
    # ten copies of a row are worth one: the interval is too narrow by the root of ten
    assert width(by_group) == pytest.approx(width(by_row) * np.sqrt(10), rel=0.25)


def test_replicates_that_cannot_tell_are_left_out_and_counted() -> None:
    targets = np.array([0] * 11 + [1])
    scores = np.eye(2)[targets]
    groups = [str(i) for i in range(12)]
    values = replicate(
        {"net": prepare_examples([METRICS["auroc"]], scores, targets)},
        groups=groups,
        metrics=[METRICS["auroc"]],
        replicates=400,
    )
    number = estimate(1.0, values[:, 0, 0])
    # a draw of 12 misses the one positive row with probability (11/12) ** 12
    assert number.undefined / 400 == pytest.approx((11 / 12) ** 12, abs=0.08)
    assert (number.low, number.high) == (1.0, 1.0)


def test_one_group_or_no_value_gives_no_interval() -> None:
    values = replicate(
        {"net": prepare_examples([MEAN], np.ones(5), np.ones(5))}, groups=["one patient"] * 5, metrics=[MEAN]
    )
    assert estimate(1.0, values[:, 0, 0]) == Estimate(1.0)
    assert str(estimate(1.0, values[:, 0, 0])) == "1.000"
    assert estimate(float("nan"), np.array([np.nan, 1.0])) == Estimate(None, undefined=1)


def test_all_models_are_measured_on_the_same_draws() -> None:
    random = np.random.default_rng(2)
    scores = random.random(50)
    models, groups = {"net": scores, "baseline": scores - 0.1}, [str(i) for i in range(50)]
    values = replicate(
        {name: prepare_examples([MEAN], each, scores) for name, each in models.items()},
        groups=groups,
        metrics=[MEAN],
        replicates=50,
    )
    assert values[:, 0] - values[:, 1] == pytest.approx(0.1)
