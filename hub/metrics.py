"""Metrics: a name, a function of scores and targets, and what a perfect and a blind prediction get.

`scores` and `targets` are arrays whose first axis is the example, so that a bootstrap can draw examples from both.
For classes, scores are probabilities of shape (examples, classes), targets are class numbers of shape (examples,), and
the decided class is the most probable one; of two classes, number 1 is the finding. For multi-label tasks both have the
shape (examples, labels), a NaN target is a missing label, and a probability of 0.5 decides for the label. Figures of a
single label or class are averaged over those that have one (macro average).

The formulas are written out because a bootstrap calls each one thousands of times, and scikit-learn's checks of its
input cost thirty times what the arithmetic costs. Tests hold every one to scikit-learn's and torchmetrics' values. A
task adds its own metrics in a `metrics.py` with the same `METRICS` table, and there `perfect(targets, count=...)`: the
scores that agree with targets entirely, of a task with `count` labels. What no figure says goes into its `TABLES`: by
caption, functions of scores and targets that return rows of text, the header first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
NAN = float("nan")
BINS = 15
"""Of confidence, for calibration errors."""
TENTHS = tuple(np.linspace(0, 1, 11).tolist())
"""Of a probability, for tables of how reliable it is."""


@dataclass(frozen=True)
class Metric:
    """A figure of merit, taken in two steps: what is dear is done once an example, what is cheap once a bootstrap draw.

    `prepare(scores, targets)` returns arrays whose first axis is the example (None: scores and targets themselves);
    metrics that name the same function share its work. `reduce(*prepared)` returns the value over the examples given,
    NaN where they cannot tell (one class only), or, with `per_label`, an array of a value a label, whose mean is the
    figure. `best` is what a perfect prediction gets; `chance` what a constant one gets, None where that depends on the
    data.
    """

    name: str
    reduce: Callable[..., Any]
    best: float
    chance: float | None = None
    higher_is_better: bool = True
    prepare: Callable[[NDArray, NDArray], tuple[NDArray, ...]] | None = None
    per_label: bool = False

    def compute(self, scores: NDArray, targets: NDArray) -> float:
        """Return the figure for the examples in `scores` and `targets`."""
        return self.value(self.examples(scores, targets))

    def examples(self, scores: NDArray, targets: NDArray) -> tuple[NDArray, ...]:
        """Return what `value` and `labels` are computed from: arrays whose first axis is the example."""
        return (scores, targets) if self.prepare is None else self.prepare(scores, targets)

    def value(self, examples: tuple[NDArray, ...]) -> float:
        """Return the figure for prepared examples; of several labels, the mean over those that have one."""
        found = self.reduce(*examples)
        return _macro(found) if self.per_label else float(found)

    def labels(self, examples: tuple[NDArray, ...]) -> NDArray[np.floating] | None:
        """Return the figure of each label, NaN where it has none; None for a metric that knows no labels."""
        return np.asarray(self.reduce(*examples), float) if self.per_label else None


def _outcomes(scores: Array, targets: NDArray) -> Array:
    """Return targets as one 0/1 column a class or label, NaN where unknown."""
    return (targets[:, None] == np.arange(scores.shape[1])).astype(float) if targets.ndim == 1 else targets


def _decisions(scores: Array, targets: NDArray) -> NDArray[np.bool_]:
    """Return what is decided as one column a class or label."""
    if targets.ndim == 1:
        return scores.argmax(axis=1)[:, None] == np.arange(scores.shape[1])
    return scores >= 0.5


def _finding(columns: NDArray, targets: NDArray) -> NDArray:
    """Keep only class 1 of two classes, as medicine reports the finding and not its absence."""
    return columns[:, 1:] if targets.ndim == 1 and columns.shape[1] == 2 else columns


def _macro(values: Sequence[float] | Array) -> float:
    """Average over the labels or classes for which there is a value."""
    defined = np.asarray(values)[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else NAN


def _ranked(compute: Callable[[Array, Array], float], scores: Array, targets: NDArray) -> float:
    """Average a figure of the order of scores."""
    values = []
    outcomes = _finding(_outcomes(scores, targets), targets)
    for score, truth in zip(_finding(scores, targets).T, outcomes.T, strict=True):
        known = ~np.isnan(truth)
        if 0 < truth[known].sum() < known.sum():  # there is nothing to rank where all are alike
            values.append(compute(score[known], truth[known]))
    return _macro(values)


def _curve(score: Array, truth: Array) -> tuple[Array, Array]:
    """Count true and false positives at each distinct threshold, from the highest score down."""
    order = np.argsort(-score)
    score, truth = score[order], truth[order]
    last_of_ties = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    true_positives = np.cumsum(truth)[last_of_ties]
    return true_positives, last_of_ties + 1 - true_positives


def _auroc(score: Array, truth: Array) -> float:
    """Area under the receiver operating characteristic, ties counting half."""
    true_positives, false_positives = (np.append(0.0, counts) for counts in _curve(score, truth))
    return float(np.trapezoid(true_positives, false_positives) / (true_positives[-1] * false_positives[-1]))


def _auprc(score: Array, truth: Array) -> float:
    """Average precision: precision at each threshold, weighted by the recall that the threshold adds."""
    true_positives, false_positives = _curve(score, truth)
    precision = true_positives / (true_positives + false_positives)
    return float(np.sum(np.diff(true_positives, prepend=0.0) * precision) / true_positives[-1])


@dataclass(frozen=True)
class _Counts:
    """True and false positives, false and true negatives of each label or class, unknown labels left out."""

    tp: Array
    fp: Array
    fn: Array
    tn: Array

    @classmethod
    def of(cls, scores: Array, targets: NDArray) -> _Counts:
        found = _finding(_decisions(scores, targets), targets)
        outcomes = _finding(_outcomes(scores, targets), targets)
        yes, no = outcomes == 1, outcomes == 0
        counted = (found & yes, found & no, ~found & yes, ~found & no)
        return cls(*(rows.sum(axis=0).astype(float) for rows in counted))


def _ratio(part: Array, whole: Array) -> Array:
    """Divide, with NaN for what would be divided by 0."""
    return np.divide(part, whole, out=np.full_like(part, NAN), where=whole > 0)


def _sensitivity(scores: Array, targets: NDArray) -> float:
    n = _Counts.of(scores, targets)
    return _macro(_ratio(n.tp, n.tp + n.fn))


def _specificity(scores: Array, targets: NDArray) -> float:
    n = _Counts.of(scores, targets)
    return _macro(_ratio(n.tn, n.tn + n.fp))


def _precision(scores: Array, targets: NDArray) -> float:
    """Share of findings that are true; 0 where nothing was found though something is there."""
    n = _Counts.of(scores, targets)
    return _macro(np.where((n.tp + n.fp == 0) & (n.fn > 0), 0.0, _ratio(n.tp, n.tp + n.fp)))


def _f1(scores: Array, targets: NDArray) -> float:
    n = _Counts.of(scores, targets)
    return _macro(_ratio(2 * n.tp, 2 * n.tp + n.fp + n.fn))


def _accuracy(scores: Array, targets: NDArray) -> float:
    """Share of right decisions, over all known labels together."""
    if targets.ndim == 1:
        return float(np.mean(scores.argmax(axis=1) == targets))
    n = _Counts.of(scores, targets)
    return float(_ratio((n.tp + n.tn).sum(), (n.tp + n.tn + n.fp + n.fn).sum()))


def _matthews(scores: Array, targets: NDArray) -> float:
    """Correlation of decision and truth; of several classes at once by Gorodkin (2004), equation 8."""
    if targets.ndim == 1:
        return _correlation(_decisions(scores, targets), _outcomes(scores, targets))
    n = _Counts.of(scores, targets)
    decided_alike = (n.tp + n.fp == 0) | (n.tn + n.fn == 0)
    spread = np.sqrt((n.tp + n.fp) * (n.tp + n.fn) * (n.tn + n.fp) * (n.tn + n.fn))
    both_there = (n.tp + n.fn > 0) & (n.tn + n.fp > 0)
    return _macro(np.where(decided_alike & both_there, 0.0, _ratio(n.tp * n.tn - n.fp * n.fn, spread)))


def _correlation(decided: NDArray, truth: NDArray) -> float:
    """Correlate two tables of 0/1 columns as if each row were one value; 0 where one decision is always made."""
    decided, truth = decided - decided.mean(axis=0), truth - truth.mean(axis=0)
    spread, spread_of_truth = np.sum(decided**2), np.sum(truth**2)
    if not spread_of_truth > 0:
        return NAN
    return float(np.sum(decided * truth) / np.sqrt(spread * spread_of_truth)) if spread > 0 else 0.0


def _brier(scores: Array, targets: NDArray) -> float:
    """Mean squared distance between probability and outcome (Brier 1950), halved for classes: in [0, 1]."""
    distance = (scores - _outcomes(scores, targets)) ** 2
    if targets.ndim == 1:
        return float(distance.sum(axis=1).mean() / 2)
    known = ~np.isnan(targets)
    return float(distance[known].mean()) if known.any() else NAN


def calibration_gaps(confidence: Array, correct: NDArray[np.bool_]) -> Array:
    """Return, for each of `BINS` equal bins of confidence, the right answers less the confidences that fall into it."""
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return np.bincount(bin_of, weights=correct - confidence.astype(float), minlength=BINS).astype(float)


def reliability(told: Array, true: NDArray, *, edges: Sequence[float] = TENTHS) -> list[list[str]]:
    """Return a table of text: how often came true what was told with a probability of each stretch between `edges`.

    `told` and `true`, 0 or 1, are (examples,). Stretches in which nothing was told are left out.
    """
    stretch = np.digitize(told, edges[1:-1])
    rows = [["probability", "examples", "mean probability", "came true"]]
    for number, (low, high) in enumerate(pairwise(edges)):
        if (here := stretch == number).any():
            means = (f"{values[here].mean():.3f}" for values in (told, true))
            rows.append([f"{low:.2f} to {high:.2f}", f"{here.sum():,}", *means])
    return rows


def _calibration_error(scores: Array, targets: NDArray) -> float:
    """Expected calibration error of the decision over equal-width bins (Guo et al. 2017, equation 3)."""
    if targets.ndim == 1:
        confidence, correct = scores.max(axis=1), scores.argmax(axis=1) == targets
    else:
        known = ~np.isnan(targets)
        score, truth = scores[known], targets[known]
        confidence, correct = np.maximum(score, 1 - score), (score >= 0.5) == (truth == 1)
    if not len(confidence):
        return NAN
    # a bin's gap weighs as its share of the examples, so that its counts cancel
    return float(np.abs(calibration_gaps(confidence, correct)).sum() / len(confidence))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("auroc", partial(_ranked, _auroc), best=1.0, chance=0.5),
        Metric("auprc", partial(_ranked, _auprc), best=1.0),
        Metric("accuracy", _accuracy, best=1.0),
        Metric("sensitivity", _sensitivity, best=1.0),
        Metric("specificity", _specificity, best=1.0),
        Metric("precision", _precision, best=1.0),
        Metric("f1", _f1, best=1.0),
        Metric("mcc", _matthews, best=1.0, chance=0.0),
        Metric("brier", _brier, best=0.0, higher_is_better=False),
        Metric("ece", _calibration_error, best=0.0, higher_is_better=False),
    )
}
