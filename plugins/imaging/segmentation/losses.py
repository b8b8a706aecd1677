"""The loss of a segmentation: cross entropy, and how far the regions are from overlapping."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -100
"""The label of pixels that do not count: padding, and what lies outside an image."""
BORDER_WEIGHT = 2.0
"""Of the thin borders between objects, which would hardly count by their number of pixels."""


def segmentation_loss(logits: Tensor, labels: Tensor, *, border: bool = False) -> Tensor:
    """Return cross entropy plus one minus the mean Dice of all classes but the background, a scalar.

    `logits` are (batch, classes, *space), `labels` (batch, *space) class numbers, or `IGNORED`. With `border` the last
    class weighs more. The sum of both is what nnU-Net minimises (Isensee et al. 2021).
    """
    logits = logits.float()
    weights = torch.ones(logits.shape[1], device=logits.device)
    if border:
        weights[-1] = BORDER_WEIGHT
    known = labels != IGNORED
    entropy = functional.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORED, reduction="sum")
    weight = (weights[labels.where(known, 0)] * known).sum()
    return entropy / weight.clamp(min=1.0) + 1 - soft_dice(logits, labels).mean()


def soft_dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the Dice overlap of probabilities and labels of each class but the background, over the whole batch.

    One small region missed in one image would otherwise cost as much as a large one (batch Dice).
    """
    known = (labels != IGNORED)[:, None]
    truth = functional.one_hot(labels.clamp(min=0), logits.shape[1]).movedim(-1, 1)[:, 1:] * known
    probabilities = logits.softmax(1)[:, 1:] * known
    over = [0, *range(2, logits.ndim)]
    overlap = (probabilities * truth).sum(over)
    return (2 * overlap + 1) / (probabilities.sum(over) + truth.sum(over) + 1)
