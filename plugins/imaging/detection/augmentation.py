"""Random changes to training images and their boxes, a whole batch at a time.

Images are (batch, channels, height, width) from 0 to 1; labels are (batch, most, 5): class, left, top, right and bottom
in pixels, with class -1 where an image has fewer objects.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

GREY = 0.5
"""What is shown where there is no image."""
LEAST_SCALE, GREATEST_SCALE = 0.6, 1.4
SHIFT = 0.2
"""Part of the height and width, either way, by which a single image is moved."""
MOSAIC_SHIFT = 0.25
"""The same for the point at which the four images of a mosaic meet."""
LEAST_SHARE = 0.2
"""Of a box that is cut off; with less of it left, nobody could tell what it is."""
BRIGHTNESS = 0.1
"""Of the range from black to white, either way."""
CONTRAST = 0.3
"""Logarithm of the factor on the distance to the mean, either way."""
SATURATION = 0.4
"""Logarithm of the factor on the distance to grey, either way."""
GAIN = 0.1
"""Logarithm of the factor on each channel, either way: stains and lamps differ in hue."""


def augment(
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    horizontal_flip: bool,
    vertical_flip: bool,
    mosaic: float,
) -> tuple[Tensor, Tensor]:
    """Return images and labels flipped, pieced together, moved, scaled and coloured anew.

    `mosaic` is the probability that an image is met by three others of the batch (Bochkovskiy et al. 2020). The same
    generator state gives the same change.
    """
    if horizontal_flip:
        images, labels = _flip(images, labels, generator, axis=-1)
    if vertical_flip:
        images, labels = _flip(images, labels, generator, axis=-2)
    pieced = torch.rand(len(images), generator=generator) < mosaic
    canvas, labels = _piece(images, labels, pieced, generator)
    images, labels = _crop(canvas, labels, pieced, generator)
    return _recolour(images, generator), _compact(labels)


def _flip(images: Tensor, labels: Tensor, generator: torch.Generator, *, axis: int) -> tuple[Tensor, Tensor]:
    """Mirror every other image, along the columns (axis -1) or the rows (axis -2)."""
    flipped = torch.rand(len(images), generator=generator) < 0.5
    near, far = (1, 3) if axis == -1 else (2, 4)
    mirrored = labels.clone()
    mirrored[..., [near, far]] = images.shape[axis] - labels[..., [far, near]]
    return (
        torch.where(flipped.view(-1, 1, 1, 1), images.flip(axis), images),
        torch.where(flipped.view(-1, 1, 1), mirrored, labels),
    )


def _piece(images: Tensor, labels: Tensor, pieced: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Lay each image into the upper left quarter of a canvas twice as large, beside it three others if `pieced`.

    Returns the canvas (batch, channels, 2 height, 2 width) and the labels on it (batch, 4 most, 5).
    """
    batch, channels, height, width = images.shape
    canvas = images.new_full((batch, channels, 2 * height, 2 * width), GREY)
    canvas[..., :height, :width] = images
    everything = [labels]
    for across, down in ((1, 0), (0, 1), (1, 1)):
        others = torch.randint(batch, (batch,), generator=generator)
        quarter = canvas[..., down * height : (down + 1) * height, across * width : (across + 1) * width]
        quarter[pieced] = images[others[pieced]]
        theirs = labels[others] + labels.new_tensor([0, across * width, down * height, across * width, down * height])
        theirs[~pieced, :, 0] = -1
        everything.append(theirs)
    return canvas, torch.cat(everything, dim=1)


def _crop(canvas: Tensor, labels: Tensor, pieced: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut a scaled window of the images' size out of each canvas, and cut the boxes to it."""
    batch, _, height, width = canvas.shape[0], canvas.shape[1], canvas.shape[2] // 2, canvas.shape[3] // 2
    size = labels.new_tensor([width, height])
    scale = LEAST_SCALE + (GREATEST_SCALE - LEAST_SCALE) * torch.rand(batch, 1, generator=generator)
    middle = torch.where(pieced[:, None], 1.0, 0.5)
    reach = torch.where(pieced[:, None], MOSAIC_SHIFT, SHIFT)
    centre = (middle + reach * _either_way(batch, 2, generator=generator)) * size
    moved = torch.cat([labels[..., 1:3], labels[..., 3:5]], dim=1)  # corners: all left tops, then all right bottoms
    moved = (moved - centre[:, None]) * scale[:, None] + size / 2
    corners = moved.clamp(min=0).minimum(size)
    most = labels.shape[1]
    whole = (moved[:, most:] - moved[:, :most]).prod(-1)
    left = (corners[:, most:] - corners[:, :most]).prod(-1)
    classes = torch.where(left > LEAST_SHARE * whole, labels[..., 0], -1.0)
    labels = torch.cat([classes[..., None], corners[:, :most], corners[:, most:]], dim=-1)
    return _window(canvas, centre, scale), labels


def _window(canvas: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    """Return half of each canvas's height and width around `centre` (batch, 2: across, down), enlarged by `scale`."""
    batch, channels, height, width = canvas.shape
    # affine_grid counts from -1 to 1 over the canvas, and over the window, which is half as high and wide
    place = 2 * centre / canvas.new_tensor([width, height]) - 1
    matrices = torch.zeros(batch, 2, 3)
    matrices[:, 0, 0] = matrices[:, 1, 1] = 0.5 / scale[:, 0]
    matrices[:, :, 2] = place
    grid = functional.affine_grid(matrices, [batch, channels, height // 2, width // 2], align_corners=False)
    return functional.grid_sample(canvas - GREY, grid, align_corners=False) + GREY


def _recolour(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change gain of the channels, saturation, contrast and brightness of each image."""
    batch, channels = images.shape[:2]
    images = images * torch.exp(GAIN * _either_way(batch, channels, 1, 1, generator=generator))
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * torch.exp(SATURATION * _either_way(batch, 1, 1, 1, generator=generator))
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * torch.exp(CONTRAST * _either_way(batch, 1, 1, 1, generator=generator))
    return (images + BRIGHTNESS * _either_way(batch, 1, 1, 1, generator=generator)).clamp(0, 1)


def _compact(labels: Tensor) -> Tensor:
    """Move what is there before what is not, and cut off what no image of the batch needs."""
    present = labels[..., 0] >= 0
    order = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    return labels.gather(1, order[..., None].expand_as(labels))[:, : max(1, int(present.sum(1).max()))]


def _either_way(*size: int, generator: torch.Generator) -> Tensor:
    """Draw numbers from -1 to 1."""
    return 2 * torch.rand(*size, generator=generator) - 1
