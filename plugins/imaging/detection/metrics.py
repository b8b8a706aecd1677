"""How well boxes agree with the truth: average precision as COCO counts it, FROC, and counting.

Scores are an array of objects, one (n, 6) array an image: left, top, right, bottom, probability, label. Truths are one
(m, 5) array an image: label, left, top, right, bottom. Boxes are matched once an image, in `prepare`; what a
bootstrap repeats only sorts and adds up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import Metric
from medhub.processing import as_rows

from .boxes import DECIDED

Array = NDArray[np.floating]

OVERLAPS = np.linspace(0.5, 0.95, 10)
"""Intersections over union from which a box counts as found."""
RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads the precision."""
FALSE_POSITIVES = np.array([1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8])
"""An image, at which the sensitivity is read (Setio et al. 2017)."""
LABEL, SCORE, FIRST = 0, 1, 2
"""Columns of a table of matched boxes: the label, the probability, and whether the box is right at each of OVERLAPS."""
RANK_BITS, LABEL_BITS = 32, 20
"""A box as one number, from the lowest bit: right or not at each of OVERLAPS, its label, its rank by probability."""


def prepare(scores: NDArray, targets: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return each image's boxes as numbers that sort by probability, its true, its decided and its expected counts.

    The numbers, one array an image, are what `_pack` makes; the counts are (images, labels).
    """
    count = 1 + int(max((row[:, column].max() for rows, column in ((scores, 5), (targets, 0))
                         for row in rows if len(row)), default=-1))  # fmt: skip
    true_counts, decided_counts, expected_counts = np.zeros((3, len(scores), count))
    for image, (boxes, truths) in enumerate(zip(scores, targets, strict=True)):
        true_counts[image] = np.bincount(truths[:, 0].astype(int), minlength=count)
        decided = boxes[boxes[:, 4] >= DECIDED, 5].astype(int)
        decided_counts[image] = np.bincount(decided, minlength=count)
        expected_counts[image] = np.bincount(boxes[:, 5].astype(int), weights=boxes[:, 4], minlength=count)
    packed = _pack([match(*pair) for pair in zip(scores, targets, strict=True)])
    return packed, true_counts, decided_counts, expected_counts


def _pack(tables: list[Array]) -> NDArray:
    """Return each table's boxes as integers: sorting these costs a bootstrap a tenth of what sorting rows would."""
    table = np.concatenate(tables)
    ranks = np.empty(len(table), dtype=np.int64)
    ranks[np.argsort(-table[:, SCORE], kind="stable")] = np.arange(len(table))  # of equals, the earlier image's first
    right = table[:, FIRST:].astype(np.int64) @ (1 << np.arange(len(OVERLAPS)))
    numbers = (ranks << RANK_BITS) + (table[:, LABEL].astype(np.int64) << len(OVERLAPS)) + right
    return as_rows(np.split(numbers, np.cumsum([len(each) for each in tables])[:-1]))


def _ranked(packed: NDArray, *, labels: int) -> list[NDArray[np.int64]]:
    """Return, for each label, the boxes of all images as bits (right or not at each of OVERLAPS), best box first."""
    numbers = np.sort(np.concatenate([*packed]))
    label = (numbers >> len(OVERLAPS)) & ((1 << LABEL_BITS) - 1)
    return [numbers[label == each] & ((1 << len(OVERLAPS)) - 1) for each in range(labels)]


def match(boxes: Array, truths: Array) -> Array:
    """Return a table (n, 2 + 10) of an image's boxes, the most probable first: label, probability, right or not.

    The most probable box takes the truth that it overlaps most, the next one what is left.
    """
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")].astype(float)
    table = np.zeros((len(boxes), FIRST + len(OVERLAPS)))
    table[:, LABEL], table[:, SCORE] = boxes[:, 5], boxes[:, 4]
    for label in np.unique(truths[:, 0]):
        rows = np.flatnonzero(boxes[:, 5] == label)
        overlaps = intersection_over_union(boxes[rows, :4], truths[truths[:, 0] == label, 1:])
        table[rows, FIRST:] = match_greedily(overlaps)
    return table


def match_greedily(overlaps: Array) -> NDArray[np.bool_]:
    """Say of each box, most probable first, whether it finds a truth at each of OVERLAPS: (boxes, 10).

    `overlaps` (boxes, truths) are intersections over union; a truth is found once.
    """
    found = np.zeros((len(overlaps), len(OVERLAPS)), dtype=bool)
    free = np.ones((len(OVERLAPS), overlaps.shape[1]), dtype=bool)
    levels = np.arange(len(OVERLAPS))
    for row in np.flatnonzero((overlaps >= OVERLAPS[0]).any(axis=1)):
        left = np.where(free, overlaps[row], -1.0)
        best = left.argmax(axis=1)
        found[row] = left[levels, best] >= OVERLAPS
        free[levels[found[row]], best[found[row]]] = False
    return found


def intersection_over_union(first: Array, second: Array) -> Array:
    """Return the overlap of every box of `first` (n, 4) with every box of `second` (m, 4), of shape (n, m)."""
    first, second = first.astype(float), second.astype(float)
    corners = np.maximum(first[:, None, :2], second[None, :, :2]), np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(corners[1] - corners[0], 0, None).prod(axis=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) for boxes in (first, second)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)


def _average_precision(right: NDArray, truths: float) -> float:
    """Return the mean over RECALLS of the best precision at that recall or beyond.

    `right` are the places of the right boxes among all boxes, best first: precision peaks just there.
    """
    if not len(right):
        return 0.0
    hits = np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate((hits / (right + 1))[::-1])[::-1]
    reached = np.searchsorted(hits / truths, RECALLS)
    return float(precision[reached[reached < len(hits)]].sum() / len(RECALLS))


def _average_precisions(packed: NDArray, true_counts: Array, *_: Array, levels: int) -> Array:
    """Return each label's average precision, the mean over the first `levels` of OVERLAPS; NaN without a truth."""
    values = np.full(true_counts.shape[1], np.nan)
    for label, bits in enumerate(_ranked(packed, labels=len(values))):
        if truths := true_counts[:, label].sum():
            places = np.flatnonzero(bits)
            right = bits[places]
            precisions = [_average_precision(places[right & (1 << level) > 0], truths) for level in range(levels)]
            values[label] = np.mean(precisions)
    return values


def _map50(*examples: NDArray) -> Array:
    return _average_precisions(*examples, levels=1)


def _map(*examples: NDArray) -> Array:
    return _average_precisions(*examples, levels=len(OVERLAPS))


def _froc(packed: NDArray, true_counts: Array, *_: Array) -> Array:
    """Return each label's mean sensitivity at FALSE_POSITIVES, at an overlap of .5; NaN without a truth."""
    values = np.full(true_counts.shape[1], np.nan)
    for label, bits in enumerate(_ranked(packed, labels=len(values))):
        if truths := true_counts[:, label].sum():
            right = bits & 1
            hits = np.append(0, np.cumsum(right))
            reached = np.searchsorted(np.cumsum(1 - right), FALSE_POSITIVES * len(packed), side="right")
            values[label] = hits[reached].mean() / truths
    return values


def _accuracy(counts: Array, true_counts: Array) -> Array:
    """Return 1 - |count - true| / true over all images together, at least 0 (Alam & Islam 2019)."""
    truths = true_counts.sum(axis=0)
    wrong = np.abs(counts.sum(axis=0) - truths)
    errors = np.divide(wrong, truths, out=np.full(len(truths), np.nan), where=truths > 0)
    return np.maximum(1 - errors, 0)


def _counting(packed: NDArray, true_counts: Array, decided_counts: Array, expected_counts: Array) -> Array:
    return _accuracy(decided_counts, true_counts)


def _expected_counting(packed: NDArray, true_counts: Array, decided_counts: Array, expected_counts: Array) -> Array:
    return _accuracy(expected_counts, true_counts)


def _count_error(packed: NDArray, true_counts: Array, decided_counts: Array, expected_counts: Array) -> Array:
    """Return by how many objects an image's count is wrong, on average."""
    return np.abs(decided_counts - true_counts).mean(axis=0)


def perfect(targets: NDArray, *, count: int) -> NDArray:
    """Return the scores that agree with the truths entirely."""
    return as_rows([np.column_stack([truths[:, 1:], np.ones(len(truths)), truths[:, 0]]) for truths in targets])


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("map50", _map50, best=1.0, prepare=prepare, per_label=True),
        Metric("map", _map, best=1.0, prepare=prepare, per_label=True),
        Metric("froc", _froc, best=1.0, prepare=prepare, per_label=True),
        Metric("counting", _counting, best=1.0, prepare=prepare, per_label=True),
        Metric("expected_counting", _expected_counting, best=1.0, prepare=prepare, per_label=True),
        Metric("count_error", _count_error, best=0.0, higher_is_better=False, prepare=prepare, per_label=True),
    )
}
