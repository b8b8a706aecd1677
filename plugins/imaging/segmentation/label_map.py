"""Label maps: what the network's probabilities, or a mask's file, say of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST_OBJECT = 10
"""Pixels below which a found object is dropped."""
EVIDENCE_STEP = 0.1
"""Of a logit, between two of the 256 levels that are kept of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelMap:
    """A number for every pixel of a picture (rows, columns) or a volume (slices, rows, columns)."""

    classes: NDArray[np.uint8]
    """0 for background, otherwise the label's index + 1."""
    instances: NDArray[np.int32] | None = None
    """0 for background, otherwise the object's number from 1; None where objects are not told apart."""
    spacing: tuple[float, ...] | None = None
    """Millimetres from pixel to pixel along each axis; None: unknown, and distances are in pixels."""
    evidence: NDArray[np.int8] | None = None
    """How surely a pixel has any label: the network's logit in steps of `EVIDENCE_STEP`, before calibration."""
    confidence: tuple[float, ...]
    """Mean probability of each label over its region, 0 where it has none."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        """Return the classes and, where there are any, the objects as one array."""
        maps = self.classes[None] if self.instances is None else np.stack([self.classes, self.instances])
        return np.array(maps, dtype=dtype)


def decide(
    probabilities: NDArray[np.floating],
    *,
    labels: int,
    spacing: Sequence[float] | None = None,
    calibration: Sequence[float] | None = None,
) -> LabelMap:
    """Return what probabilities (outputs, *space) of background, labels and perhaps borders say.

    A pixel belongs to the most probable label where the background is less probable than all else together. With
    borders, every connected inside of probability over one half is an object, which grows over its border.
    `calibration` is the slope and offset by which the logit of having any label is corrected first.
    """
    from scipy.special import expit, logit

    foreground = (1 - probabilities[0]).clip(1e-6, 1 - 1e-6)
    evidence = logit(foreground)
    slope, offset = calibration or (1.0, 0.0)
    calibrated = expit(slope * evidence + offset)
    bodies = probabilities[1 : labels + 1] / foreground * calibrated
    inside = bodies.sum(0)
    classes = np.where(calibrated > 0.5, 1 + bodies.argmax(0), 0).astype(np.uint8)
    instances = None
    if len(probabilities) > labels + 1:
        instances = _objects(classes > 0, inside)
        classes = np.where(instances > 0, classes, 0).astype(np.uint8)
    shares = bodies / np.maximum(inside, 1e-9) * calibrated
    return LabelMap(
        classes=classes,
        instances=instances,
        spacing=tuple(spacing) if spacing else None,
        evidence=(evidence / EVIDENCE_STEP).round().clip(-128, 127).astype(np.int8),
        confidence=tuple(_mean(shares[label][classes == label + 1]) for label in range(labels)),
    )


def _objects(foreground: NDArray[np.bool_], inside: NDArray[np.floating]) -> NDArray[np.int32]:
    """Number the objects of a foreground by the probability of being `inside` one; small ones are left out."""
    from skimage.measure import label
    from skimage.segmentation import relabel_sequential, watershed

    seeds = label((inside > 0.5) & foreground, connectivity=1)
    grown = watershed(-inside, seeds, mask=foreground)
    # an object that is all border has no seed
    rest = label(foreground & (grown == 0), connectivity=1)
    objects = np.where(rest > 0, rest + grown.max(), grown)
    sizes = np.bincount(objects.ravel())
    objects[sizes[objects] < SMALLEST_OBJECT] = 0
    return relabel_sequential(objects)[0].astype(np.int32)


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean()) if values.size else 0.0
