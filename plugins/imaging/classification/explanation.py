"""Where in an image a network saw a label: Grad-CAM, or integrated gradients, drawn over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medhub.errors import InputError, suggest
from medhub.explain import grad_cam, integrated_gradients
from medhub.modeling import MedModel

from ..overlays import heat_overlay

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

GRAD_CAM, INTEGRATED_GRADIENTS = METHODS = ("Grad-CAM", "integrated gradients")


def attribute(
    model: MedModel, batch: dict[str, Tensor], *, label: str, method: str | None = None
) -> tuple[str, NDArray[np.floating]]:
    """Return the method used, and how much each pixel of a batch's only example spoke for `label`.

    The heat has the shape (height, width), or (slices, height, width) for a volume. Grad-CAM is never negative;
    integrated gradients are, where a pixel spoke against. Raises InputError for a method that is not there.
    """
    layer = model.attribution_layer()  # type: ignore[operator]
    method = method or (GRAD_CAM if layer else INTEGRATED_GRADIENTS)
    if method not in METHODS:
        raise InputError(f"no method {method!r}{suggest(method, METHODS)} Methods: {', '.join(METHODS)}")
    index = int((model.config.label2id or {})[label])
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    if method == INTEGRATED_GRADIENTS:
        heat = integrated_gradients(model, batch, name="pixel_values", label=index)[0].sum(-3)
    elif layer is None:
        network = model.config.architecture
        raise InputError(f"{network} has no convolutional map for Grad-CAM; use {INTEGRATED_GRADIENTS!r}")
    else:
        maps = grad_cam(model, batch, name="pixel_values", label=index, layer=layer)[:, 0]
        heat = maps if "lengths" in batch else maps[0]  # of a volume, a map a slice
    return method, heat.cpu().numpy()


def draw(slices: NDArray[np.uint8], heat: NDArray[np.floating]) -> Picture:
    """Draw the heat over a picture (1, side, side, channels), or over the slice of a volume that has most of it."""
    if heat.ndim == 2:
        return heat_overlay(slices[0], heat)
    most = int(np.abs(heat).sum((1, 2)).argmax())
    shown = round(most * (len(slices) - 1) / max(len(heat) - 1, 1))  # the network may have seen only some slices
    return heat_overlay(slices[shown], heat[most])
