"""How a model is trained: a frozen record that is saved as JSON and refuses what it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from medhub.errors import ConfigError, suggest

CHOICES = {
    "schedule": ("cosine", "linear", "constant"),
    "precision": ("no", "bf16", "fp16"),
    "balance": ("none", "balanced"),
}
_AT_LEAST_ONE = {"epochs", "batch_size", "accumulate"}
_AT_MOST_ONE = {"warmup", "ema"}

NEUTRAL = {"checkpoint_minutes", "tensorboard"}
"""Settings that have no influence on the weights, so that a resumed run may change them."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All choices of a training run; the same settings, data and seed give the same weights on a CPU."""

    epochs: int = 20
    batch_size: int = 32
    """Examples in one forward pass of one process."""
    learning_rate: float = 1e-3
    """The schedule's highest learning rate, for AdamW."""
    weight_decay: float = 0.01
    """Of weight matrices; biases and normalisation scales are not decayed."""
    schedule: str = "cosine"
    """How the learning rate falls after the warm-up: "cosine" or "linear" to zero, or "constant"."""
    warmup: float = 0.05
    """Fraction of all steps in which the learning rate rises from zero."""
    accumulate: int = 1
    """Batches whose gradients are averaged for one step."""
    clip: float = 1.0
    """Largest norm of a step's gradient; 0 leaves gradients as they are."""
    precision: str = "no"
    """"bf16" or "fp16" runs the forward pass in that type where it is safe; the weights stay float32."""
    ema: float = 0.0
    """Decay of an exponential moving average of the weights, which is then validated and returned; 0 is off."""
    patience: int = 0
    """Epochs without a better validation metric after which training stops; 0 never stops early."""
    balance: str = "none"
    """"balanced" weighs classes inversely to their frequency in the training rows."""
    seed: int = 0
    cpu: bool = False
    """Train on the CPU even where there is a GPU."""
    compile: bool = False
    """Compile the network with torch.compile: minutes at the start, quicker steps on a GPU."""
    channels_last: bool = False
    """Keep images with the channel as the innermost axis, which convolutions on recent GPUs prefer."""
    tensorboard: bool = False
    """Write the history to `folder`/tensorboard as well."""
    checkpoint_minutes: float = 5.0
    """Least time between two checkpoints; 0 writes one after every step (of several processes, every 50th)."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            wanted: Any = type(field.default)
            if type(value) is not wanted and not (wanted is float and type(value) is int):
                raise ConfigError(f"setting {field.name} must be of type {wanted.__name__}, not {value!r}")
            if field.name in CHOICES and value not in CHOICES[field.name]:
                choices = CHOICES[field.name]
                raise ConfigError(
                    f"setting {field.name} cannot be {value!r}{suggest(value, choices)} Choices: {', '.join(choices)}"
                )
            if wanted in (int, float):
                least = 1 if field.name in _AT_LEAST_ONE else 0
                most = 1 if field.name in _AT_MOST_ONE else float("inf")
                if not least <= value <= most:
                    raise ConfigError(f"setting {field.name} must lie between {least} and {most}, not be {value}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dict of JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make settings from a dict; raise ConfigError for a key that is not a setting, naming the nearest one."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise ConfigError(f"no training setting {key!r}{suggest(key, known)} Settings: {', '.join(known)}")
        return cls(**values)
