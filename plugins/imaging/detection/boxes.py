"""Boxes between the file's pixels and the network's, and from the network's candidates to the few that are kept."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MOST_BOXES = 500
"""Boxes that are kept of one image; the fullest one of DSB2018 shows 375 nuclei."""
MOST_CANDIDATES = 3000
"""The most probable candidates of one image, among which overlapping ones are sought."""
LEAST_PROBABILITY = 0.001
"""Below it a candidate counts as nothing; low, because average precision looks at the whole range."""
DECIDED = 0.5
"""Probability from which on a box is a finding: more likely right than wrong, once calibrated."""


def letterbox(size: tuple[int, int], into: list[int]) -> tuple[int, int]:
    """Return the height and width of an image of `size` (height, width) that just fits `into`, in its proportions."""
    height, width = size
    scale = min(into[0] / height, into[1] / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


class Kept(NamedTuple):
    """The candidates of one image that are left, the most probable first."""

    boxes: Tensor
    """(kept, 4): left, top, right, bottom in the network's input pixels, none beyond the image."""
    probabilities: Tensor
    """(kept,)"""
    labels: Tensor
    """(kept,) indices"""
    candidates: Tensor
    """(kept,) which of the network's candidates each is"""


def keep_best(
    boxes: Tensor, logits: Tensor, *, calibration: list[list[float]] | None, overlap: float, size: list[int]
) -> Kept:
    """Choose among one image's candidates: `boxes` (candidates, 4) with `logits` (candidates, labels).

    Of boxes of one label that overlap by more than `overlap` (intersection over union) only the most probable stays
    (greedy non-maximum suppression). `size` is the network's input height and width, to which boxes are cut.
    """
    from torchvision.ops import batched_nms

    probabilities = calibrated(logits, calibration).flatten()
    probabilities, places = probabilities.topk(min(MOST_CANDIDATES, len(probabilities)))
    enough = probabilities >= LEAST_PROBABILITY
    probabilities, places = probabilities[enough], places[enough]
    candidates, labels = places // logits.shape[1], places % logits.shape[1]
    limit = boxes.new_tensor([size[1], size[0], size[1], size[0]])
    cut = boxes[candidates].float().clamp(min=0).minimum(limit)
    whole = ((cut[:, 2:] - cut[:, :2]) > 0).all(1)
    cut, probabilities, labels, candidates = cut[whole], probabilities[whole], labels[whole], candidates[whole]
    kept = batched_nms(cut, probabilities, labels, overlap)[:MOST_BOXES]
    return Kept(cut[kept], probabilities[kept], labels[kept], candidates[kept])


def calibrated(logits: Tensor, calibration: list[list[float]] | None) -> Tensor:
    """Return probabilities of logits (..., labels), by each label's slope and offset where these are known."""
    if calibration is None:
        return logits.float().sigmoid()
    slopes, offsets = torch.tensor(calibration, device=logits.device).T
    return (slopes * logits.float() + offsets).sigmoid()
