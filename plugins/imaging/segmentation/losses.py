"""The loss of a segmentation: cross entropy, and how far the regions are from overlapping."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -100
"""The label of pixels that do not count: padding, and what lies outside an image."""


def segmentation_loss(logits: Tensor, labels: Tensor, *, border: bool = False) -> Tensor:
    """Return cross entropy plus one minus the mean soft Dice, a scalar: what nnU-Net minimises (Isensee et al. 2021).

    `logits` are (batch, classes, *space), `labels` (batch, *space) class numbers, or `IGNORED`; class 0 is background.
    With `border` the last class is objects' borders, and what lies next to one counts twice, inside and outside: weight
    on the border alone would make every object too large.
    """
    logits = logits.float()
    weights = (labels != IGNORED).float()
    if border:
        weights = weights * (1 + _beside(labels == logits.shape[1] - 1))
    entropy = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
    dice = soft_dice(logits, labels, border=border)
    return (entropy * weights).sum() / weights.sum().clamp(min=1.0) + 1 - dice.mean()


def soft_dice(logits: Tensor, labels: Tensor, *, border: bool = False) -> Tensor:
    """Return the Dice overlap of probabilities and labels of each class but the background, over the whole batch.

    One small region missed in one image would otherwise cost as much as a large one (batch Dice). With `border` the
    last figure is that of all classes together: the Dice of a thin border is low at best, and would make it too wide.
    """
    known = (labels != IGNORED)[:, None]
    truth = functional.one_hot(labels.clamp(min=0), logits.shape[1]).movedim(-1, 1)[:, 1:] * known
    probabilities = logits.softmax(1)[:, 1:] * known
    if border:
        truth, probabilities = _with_all(truth), _with_all(probabilities)
    over = [0, *range(2, logits.ndim)]
    overlap = (probabilities * truth).sum(over)
    return (2 * overlap + 1) / (probabilities.sum(over) + truth.sum(over) + 1)


def _with_all(maps: Tensor) -> Tensor:
    """Put all classes together in the place of the last one."""
    return torch.cat([maps[:, :-1], maps.sum(1, keepdim=True)], dim=1)


def _beside(border: Tensor) -> Tensor:
    """Return 1 for the pixels of a border (batch, *space) and those that touch it, else 0."""
    pool = {3: functional.max_pool2d, 4: functional.max_pool3d}[border.ndim]
    return pool(border[:, None].float(), 3, 1, 1)[:, 0]
