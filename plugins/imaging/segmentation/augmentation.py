"""Random patches of training images, turned, bent and exposed anew, a whole batch at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from .losses import IGNORED

ROTATION = 15.0
"""Degrees either way, in each plane, of images that may not be turned by any angle."""
SCALE = 0.2
"""Logarithm of the enlargement, either way."""
BEND = 2.0
"""Standard deviation of an elastic shift, in pixels, at the knots of a grid..."""
KNOT = 16
"""...that lie so many pixels apart."""
FOREGROUND = 1 / 3
"""Share of patches in whose middle something labelled lies, or rare labels would seldom be seen."""
GAMMA, CONTRAST = 0.4, 0.3
"""Logarithm of the exponent and of the factor on the pixels, either way."""
BRIGHTNESS, NOISE = 0.3, 0.15
"""Standard deviations of a pixel: either way, and the most."""


def cut_patches(
    images: Sequence[Tensor],
    labels: Sequence[Tensor],
    *,
    patch_size: Sequence[int],
    spacing: Sequence[float],
    flip_axes: Sequence[int],
    turn: bool,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a patch of each image (batch, channels, *patch_size), of its labels, and which pixels lie inside it.

    Images are (channels, *space), labels (maps, *space), of any size. Place, angle, size and bend are random; each
    pixel is interpolated once, labels are taken from the nearest one. Outside an image its rim is repeated.
    """
    batch = len(images)
    matrices = _matrices(batch, spacing, flip_axes=flip_axes, turn=turn, generator=generator)
    offsets = torch.stack(torch.meshgrid(*(torch.arange(n) - (n - 1) / 2 for n in patch_size), indexing="ij"), -1)
    offsets = offsets + _bend(batch, patch_size, generator)
    coordinates = torch.einsum("bij,b...j->b...i", matrices, offsets)
    pixels, numbers, inside = [], [], []
    for image, label, places in zip(images, labels, coordinates, strict=True):
        size = torch.tensor(image.shape[1:])
        places = places + _centre(label[0], patch_size, generator)
        grid = ((2 * places + 1) / size - 1).flip(-1)[None]  # grid_sample has the last axis first, and ends at -1 and 1
        pixels.append(_sample(image, grid, mode="bilinear"))
        numbers.append(_sample(label, grid, mode="nearest"))
        inside.append((grid.abs() <= 1).all(-1))
    return torch.cat(pixels), torch.cat(numbers).long(), torch.cat(inside)


def expose(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return normalised images (batch, channels, *space) with another gamma, contrast and brightness, and with noise.

    What is darkest and brightest in an image stays so under gamma, as in nnU-Net.
    """
    within = tuple(range(1, images.ndim))
    each = (-1, *[1] * len(within))
    gamma, contrast, brightness, noise = (_either_way(len(images), generator).view(each) for _ in range(4))
    darkest, brightest = images.amin(within, keepdim=True), images.amax(within, keepdim=True)
    span = (brightest - darkest).clamp(min=1e-6)
    images = ((images - darkest) / span) ** torch.exp(GAMMA * gamma) * span + darkest
    images = images * torch.exp(CONTRAST * contrast) + BRIGHTNESS * brightness
    return images + NOISE * noise * torch.randn(images.shape, generator=generator)


def class_map(classes: Tensor, objects: Tensor, *, border: int | None, inside: Tensor | None = None) -> Tensor:
    """Return the class of each pixel (batch, *space): `border` where an object touches another or the background.

    `classes` and `objects` are (batch, *space); pixels that are not `inside` an image are IGNORED.
    """
    if border is not None:
        pool = {2: functional.max_pool2d, 3: functional.max_pool3d}[objects.ndim - 1]
        numbers = objects[:, None].float()
        most, least = pool(numbers, 3, 1, 1)[:, 0], -pool(-numbers, 3, 1, 1)[:, 0]
        classes = torch.where((classes > 0) & (most != least), border, classes)
    return classes if inside is None else classes.masked_fill(~inside, IGNORED)


def _matrices(
    batch: int, spacing: Sequence[float], *, flip_axes: Sequence[int], turn: bool, generator: torch.Generator
) -> Tensor:
    """Return what turns an offset from a patch's middle into one in the image, in pixels: (batch, axes, axes)."""
    axes = len(spacing)
    matrices = torch.eye(axes).repeat(batch, 1, 1)
    for first, second in combinations(range(axes), 2):
        angle = math.radians(180 if turn else ROTATION) * _either_way(batch, generator)
        rotation = torch.eye(axes).repeat(batch, 1, 1)
        rotation[:, first, first] = rotation[:, second, second] = angle.cos()
        rotation[:, first, second], rotation[:, second, first] = -angle.sin(), angle.sin()
        matrices = rotation @ matrices
    matrices = matrices * torch.exp(SCALE * _either_way(batch, generator))[:, None, None]
    for axis in flip_axes:
        matrices[:, axis] *= torch.where(_either_way(batch, generator) < 0, -1.0, 1.0)[:, None]
    millimetres = torch.tensor([*spacing], dtype=torch.float32)
    return matrices * millimetres / millimetres[:, None]  # a rotation in millimetres is a shear in unequal pixels


def _bend(batch: int, patch_size: Sequence[int], generator: torch.Generator) -> Tensor:
    """Return smooth random shifts in pixels: (batch, *patch_size, axes)."""
    knots = [max(2, n // KNOT + 1) for n in patch_size]
    coarse = BEND * torch.randn(batch, len(patch_size), *knots, generator=generator)
    mode = {2: "bilinear", 3: "trilinear"}[len(patch_size)]
    return functional.interpolate(coarse, size=[*patch_size], mode=mode, align_corners=True).movedim(1, -1)


def _centre(classes: Tensor, patch_size: Sequence[int], generator: torch.Generator) -> Tensor:
    """Return where in an image (*space) a patch's middle lies: the patch inside the image where it fits."""
    size, patch = torch.tensor(classes.shape), torch.tensor([*patch_size])
    low = torch.minimum(patch, size) / 2
    chosen = low + (size - 2 * low) * torch.rand(len(size), generator=generator)
    if torch.rand((), generator=generator) < FOREGROUND and (size > patch).any():
        labelled = classes.flatten().nonzero()[:, 0]
        if len(labelled):
            one = labelled[torch.randint(len(labelled), (), generator=generator)]
            place = torch.stack(torch.unravel_index(one, classes.shape))
            chosen = torch.clamp(place, low, size - low)
    return chosen - 0.5


def _sample(maps: Tensor, grid: Tensor, *, mode: str) -> Tensor:
    """Return maps (channels, *space) at the places of a grid: (1, channels, *patch_size)."""
    return functional.grid_sample(maps[None].float(), grid, mode=mode, padding_mode="border", align_corners=False)


def _either_way(batch: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(batch, generator=generator) - 1
