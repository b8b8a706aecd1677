"""The network "ssd": torchvision's heads, default boxes, matching and loss (Liu et al. 2016) over a network of timm."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .assignment import is_object
from .config import ImageDetectionConfig

ASPECT_RATIO = 2
"""Of two of the four default boxes of a cell, the one upright and the other lying; the others are squares."""


class FeaturePyramid(nn.Module):
    """A network of timm, with fresh weights, whose maps at the given strides are followed by coarser ones."""

    def __init__(self, config: ImageDetectionConfig) -> None:
        super().__init__()
        import timm

        levels = tuple(int(math.log2(stride)) - 1 for stride in config.strides)
        network: Any = timm.create_model(
            config.backbone, pretrained=False, in_chans=config.channels, features_only=True, out_indices=levels
        )
        self.network = network
        widths = network.feature_info.channels()
        self.extras = nn.ModuleList(
            halving(before, after) for before, after in pairwise([widths[-1], *config.extra_widths])
        )
        self.out_channels = [*widths, *config.extra_widths]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return maps (batch, width, rows, columns), finest first, of images (batch, channels, height, width)."""
        maps = list(self.network(images))
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        return maps


class SingleShot(nn.Module):
    """torchvision's SSD over a feature pyramid, with candidates and labels as both networks of this plugin give them.

    Of torchvision's detector its parts are used, not its forward, which resizes, and drops boxes, on its own terms.
    """

    def __init__(self, config: ImageDetectionConfig) -> None:
        super().__init__()
        from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
        from torchvision.models.detection.ssd import SSD

        pyramid = FeaturePyramid(config)
        levels = len(pyramid.out_channels)
        default_boxes = DefaultBoxGenerator(
            [[ASPECT_RATIO]] * levels, scales=config.box_sizes,
            steps=[config.strides[0] * 2**level for level in range(levels)], clip=False,
        )  # fmt: skip
        rows, columns = config.image_size
        self.ssd = SSD(pyramid, default_boxes, (rows, columns), num_classes=1 + config.num_labels)

    @property
    def shared_layer(self) -> nn.Module:
        """The layer that makes the finest map, from which all others are made."""
        network: Any = self.ssd.backbone.network
        name = network.feature_info.module_name(0)
        modules = dict(network.named_modules())
        return modules.get(name) or modules[name.replace(".", "_")]  # timm lays some networks' names out flat

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor | None, Tensor, Tensor]:
        """Return the loss (None without labels), logits (batch, candidates, labels) and boxes (batch, candidates, 4).

        Images are (batch, channels, height, width), of any height and width.
        """
        maps = self.ssd.backbone(images)
        answers = {name: answer.float() for name, answer in self.ssd.head(maps).items()}
        defaults = self._default_boxes(maps)
        offsets = answers["bbox_regression"]
        boxes = self.ssd.box_coder.decode_single(offsets.flatten(0, 1), defaults.repeat(len(images), 1))
        loss = None if labels is None else self._loss(answers, labels.float(), defaults)
        return loss, log_odds(answers["cls_logits"]), boxes.unflatten(0, offsets.shape[:2])

    def pad(self, images: Tensor) -> Tensor:
        """Return images as they are: they may be of any size."""
        return images

    def _default_boxes(self, maps: list[Tensor]) -> Tensor:
        """Return the default boxes of all cells, (candidates, 4), xyxy in pixels."""
        from torchvision.models.detection.image_list import ImageList

        # relative to an image of one by one, the boxes' sizes and centres are pixels
        unit = ImageList(torch.empty(1, 1, 1, 1), [(1, 1)])
        return self.ssd.anchor_generator(unit, [level.float() for level in maps])[0]

    def _loss(self, answers: dict[str, Tensor], labels: Tensor, defaults: Tensor) -> Tensor:
        """Return torchvision's loss of the batch seen as one image with the default boxes of all.

        So the hardest negatives are drawn from the whole batch, and images without an object teach as well.
        """
        present = is_object(labels)
        matches, objects = [], 0
        for image, there in zip(labels, present, strict=True):
            matched = self._match(image[there, 1:], defaults)
            matches.append(torch.where(matched >= 0, matched + objects, matched))
            objects += int(there.sum())
        everything = {name: answer.flatten(0, 1)[None] for name, answer in answers.items()}
        targets = [{"boxes": labels[present][:, 1:], "labels": 1 + labels[present][:, 0].long()}]
        losses = self.ssd.compute_loss(targets, everything, [defaults.repeat(len(labels), 1)], [torch.cat(matches)])
        return losses["classification"] + losses["bbox_regression"]

    def _match(self, boxes: Tensor, defaults: Tensor) -> Tensor:
        """Return for each default box the number of the object that it answers for, below 0 for none."""
        from torchvision.ops import box_iou

        if not len(boxes):
            return torch.full((len(defaults),), -1, device=defaults.device)
        return self.ssd.proposal_matcher(box_iou(boxes, defaults))


def log_odds(logits: Tensor) -> Tensor:
    """Turn logits (..., 1 + labels) of exclusive classes, background first, into each label's log-odds (..., labels).

    The sigmoid of the result is what softmax gives the label.
    """
    labels = range(1, logits.shape[-1])
    others = [torch.cat([logits[..., :label], logits[..., label + 1 :]], dim=-1).logsumexp(-1) for label in labels]
    return logits[..., 1:] - torch.stack(others, dim=-1)


def halving(width_in: int, width: int) -> nn.Sequential:
    """Return the two convolutions that make the next coarser map, as in SSD's extra layers."""
    return nn.Sequential(
        nn.Conv2d(width_in, width // 2, 1), nn.ReLU(),
        nn.Conv2d(width // 2, width, 3, stride=2, padding=1), nn.ReLU(),
    )  # fmt: skip
