"""How sure a number is: percentile intervals of a bootstrap that draws whole groups.

Rows of one patient, scaffold or family are alike, so drawing rows one by one would make intervals too narrow; the group
that no split divides is what is drawn (Field and Welsh 2007, "cluster bootstrap").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import Metric

Examples = dict[Callable[[NDArray, NDArray], tuple[NDArray, ...]] | None, tuple[NDArray, ...]]
"""Prepared examples by the function that a metric prepares them with."""


@dataclass(frozen=True)
class Estimate:
    """A number and the ends of its 95 % interval; None where the data cannot tell.

    `undefined` counts the replicates in which the number could not be computed; the interval rests on the others.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    undefined: int = 0

    @property
    def inside(self) -> bool:
        """Whether the value lies in its interval, where it has one."""
        if self.value is None or self.low is None or self.high is None:
            return True
        return self.low <= self.value <= self.high

    def __str__(self) -> str:
        if self.value is None:
            return "not defined"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def draw_groups(groups: Sequence[str], *, replicates: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Yield the row numbers of each replicate: as many whole groups as there are, drawn with replacement."""
    _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(group_of, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(group_of[order])) + 1)
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.concatenate([members[i] for i in generator.integers(len(members), size=len(members))])


def replicate(
    models: Mapping[str, Examples],
    *,
    groups: Sequence[str],
    metrics: Sequence[Metric],
    replicates: int = 1000,
    seed: int = 0,
) -> NDArray[np.floating]:
    """Return each metric of each model in each replicate, of shape (replicates, models, metrics).

    `models` are what `prepare_examples` made of each model's scores.
    All models are measured on the same draws, so that the difference of two of them has its interval too. A single
    group says nothing about others: no replicate is drawn then.
    """
    if len(set(groups)) < 2:
        replicates = 0
    values = np.empty((replicates, len(models), len(metrics)))
    for i, rows in enumerate(draw_groups(groups, replicates=replicates, seed=seed)):
        for j, prepared in enumerate(models.values()):
            drawn = {prepare: tuple(column[rows] for column in columns) for prepare, columns in prepared.items()}
            values[i, j] = [metric.value(drawn[metric.prepare]) for metric in metrics]
    return values


def prepare_examples(metrics: Sequence[Metric], scores: NDArray, targets: NDArray) -> Examples:
    """Return what the metrics are computed from, once for each way in which they prepare it."""
    first = {metric.prepare: metric for metric in metrics}
    return {prepare: metric.examples(scores, targets) for prepare, metric in first.items()}


def estimate(value: float, replicates: NDArray[np.floating]) -> Estimate:
    """Return a value with the 2.5 % and 97.5 % percentiles of its replicates, NaN replicates left out and counted."""
    defined = replicates[~np.isnan(replicates)]
    undefined = len(replicates) - len(defined)
    if np.isnan(value):
        return Estimate(None, undefined=undefined)
    if not len(defined):
        return Estimate(float(value), undefined=undefined)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high), undefined)
