"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from medhub.modeling import MedConfig

# Change: settings of medhub.training.Settings by network; "default" holds for those that are not named.
TRAINING: dict[str, dict[str, Any]] = {
    "default": {"epochs": 20, "batch_size": 32, "learning_rate": 3e-3},
}


class ExampleRhythmConfig(MedConfig):
    """Settings of a rhythm model; the defaults are the published model's."""

    model_type = "medhub_example_rhythm"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("cnn",)  # Change: the names of your networks, as in model.py's NETWORKS

    architecture: str = "cnn"
    channels: int = 32
    """Width of each convolution."""
    kernel_size: int = 5
    """Neighbouring intervals that a convolution sees; odd."""
    layers: int = 3
    dropout: float = 0.1

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {"architecture": architecture or "cnn", "channels": 8, "layers": 2, "dropout": 0.0}
        return cls(**{**smallest, **changes})
