"""Where a network looked for a region: HiResCAM of the region's mean logit, drawn over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.utils import ModelOutput

from medhub.explain import hires_cam

from ..overlays import heat_overlay
from .config import MULTIPLE
from .model import ImageSegmentationModel, SegmentationOutput, crop_to, pad_to

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LARGEST = 2**22
"""Pixels up to which an image is explained as a whole; of larger ones, the window around the region's middle."""


def attribute(model: ImageSegmentationModel, batch: dict[str, Tensor], *, label: str) -> NDArray[np.floating]:
    """Return how much each pixel (*space) of a batch's only image spoke for the region of `label`; never negative.

    This is Seg-Grad-CAM (Vinogradova et al. 2020) with the gradients of each place. Where the network draws no such
    region, it is what spoke for the label anywhere.
    """
    index = [*model.config.id2label.values()].index(label)
    pixels, own = batch["pixel_values"].to(model.device), batch["size"][0].tolist()
    heat = np.zeros(own, np.float32)
    window = explained_window(model, pixels, own, index)
    inside = (slice(None), slice(None), *window)
    step = MULTIPLE[model.config.axes]
    shape = [-(-(part.stop - part.start) // step) * step for part in window]
    whole: Any = _Whole(model)
    found = hires_cam(
        whole, {"pixel_values": pad_to(pixels[inside], shape)}, name="pixel_values", label=index,
        layer=model.attribution_layer(), read=_region_logits,
    )[0, 0]  # fmt: skip
    heat[window] = crop_to(found[None], heat[window].shape)[0].cpu().numpy()
    return heat


def draw(slices: NDArray[np.uint8], heat: NDArray[np.floating]) -> Picture:
    """Draw the heat over a picture (1, rows, columns, channels), or over the slice of a volume that has most of it."""
    if heat.ndim == 2:
        return heat_overlay(slices[0], heat)
    most = int(heat.sum((1, 2)).argmax())
    shown = round(most * (len(slices) - 1) / max(len(heat) - 1, 1))  # the network's slices may be thicker or thinner
    return heat_overlay(slices[shown], heat[most])


class _Whole(nn.Module):
    """A model that answers an image at once, not window by window, so that there is one map of it."""

    def __init__(self, model: ImageSegmentationModel) -> None:
        super().__init__()
        self.model = model
        self.training = model.training

    def forward(self, pixel_values: Tensor) -> SegmentationOutput:
        """Return the output for images whose sides the network can halve."""
        return SegmentationOutput(logits=self.model.network(pixel_values))


def _region_logits(outputs: ModelOutput) -> Tensor:
    """Return the mean logit of each label over its region (1, labels), over all pixels where it has none."""
    logits = outputs["logits"]
    decided = logits.argmax(1)
    means = []
    for number in range(1, logits.shape[1]):
        region = decided == number
        means.append(logits[:, number][region if region.any() else torch.ones_like(region)].mean())
    return torch.stack(means)[None]


def explained_window(model: ImageSegmentationModel, pixels: Tensor, own: list[int], index: int) -> tuple[slice, ...]:
    """Return what is explained of an image (1, channels, *space) of size `own`.

    That is all of it or, where that would not fit the memory, a patch around the middle of the region of label `index`.
    """
    if np.prod(own) <= LARGEST:
        return tuple(map(slice, [0] * len(own), own))
    with torch.inference_mode():
        logits = model(pixel_values=pixels, size=torch.tensor([own], device=pixels.device))["logits"]
    places = (logits[0].argmax(0) == index + 1).nonzero().float()
    centre = places.mean(0).tolist() if len(places) else [side / 2 for side in own]
    window = []
    for middle, side, patch in zip(centre, own, model.config.patch_size or [], strict=True):
        start = round(min(max(middle - patch / 2, 0), max(side - patch, 0)))
        window.append(slice(start, min(start + patch, side)))
    return tuple(window)
