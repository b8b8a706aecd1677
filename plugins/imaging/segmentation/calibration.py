"""What the probability of a pixel is worth: Platt scaling of background against everything else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from .label_map import EVIDENCE_STEP

LEAST_SLOPE = 0.05
"""A network whose logits say less than that has learnt nothing, and stays as it is."""
_LEVELS = 256
"""Of the evidence, which is an 8-bit number."""


def fit_calibration(scores: NDArray, truths: NDArray) -> list[float] | None:
    """Return slope and offset that make of each pixel's logit the logit of a probability (Platt 1999).

    Every image weighs the same, however large. A network trained for overlap calls too many pixels and is too sure of
    them (Mehrtash et al. 2020). Returns None where the images do not have both background and labels.
    """
    counts = np.zeros((2, _LEVELS))
    for answer, truth in zip(scores, truths, strict=True):
        level = answer.evidence.ravel().astype(int) + _LEVELS // 2
        for number, pixels in enumerate((truth.classes.ravel() == 0, truth.classes.ravel() > 0)):
            counts[number] += np.bincount(level[pixels], minlength=_LEVELS) / pixels.size
    if not counts.sum(1).all():
        return None
    logits = np.tile((np.arange(_LEVELS) - _LEVELS // 2) * EVIDENCE_STEP, 2)
    labelled = np.repeat([0, 1], _LEVELS)
    model = LogisticRegression(C=np.inf).fit(logits[:, None], labelled, sample_weight=counts.ravel())
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return [slope, offset] if slope >= LEAST_SLOPE else None
