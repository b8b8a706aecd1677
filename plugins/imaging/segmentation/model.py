"""The networks: a U-Net and DeepLabV3+ over any encoder of timm for pictures, a residual U-Net for volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.utils import ModelOutput

from medhub.modeling import MedModel

from .config import ImageSegmentationConfig
from .losses import segmentation_loss

OVERLAP = 0.25
"""Part of a window that the next one sees as well."""
WINDOWS = 4
"""Windows that are answered at once."""


@dataclass
class SegmentationOutput(ModelOutput):
    """What a network draws: logits (batch, outputs, *space), of which each image's own `size` (batch, axes) counts.

    The outputs are background, the labels and, where objects are told apart, their borders.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    size: Tensor | None = None


class ImageSegmentationModel(MedModel):
    """A segmentation network; `config.architecture` chooses it."""

    config: ImageSegmentationConfig
    config_class = ImageSegmentationConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ImageSegmentationConfig) -> None:
        super().__init__(config)
        self.network = _volume_network(config) if config.axes == 3 else _picture_network(config)
        self.post_init()

    def forward(
        self, pixel_values: Tensor, size: Tensor | None = None, labels: Tensor | None = None
    ) -> SegmentationOutput:
        """Return logits, and the loss when labels (batch, *space) are given.

        Images are (batch, channels, *space), padded to a common size; `size` (batch, axes) is each one's own, None for
        the whole. In training the network sees the batch as it is, whose sides must be multiples of 32 (of volumes,
        8). In evaluation it sees each image alone and without padding, in windows of `config.patch_size`, so that
        neither its neighbours nor its size change the answer; logits of padding are 0.
        """
        if size is None:
            size = torch.tensor([pixel_values.shape[2:]] * len(pixel_values), device=pixel_values.device)
        logits = self.network(pixel_values) if self.training else self._answer_each(pixel_values, size)
        loss = None
        if labels is not None:
            loss = segmentation_loss(logits, labels, border=bool(self.config.instances))
        return SegmentationOutput(loss=loss, logits=logits, size=size)

    def attribution_layer(self) -> nn.Module:
        """Return the layer whose maps an explanation reads.

        They are a quarter as wide as the image, of a volume half: deeper ones say too coarsely where a nucleus is, and
        later ones only repeat the answer.
        """
        if self.config.architecture == "unet":
            return self.network.decoder.blocks[2]  # type: ignore[union-attr, index, return-value]
        if self.config.architecture == "deeplabv3plus":
            return self.network.decoder.up  # type: ignore[union-attr, return-value]
        from monai.networks.layers import SkipConnection

        return next(module.submodule for module in self.network.modules() if isinstance(module, SkipConnection))

    def _answer_each(self, pixel_values: Tensor, size: Tensor) -> Tensor:
        answers = []
        for image, own in zip(pixel_values, size.tolist(), strict=True):
            logits = self._answer(crop_to(image, own))
            answers.append(pad_to(logits, image.shape[1:], mode="constant"))
        return torch.stack(answers)

    def _answer(self, image: Tensor) -> Tensor:
        """Return the logits (outputs, *space) of one image (channels, *space)."""
        from monai.inferers import sliding_window_inference

        patch: Sequence[int] = self.config.patch_size or []
        wide = pad_to(image[None], [max(pair) for pair in zip(patch, image.shape[1:], strict=True)])
        logits = sliding_window_inference(wide, patch, WINDOWS, self.network, overlap=OVERLAP, mode="gaussian")
        assert isinstance(logits, Tensor)  # MONAI returns a dict where the network does
        return crop_to(logits[0], image.shape[1:])


def crop_to(maps: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the start of maps (channels, *space), of the given shape."""
    for axis, side in enumerate(shape, start=1):
        maps = maps.narrow(axis, 0, side)
    return maps


def pad_to(maps: Tensor, shape: Sequence[int], mode: str = "replicate", value: float = 0.0) -> Tensor:
    """Return maps (..., *space) continued to a shape with their last rim, or with `value` in mode "constant"."""
    missing = [whole - side for whole, side in zip(shape, maps.shape[-len(shape) :], strict=True)]
    return functional.pad(maps, [end for after in reversed(missing) for end in (0, after)], mode=mode, value=value)


def _picture_network(config: ImageSegmentationConfig) -> nn.Module:
    """Make a network of segmentation-models-pytorch with fresh weights."""
    import segmentation_models_pytorch as smp

    encoder = {"encoder_name": f"tu-{config.encoder}", "encoder_weights": None, "in_channels": config.channels}
    widths = config.widths or []
    if config.architecture == "unet":
        return smp.Unet(**encoder, classes=config.outputs, decoder_channels=tuple(widths))
    return smp.DeepLabV3Plus(**encoder, classes=config.outputs, decoder_channels=widths[0])


def _volume_network(config: ImageSegmentationConfig) -> nn.Module:
    """Make MONAI's residual U-Net (Kerfoot et al. 2019), which normalises each volume by itself."""
    from monai.networks.nets import UNet

    widths = config.widths or []
    return UNet(
        spatial_dims=3, in_channels=config.channels, out_channels=config.outputs, channels=widths,
        strides=[2] * (len(widths) - 1), num_res_units=2, norm="INSTANCE",
    )  # fmt: skip
