"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from medhub.errors import ConfigError
from medhub.modeling import MedConfig

# An average of the weights stands for the ensembles that win segmentation contests. With channels last, convolutions
# are a fifth quicker, on CPUs too; bfloat16 halves the memory that a volume's maps take.
TRAINING: dict[str, dict[str, Any]] = {
    "default": {
        "epochs": 60, "batch_size": 8, "learning_rate": 2e-3, "weight_decay": 0.01, "warmup": 0.05,
        "schedule": "cosine", "clip": 1.0, "ema": 0.99, "precision": "bf16", "channels_last": True,
    },
    "unet3d": {
        "epochs": 100, "batch_size": 4, "learning_rate": 2e-3, "weight_decay": 0.01, "warmup": 0.05,
        "schedule": "cosine", "clip": 1.0, "ema": 0.99, "precision": "bf16",
    },
}  # fmt: skip
"""Settings of a training run by network; "default" holds for those that segment pictures."""

MULTIPLE = {2: 32, 3: 8}
"""What the sides of a network's input are multiples of, by number of axes: it halves them five or three times."""
USUAL_PATCH = {2: [256, 256], 3: [40, 56, 40]}
USUAL_WIDTHS = {
    "unet": [128, 64, 48, 32, 16],
    "deeplabv3plus": [128],
    "unet3d": [24, 48, 96, 192],
}
"""About as wide as networks on a laptop should be: 3.3, 2.7 and 2.7 million weights."""


class ImageSegmentationConfig(MedConfig):
    """Settings of a segmentation network; the defaults are the published nuclei model's.

    `architecture` is "unet" or "deeplabv3plus" for pictures, "unet3d" for volumes. `id2label` names the labels without
    the background, which is number 0 in a mask.
    """

    model_type = "medhub_imaging_segmentation"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("unet", "deeplabv3plus", "unet3d")

    architecture: str = "unet"
    problem_type: str | None = None
    encoder: str = "regnetx_002"
    """The network of timm that reads pictures before "unet" and "deeplabv3plus" draw the mask."""
    widths: list[int] | None = None
    """Channels of the decoder of "unet" (five stages) and "deeplabv3plus" (one), or of the stages of "unet3d".

    None: the published models'.
    """
    channels: int = 1
    """1 for grey images, 3 for coloured ones."""
    patch_size: list[int] | None = None
    """Rows and columns, of volumes also slices before them, that the network sees at once; larger images are answered
    in windows of this size. None: 256 by 256, or 40 by 56 by 40."""
    spacing: list[float] | None = None
    """Millimetres between slices, rows and columns to which volumes are brought; None: the training volumes' median."""
    instances: bool | None = None
    """Whether single objects are told apart; None: whether the training masks do."""
    calibration: list[float] | None = None
    """Slope and offset of the logit of a pixel's having any label (Platt 1999), fitted on the validation images."""
    flip_axes: list[int] | None = None
    """Axes along which training may mirror an image; None: both of a picture, left-right (2) of a volume.

    Only left and right of a body look alike: a hippocampus that is mirrored front to back has its labels swapped.
    """
    turn: bool | None = None
    """Whether training may turn an image by any angle, or by a few degrees only; None: pictures yes, volumes no."""
    modalities: list[str] | None = None
    """DICOM's codes of the modalities that the model accepts, empty for all; None: those of the training rows."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.patch_size = self.patch_size or [*USUAL_PATCH[self.axes]]
        self.widths = self.widths or [*USUAL_WIDTHS[self.architecture]]
        step = MULTIPLE[self.axes]
        if len(self.patch_size) != self.axes or any(side < step or side % step for side in self.patch_size):
            raise ConfigError(
                f"patch_size cannot be {self.patch_size}; give {self.axes} multiples of {step} for {self.architecture}"
            )

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        architecture = architecture or "unet"
        widths = {"unet": [16, 16, 16, 8, 8], "deeplabv3plus": [16], "unet3d": [8, 16]}.get(architecture)
        patch_size = [16, 32, 32] if architecture == "unet3d" else [32, 32]
        smallest = {"architecture": architecture, "encoder": "test_byobnet", "widths": widths, "patch_size": patch_size}
        return cls(**{**smallest, **changes})

    @property
    def axes(self) -> int:
        """How many axes an image has: 2 for pictures, 3 for volumes."""
        return 3 if self.architecture == "unet3d" else 2

    @property
    def outputs(self) -> int:
        """How many maps the network draws: background, the labels, and, where objects are told apart, their borders."""
        return 1 + self.num_labels + bool(self.instances)
