"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from medhub.errors import ConfigError, suggest
from medhub.modeling import MedConfig

# Much augmentation and a slow average of the weights: the test images of a hospital are never quite those of training.
# With channels last, convolutions are a quarter quicker, on CPUs too.
TRAINING: dict[str, dict[str, Any]] = {
    "default": {
        "epochs": 24, "batch_size": 64, "learning_rate": 1e-3, "weight_decay": 0.05, "warmup": 0.1,
        "schedule": "cosine", "clip": 1.0, "ema": 0.995, "channels_last": True,
    },
    "cnn": {
        "epochs": 24, "batch_size": 64, "learning_rate": 3e-3, "weight_decay": 0.05, "warmup": 0.1,
        "schedule": "cosine", "clip": 1.0, "ema": 0.995, "channels_last": True,
    },
    "cnn_rnn": {
        "epochs": 40, "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 0.05, "warmup": 0.1,
        "schedule": "cosine", "clip": 1.0, "ema": 0.99, "channels_last": True,
    },
}  # fmt: skip
"""Settings of a training run by network; "default" holds for timm's."""


class ImageClassificationConfig(MedConfig):
    """Settings of an image classifier; the defaults are the published chest X-ray model's.

    `architecture` is "cnn", "cnn_rnn", or the name of any network of timm ("resnet18", "convnext_tiny" ...).
    """

    model_type = "medhub_imaging_classification"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("cnn", "cnn_rnn")

    architecture: str = "cnn"
    problem_type: str | None = "single_label_classification"
    image_size: int = 28
    """Height and width in pixels to which every image is brought."""
    channels: int = 1
    """1 for grey images, 3 for coloured ones."""
    modalities: list[str] | None = None
    """DICOM's codes of the modalities that the model accepts (["CR", "DX"] for X-rays), empty for all.

    None: those that the training rows name, or else all.
    """
    horizontal_flip: bool = False
    """Whether training may mirror images; never where left and right differ, as in the chest."""
    widths: list[int] | None = None
    """Channels of the stages of "cnn" and "cnn_rnn", each at half the resolution of the one before.

    None: 16, 32, 64, 128, and further stages of 256 until an image of 7 by 7 or less is left.
    """
    hidden_size: int = 128
    """Width of the recurrent layers of "cnn_rnn", each direction."""
    max_slices: int = 48
    """Slices of a volume that "cnn_rnn" reads; of thicker stacks as many, evenly spaced."""
    dropout: float = 0.2

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {"architecture": architecture or "cnn", "widths": [8, 16], "hidden_size": 8, "dropout": 0.0}
        return cls(**{**smallest, **changes})

    def check_architecture(self) -> None:
        """Raise ConfigError when `architecture` is neither a network of ours nor one of timm's."""
        if self.architecture in self.ARCHITECTURES:
            return
        try:
            import timm
        except ImportError as error:
            raise ConfigError(
                f"{self.architecture!r} may be a network of timm, which is not installed; pip install 'medhub[imaging]'"
            ) from error
        if not timm.is_model(self.architecture):
            theirs = timm.list_models()
            raise ConfigError(
                f"no network {self.architecture!r}{suggest(self.architecture, [*self.ARCHITECTURES, *theirs])} "
                f"Networks: {', '.join(self.ARCHITECTURES)}, and the {len(theirs)} that timm.list_models() names"
            )
