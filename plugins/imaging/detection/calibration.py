"""What a box's logit is worth: Platt scaling on whether boxes of the validation images are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from medhub.calibration import LEAST_SLOPE, fit_platt

from .metrics import FIRST, LABEL, SCORE, match

FEWEST = 5
"""Right and wrong boxes each from which a label's scale is fitted; with fewer it stays as it is."""


def fit_calibration(
    scores: NDArray, truths: NDArray, *, names: list[str], before: list[list[float]] | None
) -> tuple[list[list[float]], str]:
    """Return a slope and an offset for each label's logit, and what to say of them.

    A box is right when it finds an object at an overlap of .5. `before` are the slopes and offsets that the `scores`
    were made with. A slope is always positive, so that boxes keep their order (Platt 1999).
    """
    table = np.concatenate([match(*pair) for pair in zip(scores, truths, strict=True)])
    fitted, unfitted = [], []
    for label, name in enumerate(names):
        boxes = table[table[:, LABEL] == label]
        right = boxes[:, FIRST] == 1
        old_slope, old_offset = before[label] if before else (1.0, 0.0)
        slope, offset = 1.0, 0.0
        if min(right.sum(), (~right).sum()) < FEWEST:
            unfitted.append(name)
        else:
            slope, offset = _platt(logit(boxes[:, SCORE].clip(1e-6, 1 - 1e-6)), right)
        fitted.append([slope * old_slope, slope * old_offset + offset])
    said = (
        f"Probabilities of boxes were fitted to whether boxes of the {len(scores):,} validation images are right "
        "(Platt scaling of each label's logit; right: an overlap of at least .5 with an object not yet found)."
    )
    return fitted, said + (f" For {', '.join(unfitted)} there were too few boxes." if unfitted else "")


def _platt(logits: NDArray, right: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and offset; where logits hardly tell, nearly all boxes get the share of right ones."""
    slope, offset = fit_platt(logits, right) or (LEAST_SLOPE, logit(right.mean()) - LEAST_SLOPE * logits.mean())
    return slope, float(offset)
