"""The loss of "yolo": what, where, and how sure of where."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .assignment import assign

OVERLAP_WEIGHT, DISTANCE_WEIGHT = 2.5, 0.5
"""Weights of the losses of boxes and of distances beside that of labels (PP-YOLOE, Xu et al. 2022)."""


def detection_loss(
    logits: Tensor, beliefs: Tensor, boxes: Tensor, labels: Tensor, *, centres: Tensor, strides: Tensor
) -> Tensor:
    """Return a batch's loss, a scalar: three sums over the cells, divided by the sum of the cells' qualities.

    Labels: binary cross entropy with the quality of the assignment as soft target. Boxes: complete IoU (Zheng et al.
    2020). Distances: distribution focal loss (Li et al. 2020). The latter two count as much as the cell's quality.

    logits (batch, candidates, labels); beliefs (batch, candidates, 4, bins), logits of the distances; boxes (batch,
    candidates, 4); labels (batch, most, 5), class -1 where there is none; centres (candidates, 2) and strides
    (candidates, 1) in pixels. All in float32.
    """
    from torchvision.ops import complete_box_iou_loss

    target = assign(logits.sigmoid(), boxes, labels, centres=centres, least_reach=strides.min() / 2)
    total = target.quality.sum().clamp(min=1.0)
    wanted = functional.one_hot(target.classes, logits.shape[-1]) * target.quality[..., None]
    label_loss = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")

    found = target.quality > 0
    weights = target.quality[found]
    box_loss = (complete_box_iou_loss(boxes[found], target.boxes[found]) * weights).sum()
    distances = torch.cat([centres - target.boxes[..., :2], target.boxes[..., 2:] - centres], dim=-1) / strides
    distance_loss = (distribution_focal_loss(beliefs[found], distances[found]) * weights).sum()
    return (label_loss + OVERLAP_WEIGHT * box_loss + DISTANCE_WEIGHT * distance_loss) / total


def distribution_focal_loss(beliefs: Tensor, distances: Tensor) -> Tensor:
    """Return the mean over the four sides, (cells,), of the cross entropy of the two bins around each distance.

    beliefs (cells, 4, bins) are logits; distances (cells, 4) are in cells. One beyond the last bin counts as the last.
    """
    last = beliefs.shape[-1] - 1
    distances = distances.clamp(min=0, max=last)
    lower = distances.floor().clamp(max=last - 1)
    share = distances - lower
    bins = torch.stack([lower, lower + 1], dim=-1).long()
    surprise = -beliefs.log_softmax(-1).gather(-1, bins)
    return (surprise[..., 0] * (1 - share) + surprise[..., 1] * share).mean(-1)
