"""The networks: a small residual one for small images, any of timm's, and one that reads a volume slice by slice."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import ImageClassifierOutput

from medhub.modeling import MedModel, classification_loss
from medhub.recurrent import RecurrentEncoder

from .config import ImageClassificationConfig

FIRST_WIDTHS = (16, 32, 64, 128)
LAST_WIDTH = 256
SMALLEST_MAP = 7
"""Height and width at which the last stage may stop; less would lose where things are."""


class ResidualBlock(nn.Module):
    """Two 3 by 3 convolutions beside a shortcut (He et al. 2016), after halving the resolution where asked.

    Averaging before the convolution, unlike a stride, does not alias: a shifted image gives a shifted map (Zhang 2019).
    """

    def __init__(self, width_in: int, width: int, *, halve: bool) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2, ceil_mode=True) if halve else nn.Identity()
        self.shortcut = nn.Conv2d(width_in, width, 1, bias=False) if width_in != width else nn.Identity()
        self.convolutions = nn.Sequential(*_convolution(width_in, width), nn.ReLU(), *_convolution(width, width))

    def forward(self, maps: Tensor) -> Tensor:
        """Turn (batch, width_in, height, width) into (batch, width, height, width), or half of these."""
        maps = self.pool(maps)
        return (self.convolutions(maps) + self.shortcut(maps)).relu()


class ConvolutionalEncoder(nn.Module):
    """Stages of residual blocks, each at half the resolution of the one before; the first keeps every pixel."""

    def __init__(self, config: ImageClassificationConfig) -> None:
        super().__init__()
        widths = config.widths or _usual_widths(config.image_size)
        self.width = widths[-1]
        self.stem = nn.Sequential(*_convolution(config.channels, widths[0]), nn.ReLU())
        self.stages = nn.Sequential(
            ResidualBlock(widths[0], widths[0], halve=False),
            *(ResidualBlock(before, after, halve=True) for before, after in pairwise(widths)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return maps (batch, width, rows, columns) of images (batch, channels, height, width)."""
        return self.stages(self.stem(images))

    def pool(self, maps: Tensor) -> Tensor:
        """Return one vector an image, (batch, width)."""
        return maps.mean((2, 3))


class TimmEncoder(nn.Module):
    """A network of timm by its name, with fresh weights and without its classifier."""

    def __init__(self, config: ImageClassificationConfig) -> None:
        super().__init__()
        import timm

        pretrained = timm.get_pretrained_cfg(config.architecture, allow_unregistered=True)
        # transformers of fixed size must be built for ours; other networks know no such argument
        size: dict[str, Any] = {"img_size": config.image_size} if pretrained and pretrained.fixed_input_size else {}
        self.network: Any
        self.network = timm.create_model(
            config.architecture, pretrained=False, in_chans=config.channels, num_classes=0, **size
        )
        self.width: int = self.network.head_hidden_size

    def forward(self, images: Tensor) -> Tensor:
        """Return the last maps of images (batch, channels, height, width), in the network's own layout."""
        return self.network.forward_features(images)

    def pool(self, maps: Tensor) -> Tensor:
        """Return one vector an image, (batch, width)."""
        return self.network.forward_head(maps, pre_logits=True)


class ImageClassificationModel(MedModel):
    """An image classifier; `config.architecture` chooses the network."""

    config_class = ImageClassificationConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ImageClassificationConfig) -> None:
        super().__init__(config)
        ours = config.architecture in config.ARCHITECTURES
        self.encoder: ConvolutionalEncoder | TimmEncoder = ConvolutionalEncoder(config) if ours else TimmEncoder(config)
        self.last_map = nn.Identity()  # has no weights; Grad-CAM looks here
        is_volume = config.architecture == "cnn_rnn"
        self.reader = RecurrentEncoder("gru", self.encoder.width, config.hidden_size) if is_volume else None
        self.dropout = nn.Dropout(config.dropout)
        width = self.reader.width if self.reader else self.encoder.width
        self.classifier = nn.Linear(width, config.num_labels or 0)
        self.post_init()

    def forward(
        self,
        pixel_values: Tensor,
        lengths: Tensor | None = None,
        labels: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> ImageClassifierOutput:
        """Return logits (batch, labels), and the loss when labels (batch,) are given.

        Pictures are (batch, channels, height, width). Volumes, for "cnn_rnn", are (batch, slices, channels, height,
        width), of which the first `lengths` (batch,) slices count; None: all. `sample_weight` (batch,) weighs the loss.
        """
        vectors = self._embed(pixel_values) if self.reader is None else self._read(pixel_values, lengths)
        logits = self.classifier(self.dropout(vectors))
        loss = None if labels is None else classification_loss(logits, labels, sample_weight=sample_weight)
        return ImageClassifierOutput(loss=loss, logits=logits)

    def attribution_layer(self) -> nn.Module | None:
        """Return the layer whose output is the last convolutional map; None for networks without one, as in ViT.

        Such a network has a single convolution, which cuts the image into patches.
        """
        convolutions = sum(isinstance(module, nn.Conv2d) for module in self.encoder.modules())
        return self.last_map if convolutions > 1 else None

    def _embed(self, images: Tensor) -> Tensor:
        return self.encoder.pool(self.last_map(self.encoder(images)))

    def _read(self, volumes: Tensor, lengths: Tensor | None) -> Tensor:
        """Return a vector a volume; slices that only pad are not looked at, and so do not count in BatchNorm either."""
        batch, slices = volumes.shape[:2]
        if lengths is None:
            lengths = torch.full((batch,), slices, device=volumes.device)
        present = torch.arange(slices, device=volumes.device) < lengths[:, None]
        seen = self._embed(volumes[present])
        vectors = seen.new_zeros(batch, slices, self.encoder.width)
        vectors[present] = seen
        assert self.reader is not None
        return self.reader(vectors, lengths).sum(1) / lengths[:, None]


def _convolution(width_in: int, width: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(width_in, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)


def _usual_widths(image_size: int) -> list[int]:
    """Return the widths of as many stages as an image of this size needs."""
    widths = [*FIRST_WIDTHS]
    left = -(-image_size // 2 ** (len(widths) - 1))
    while left > SMALLEST_MAP:
        widths.append(LAST_WIDTH)
        left = -(-left // 2)
    return widths
