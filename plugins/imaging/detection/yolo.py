"""The network "yolo": one look, no anchors, and a head that parts what an object is from where it ends.

Built from the papers: CSPNet (Wang et al. 2020), spatial pyramid pooling (He et al. 2015), path aggregation (Liu et al.
2018), an anchor-free decoupled head (Ge et al. 2021) shared by all strides (Lin et al. 2017, Tian et al. 2019).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import ImageDetectionConfig
from .losses import detection_loss

PRIOR = 0.01
"""Probability that an untrained head gives to each label: nearly all cells are background (Lin et al. 2017)."""
FIRST_DISTANCE = 2
"""Expected distance in cells, by a geometric distribution, of an untrained head's boxes from centre to side."""
GROUP_WIDTH = 8


class CrossStage(nn.Module):
    """Half of the channels go through residual blocks, the other half around them."""

    def __init__(self, width_in: int, width: int, *, blocks: int) -> None:
        super().__init__()
        half = width // 2
        self.around = convolution(width_in, half, size=1)
        self.through = convolution(width_in, half, size=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(half, half), convolution(half, half)) for _ in range(blocks)
        )
        self.merge = convolution(2 * half, width, size=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Turn (batch, width_in, rows, columns) into (batch, width, rows, columns)."""
        through = self.through(maps)
        for block in self.blocks:
            through = through + block(through)
        return self.merge(torch.cat([self.around(maps), through], dim=1))


class PyramidPool(nn.Module):
    """Each cell sees the maxima of ever larger surroundings: 5, 9 and 13 cells wide, by pooling three times over 5."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow = convolution(width, width // 2, size=1)
        self.merge = convolution(4 * (width // 2), width, size=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape, (batch, width, rows, columns)."""
        levels = [self.narrow(maps)]
        for _ in range(3):
            levels.append(functional.max_pool2d(levels[-1], 5, stride=1, padding=2))
        return self.merge(torch.cat(levels, dim=1))


class Backbone(nn.Module):
    """Stages that halve the resolution, the last ones' maps being what the neck works on."""

    def __init__(self, config: ImageDetectionConfig) -> None:
        super().__init__()
        first, *widths = config.widths
        self.stem = convolution(config.channels, first, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(convolution(before, width, stride=2), CrossStage(width, width, blocks=1))
            for before, width in pairwise([first, *widths])
        )
        self.pool = PyramidPool(widths[-1])
        self.levels = len(config.strides)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return a map a stride, finest first, of images (batch, channels, height, width)."""
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return [*maps[-self.levels : -1], self.pool(maps[-1])]


class Neck(nn.Module):
    """What the coarse maps know goes down to the finer ones, and what those make of it goes up again."""

    def __init__(self, widths: list[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(convolution(width_in, width, size=1) for width_in in widths)
        steps = range(len(widths) - 1)
        self.down = nn.ModuleList(CrossStage(2 * width, width, blocks=1) for _ in steps)
        self.strided = nn.ModuleList(convolution(width, width, stride=2) for _ in steps)
        self.up = nn.ModuleList(CrossStage(2 * width, width, blocks=1) for _ in steps)
        self.finest = nn.Identity()  # has no weights; explanations look here

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return as many maps as were given, finest first, all of one width."""
        laterals = [lateral(level) for lateral, level in zip(self.laterals, maps, strict=True)]
        descended = [laterals.pop()]
        for lateral, merge in zip(reversed(laterals), self.down, strict=True):
            finer = functional.interpolate(descended[0], scale_factor=2.0)
            descended.insert(0, merge(torch.cat([lateral, finer], dim=1)))
        ascended = [self.finest(descended[0])]
        for level, stride, merge in zip(descended[1:], self.strided, self.up, strict=True):
            ascended.append(merge(torch.cat([stride(ascended[-1]), level], dim=1)))
        return ascended


class Head(nn.Module):
    """Two branches, one for an object's label and one for its box, with the same weights at every stride.

    Group normalisation serves maps of unlike statistics, where the averages of BatchNorm would fit none of them.
    """

    def __init__(self, width: int, *, labels: int, bins: int) -> None:
        super().__init__()
        self.what = nn.Sequential(*grouped_convolution(width), *grouped_convolution(width))
        self.where = nn.Sequential(*grouped_convolution(width), *grouped_convolution(width))
        self.logits = nn.Conv2d(width, labels, 1)
        self.distances = nn.Conv2d(width, 4 * bins, 1)
        with torch.no_grad():  # else far too large boxes would overlap small objects too little to learn from them
            self.logits.bias.fill_(math.log(PRIOR / (1 - PRIOR)))  # type: ignore[union-attr]
            falling = torch.arange(bins) * math.log(FIRST_DISTANCE / (1 + FIRST_DISTANCE))
            self.distances.bias.copy_(falling.repeat(4))  # type: ignore[union-attr]

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return logits (batch, candidates, labels) and distances (batch, candidates, 4 bins), finest map first."""
        logits = [self.logits(self.what(level)).flatten(2) for level in maps]
        distances = [self.distances(self.where(level)).flatten(2) for level in maps]
        return torch.cat(logits, dim=2).transpose(1, 2), torch.cat(distances, dim=2).transpose(1, 2)


class Yolo(nn.Module):
    """Backbone, neck and head, and the loss of what they answer."""

    def __init__(self, config: ImageDetectionConfig) -> None:
        super().__init__()
        self.strides = config.strides
        self.backbone = Backbone(config)
        self.neck = Neck(config.widths[-len(config.strides) :], config.neck_width)
        self.head = Head(config.neck_width, labels=config.num_labels, bins=config.distance_bins)

    @property
    def shared_layer(self) -> nn.Module:
        """The layer whose output is the finest map, on which all boxes depend."""
        return self.neck.finest

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor | None, Tensor, Tensor]:
        """Return the loss (None without labels), logits (batch, candidates, labels) and boxes (batch, candidates, 4).

        Images are (batch, channels, height, width).
        """
        maps = self.neck(self.backbone(self.pad(images)))
        logits, beliefs = (answer.float() for answer in self.head(maps))
        centres, strides = self._cells(maps)
        beliefs = beliefs.unflatten(-1, (4, -1))
        boxes = boxes_of(beliefs, centres=centres, strides=strides)
        if labels is None:
            return None, logits, boxes
        loss = detection_loss(logits, beliefs, boxes, labels.float(), centres=centres, strides=strides)
        return loss, logits, boxes

    def pad(self, images: Tensor) -> Tensor:
        """Return images continued at the right and the bottom to whole cells of the coarsest map."""
        coarsest = self.strides[-1]
        height, width = images.shape[-2:]
        return functional.pad(images, (0, -width % coarsest, 0, -height % coarsest))

    def _cells(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the cells' centres (candidates, 2) as x, y in pixels, and their strides (candidates, 1)."""
        centres, strides = [], []
        for level, stride in zip(maps, self.strides, strict=True):
            rows, columns = (torch.arange(size, device=level.device) + 0.5 for size in level.shape[-2:])
            cells = torch.cartesian_prod(rows, columns).flip(1)
            centres.append(stride * cells)
            strides.append(torch.full_like(cells[:, :1], stride))
        return torch.cat(centres), torch.cat(strides)


def boxes_of(beliefs: Tensor, *, centres: Tensor, strides: Tensor) -> Tensor:
    """Return boxes (batch, candidates, 4), xyxy in pixels: each side lies at its expected distance from the centre.

    beliefs (batch, candidates, 4, bins) are logits of the distances to left, top, right and bottom, in cells.
    """
    bins = torch.arange(beliefs.shape[-1], dtype=beliefs.dtype, device=beliefs.device)
    distances = (beliefs.softmax(-1) * bins).sum(-1) * strides
    return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)


def convolution(width_in: int, width: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a convolution, its normalisation and its activation."""
    return nn.Sequential(
        nn.Conv2d(width_in, width, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.SiLU(),
    )


def grouped_convolution(width: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return a 3 by 3 convolution with group normalisation (Wu and He 2018), and its activation."""
    return nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(width // GROUP_WIDTH, width), nn.SiLU()
