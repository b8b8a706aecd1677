"""Metrics of segmentations: overlap of regions, distance of their surfaces, objects found.

Scores and targets are arrays of LabelMaps. What is dear is done once an image, so that a bootstrap is cheap. Tests hold
the figures of a single image to MONAI's and scikit-image's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import Metric

from .label_map import LabelMap

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

TOLERANCE_MILLIMETRES, TOLERANCE_PIXELS = 1.0, 2.0
"""How far a surface may be off in surface_dice; in pixels where an image's spacing is unknown."""


def perfect(targets: NDArray, *, count: int) -> NDArray:
    """Return the scores that agree with targets entirely: they themselves."""
    return targets


def _pairs(scores: NDArray, targets: NDArray) -> Iterator[tuple[int, int, LabelMap, LabelMap]]:
    """Yield each image and label as numbers from 0, with the image's answer and truth."""
    for image, (answer, truth) in enumerate(zip(scores, targets, strict=True)):
        for label in range(len(truth.confidence)):
            yield image, label, answer, truth


def _empty(targets: NDArray, figures: int) -> list[Array]:
    """Return as many arrays (images, labels) of NaN."""
    labels = len(targets[0].confidence) if len(targets) else 0
    return [np.full((len(targets), labels), np.nan) for _ in range(figures)]


def _mean(values: Array) -> Array:
    """Average (images, labels) over the images that have a value; NaN for a label that has none in any."""
    known = ~np.isnan(values)
    counts = known.sum(0)
    return np.divide(np.where(known, values, 0.0).sum(0), counts, out=np.full(len(counts), np.nan), where=counts > 0)


# -- overlap --


def _overlap(scores: NDArray, targets: NDArray) -> tuple[Array, ...]:
    """Return Dice and IoU (images, labels), NaN where neither answer nor truth has the label."""
    dice, iou = _empty(targets, 2)
    for image, label, answer, truth in _pairs(scores, targets):
        found, true = answer.classes == label + 1, truth.classes == label + 1
        both, either = np.count_nonzero(found & true), np.count_nonzero(found | true)
        if either:
            dice[image, label] = 2 * both / (both + either)
            iou[image, label] = both / either
    return dice, iou


# -- surfaces --


def _surfaces(scores: NDArray, targets: NDArray) -> tuple[Array, ...]:
    """Return the 95th percentile of surface distance, and the surface Dice (images, labels), NaN as in `_overlap`.

    Where only the answer or only the truth has the label, the distance is the image's diagonal.
    """
    distance, dice = _empty(targets, 2)
    for image, label, answer, truth in _pairs(scores, targets):
        found, true = answer.classes == label + 1, truth.classes == label + 1
        spacing = truth.spacing or (1.0,) * true.ndim
        if found.any() and true.any():
            tolerance = TOLERANCE_MILLIMETRES if truth.spacing else TOLERANCE_PIXELS
            there, back = surface_distances(found, true, spacing=spacing)
            distance[image, label] = max(np.percentile(there, 95), np.percentile(back, 95))
            dice[image, label] = np.mean(np.concatenate([there, back]) <= tolerance)
        elif found.any() or true.any():
            distance[image, label] = np.linalg.norm(np.multiply(true.shape, spacing))
            dice[image, label] = 0.0
    return distance, dice


def surface_distances(found: Mask, true: Mask, *, spacing: tuple[float, ...]) -> tuple[Array, Array]:
    """Return how far each surface pixel of one region is from the other's surface, and the other way round.

    Both regions must have pixels. A surface pixel is one with a neighbour, across a side, that is not of the region.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    box = _bounding_box(found | true)
    surfaces = []
    for region in (found, true):
        within = np.pad(region[box], 1)  # also at the image's rim there is a surface
        surfaces.append(within & ~binary_erosion(within))
    first, second = surfaces
    return distance_transform_edt(~second, spacing)[first], distance_transform_edt(~first, spacing)[second]


def _bounding_box(region: Mask) -> tuple[slice, ...]:
    """Return the smallest part of an image that holds all of a region."""
    box = []
    for axis in range(region.ndim):
        places = np.flatnonzero(region.any(tuple(other for other in range(region.ndim) if other != axis)))
        box.append(slice(places[0], places[-1] + 1))
    return tuple(box)


# -- objects --


def _objects(scores: NDArray, targets: NDArray) -> tuple[Array]:
    """Return the share of objects that are matched, TP / (TP + FP + FN), (images, labels); NaN where there are none.

    A pair matches at an IoU above 0.5, so that no object has two partners. Where objects are not told apart they are
    the connected parts of a region.
    """
    (share,) = _empty(targets, 1)
    for image, label, answer, truth in _pairs(scores, targets):
        iou = object_overlaps(_numbered(answer, label), _numbered(truth, label))
        matched = np.count_nonzero(iou > 0.5)
        if sum(iou.shape):
            share[image, label] = matched / (sum(iou.shape) - matched)
    return (share,)


def object_overlaps(found: NDArray[np.integer], true: NDArray[np.integer]) -> Array:
    """Return the IoU of each object of one map with each of another, (objects found, objects true)."""
    found_numbers, first = np.unique(found, return_inverse=True)
    true_numbers, second = np.unique(true, return_inverse=True)
    shape = len(found_numbers), len(true_numbers)
    both = np.bincount(first.ravel() * shape[1] + second.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
    iou = both / (both.sum(1, keepdims=True) + both.sum(0, keepdims=True) - both)
    return iou[found_numbers > 0][:, true_numbers > 0]


def _numbered(labels: LabelMap, label: int) -> NDArray[np.integer]:
    """Return a map of the objects of one label, 0 elsewhere."""
    region = labels.classes == label + 1
    if labels.instances is not None:
        return np.where(region, labels.instances, 0)
    from scipy.ndimage import label as connect

    return connect(region)[0]


def _first(first: Array, *_: Array) -> Array:
    return _mean(first)


def _second(_: Array, second: Array) -> Array:
    return _mean(second)


_per_label = partial(Metric, per_label=True)
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _per_label("dice", _first, best=1.0, prepare=_overlap),
        _per_label("iou", _second, best=1.0, prepare=_overlap),
        _per_label("hd95", _first, best=0.0, higher_is_better=False, prepare=_surfaces),
        _per_label("surface_dice", _second, best=1.0, prepare=_surfaces),
        _per_label("ap50", _first, best=1.0, prepare=_objects),
    )
}
