"""Random changes to training images that leave the diagnosis as it is, a whole batch at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

ROTATION = 15.0
"""Degrees, either way."""
SCALE = 0.15
"""Relative enlargement, either way."""
SHIFT = 0.1
"""Part of the height and width, either way."""
CONTRAST = 0.3
"""Logarithm of the factor on the pixels, either way."""
BRIGHTNESS = 0.3
"""Standard deviations of a pixel, either way."""
ERASED = 0.25
"""Side of the erased square as part of the height and width (DeVries & Taylor 2017)."""


def augment(images: Tensor, generator: torch.Generator, *, horizontal_flip: bool, scale: float = SCALE) -> Tensor:
    """Return normalised images (batch, channels, height, width) turned, moved, scaled, exposed anew and partly erased.

    All channels of an image change alike, so that the slices of a volume may stand there too; `scale` is the relative
    enlargement, either way. The same generator state gives the same change.
    """
    batch, _, height, width = images.shape
    images = functional.grid_sample(
        images, _grid(images, generator, horizontal_flip=horizontal_flip, scale=scale), padding_mode="border",
        align_corners=False,
    )  # fmt: skip
    contrast = torch.exp(CONTRAST * _either_way(batch, generator))
    brightness = BRIGHTNESS * _either_way(batch, generator)
    images = images * contrast.view(-1, 1, 1, 1) + brightness.view(-1, 1, 1, 1)
    rows = _band(batch, height, generator)[:, None, :, None]
    columns = _band(batch, width, generator)[:, None, None, :]
    return images.masked_fill(rows & columns, 0.0)  # 0 is the mean of normalised pixels


def _grid(images: Tensor, generator: torch.Generator, *, horizontal_flip: bool, scale: float) -> Tensor:
    """Return where each pixel comes from: (batch, height, width, 2), the corners of an image at -1 and 1."""
    batch = len(images)
    angle = math.radians(ROTATION) * _either_way(batch, generator)
    size = 1 + scale * _either_way(batch, generator)
    flip = torch.where(_either_way(batch, generator) < 0, -1.0, 1.0) if horizontal_flip else torch.ones(batch)
    cosine, sine = angle.cos() / size, angle.sin() / size
    across, down = (2 * SHIFT * _either_way(batch, generator) for _ in range(2))
    matrices = torch.stack([flip * cosine, -sine, across, flip * sine, cosine, down], dim=1).view(batch, 2, 3)
    return functional.affine_grid(matrices, list(images.shape), align_corners=False)


def _band(batch: int, size: int, generator: torch.Generator) -> Tensor:
    """Return which of `size` rows (or columns) lie in an image's erased band: (batch, size)."""
    middle = torch.rand(batch, generator=generator) * size
    return (torch.arange(size) + 0.5 - middle[:, None]).abs() < ERASED * size / 2


def _either_way(batch: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(batch, generator=generator) - 1
