"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from dataclasses import field
from itertools import pairwise
from typing import Any, ClassVar, Self

from medhub.errors import ConfigError, suggest
from medhub.modeling import MedConfig

# Few images with many boxes each: small batches give more steps, and the average of the weights steadies them.
TRAINING: dict[str, dict[str, Any]] = {
    "yolo": {
        "epochs": 100, "batch_size": 8, "learning_rate": 2e-3, "weight_decay": 0.02, "warmup": 0.05,
        "schedule": "cosine", "clip": 10.0, "precision": "bf16", "ema": 0.99, "channels_last": True,
    },
    "ssd": {
        "epochs": 100, "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 0.02, "warmup": 0.05,
        "schedule": "cosine", "clip": 10.0, "precision": "bf16", "ema": 0.99, "channels_last": True,
    },
}  # fmt: skip
"""Settings of a training run by network."""


class ImageDetectionConfig(MedConfig):
    """Settings of a detector; the defaults are the published blood cell model's."""

    model_type = "medhub_imaging_detection"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("yolo", "ssd")

    architecture: str = "yolo"
    problem_type: str | None = None
    image_size: list[int] = field(default_factory=lambda: [240, 320])
    """Rows and columns into which every image is fitted, its proportions kept."""
    channels: int = 3
    """1 for grey images, 3 for coloured ones."""
    modalities: list[str] | None = None
    """DICOM's codes of the modalities that the model accepts (["SM"] for slides), empty for all.

    None: those that the training rows name, or else all.
    """
    horizontal_flip: bool = True
    """Whether training may mirror images; never where left and right differ, as in the chest."""
    vertical_flip: bool = True
    mosaic: float = 0.5
    """Share of training images that are put together from four others (Bochkovskiy et al. 2020)."""
    nms_iou: float = 0.6
    """Overlap (IoU) from which the less probable of two boxes of one label is dropped."""
    calibration: list[list[float]] | None = None
    """Slope and offset that turn a label's logit into the logit of a probability (Platt 1999), a pair a label."""

    strides: list[int] = field(default_factory=lambda: [8, 16, 32])
    """Pixels from cell to cell of the maps on which objects are looked for, each twice the one before."""
    widths: list[int] = field(default_factory=lambda: [16, 32, 64, 128, 256])
    """Channels of the stages of "yolo", at strides 2, 4, 8 and so on to the last of `strides`."""
    neck_width: int = 96
    """Channels of the maps that "yolo" reads boxes from."""
    distance_bins: int = 16
    """Distances from a cell to a box's side, in cells from 0, over which "yolo" spreads its belief."""

    backbone: str = "resnet10t"
    """timm's name of the network under "ssd"; it gives the maps at `strides`."""
    extra_widths: list[int] = field(default_factory=lambda: [192, 128])
    """Channels of the further maps of "ssd", each at twice the stride of the one before."""
    box_sizes: list[float] = field(default_factory=lambda: [16.0, 44.0, 80.0, 128.0, 176.0, 240.0])
    """Sides in pixels of the default boxes of "ssd" on each of its maps, and one that closes the scale."""

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "yolo", "image_size": [64, 64], "mosaic": 0.0,
            "strides": [8, 16], "widths": [8, 16, 16, 32], "neck_width": 32, "distance_bins": 8,
            "backbone": "test_resnet", "extra_widths": [16], "box_sizes": [12.0, 18.0, 26.0, 36.0],
        }  # fmt: skip
        return cls(**{**smallest, **changes})

    def check_architecture(self) -> None:
        """Raise ConfigError for an unknown network, and for sizes that do not fit one another."""
        super().check_architecture()
        if any(coarse != 2 * fine for fine, coarse in pairwise(self.strides)):
            raise ConfigError(f"strides must each be twice the one before, as in [8, 16, 32], not {self.strides}")
        if self.architecture == "yolo":
            self._check_yolo()
        else:
            self._check_ssd()

    def _check_yolo(self) -> None:
        if 2 ** len(self.widths) != self.strides[-1]:
            raise ConfigError(
                f"{len(self.widths)} stages in widths end at stride {2 ** len(self.widths)}, but strides end at "
                f"{self.strides[-1]}; give one width for each halving"
            )
        if self.neck_width % 8:
            raise ConfigError(f"neck_width must be a multiple of 8, the channels of a group, not {self.neck_width}")

    def _check_ssd(self) -> None:
        import timm

        if not timm.is_model(self.backbone):
            raise ConfigError(f"timm has no network {self.backbone!r}{suggest(self.backbone, timm.list_models())}")
        if len(self.box_sizes) != (wanted := len(self.strides) + len(self.extra_widths) + 1):
            raise ConfigError(
                f"box_sizes has {len(self.box_sizes)} sizes; strides and extra_widths make {wanted - 1} maps, which "
                f"need {wanted}: one each, and one that closes the scale"
            )
