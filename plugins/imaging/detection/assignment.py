"""Which cells answer for which object: task-aligned assignment (TOOD, Feng et al. 2021)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

CELLS_PER_OBJECT = 13
PROBABILITY_POWER, OVERLAP_POWER = 1.0, 6.0


class Assignment(NamedTuple):
    """What each candidate should have answered; every tensor is (batch, candidates), `boxes` has 4 numbers more."""

    quality: Tensor
    """How well the candidate is to be believed, 0 for background: the soft target of its label's probability."""
    classes: Tensor
    """Index of the object's label; 0 where there is no object."""
    boxes: Tensor
    """The object's box, xyxy in pixels."""


@torch.no_grad()
def assign(probabilities: Tensor, boxes: Tensor, labels: Tensor, *, centres: Tensor, least_reach: Tensor) -> Assignment:
    """Give each object the cells that already answer best for it.

    Alignment is probability^1 x IoU^6; an object gets the best 13 of the cells whose centre lies in it, and a cell that
    several objects claim goes to the one that it overlaps most. The best cell's quality is the object's highest IoU,
    the others' stand in proportion to their alignment.

    probabilities (batch, candidates, labels) and boxes (batch, candidates, 4) are the network's; labels (batch, most,
    5) are class, x1, y1, x2, y2, with class -1 where there is none; centres (candidates, 2) are x, y of the cells.
    Cells nearer to an object's middle than `least_reach` pixels, a scalar, count as inside it: the smallest may hold no
    centre.
    """
    from torchvision.ops import box_iou

    labels = functional.pad(labels, (0, 0, 0, 1), value=-1.0)  # of no rows at all there would be no maximum
    classes, truths = labels[..., 0].long(), labels[..., 1:]
    overlaps = box_iou(truths, boxes)  # (batch, most, candidates), like all that follows
    beliefs = probabilities.transpose(1, 2).take_along_dim(classes.clamp(min=0)[..., None], dim=1)
    eligible = _inside(centres, truths, least_reach=least_reach) & is_object(labels)[..., None]
    alignment = torch.where(eligible, beliefs**PROBABILITY_POWER * overlaps**OVERLAP_POWER, 0.0)

    best = alignment.topk(min(CELLS_PER_OBJECT, alignment.shape[-1])).indices
    chosen = torch.zeros_like(eligible).scatter_(-1, best, value=True) & eligible
    strongest = torch.where(chosen, overlaps, -1.0).max(1, keepdim=True).indices
    chosen &= torch.zeros_like(chosen).scatter_(1, strongest, value=True)

    alignment, overlaps = alignment * chosen, overlaps * chosen
    scale = overlaps.amax(-1, keepdim=True) / alignment.amax(-1, keepdim=True).clamp(min=1e-12)
    object_of = chosen.int().argmax(1)  # (batch, candidates)
    return Assignment(
        quality=(alignment * scale).sum(1),
        classes=classes.clamp(min=0).gather(1, object_of),
        boxes=truths.take_along_dim(object_of[..., None], dim=1),
    )


def is_object(labels: Tensor) -> Tensor:
    """Return which rows of labels (batch, most, 5) are objects: not padding, and not a box without any area."""
    return (labels[..., 0] >= 0) & (labels[..., 3:] > labels[..., 1:3]).all(-1)


def _inside(centres: Tensor, boxes: Tensor, *, least_reach: Tensor) -> Tensor:
    """Return which centres (candidates, 2) lie in which boxes (batch, most, 4), as (batch, most, candidates)."""
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2
    reach = ((boxes[..., 2:] - boxes[..., :2]) / 2).clamp(min=least_reach)
    return ((centres - middles[..., None, :]).abs() <= reach[..., None, :]).all(-1)
