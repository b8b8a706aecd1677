"""What the probability of a pixel is worth: Platt scaling of background against everything else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medhub.calibration import fit_platt

from .label_map import EVIDENCE_STEP

_LEVELS = 256
"""Of the evidence, which is an 8-bit number."""


def fit_calibration(scores: NDArray, truths: NDArray) -> list[float] | None:
    """Return slope and offset that make of each pixel's logit the logit of a probability (Platt 1999).

    Every image weighs the same, however large. A network trained for overlap calls too many pixels and is too sure of
    them (Mehrtash et al. 2020). Returns None where `fit_platt` does.
    """
    shares, pixels = np.zeros((2, _LEVELS)), 0
    for answer, truth in zip(scores, truths, strict=True):
        level = answer.evidence.ravel().astype(int) + _LEVELS // 2
        for number, there in enumerate((truth.classes.ravel() == 0, truth.classes.ravel() > 0)):
            shares[number] += np.bincount(level[there], minlength=_LEVELS) / there.size
        pixels += truth.classes.size
    logits = np.tile((np.arange(_LEVELS) - _LEVELS // 2) * EVIDENCE_STEP, 2)
    labelled = np.repeat([False, True], _LEVELS)
    return fit_platt(logits, labelled, weights=shares.ravel() * pixels / len(scores))
