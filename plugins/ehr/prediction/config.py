"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, Literal, Self

from medhub.errors import ConfigError
from medhub.modeling import MedConfig

TRAINING: dict[str, dict[str, Any]] = {
    "default": {
        "epochs": 20, "batch_size": 64, "learning_rate": 5e-3, "weight_decay": 0.05, "warmup": 0.1,
        "schedule": "cosine", "clip": 1.0, "ema": 0.99,
    },
}  # fmt: skip
"""Settings of a training run, the same for every network.

The rare outcome is not weighted: weights would make the risks too high, and change no order. What is done instead is
to start from the outcome's frequency; `balance="balanced"` weighs all the same.
"""


class OutcomePredictionConfig(MedConfig):
    """Settings of a risk model; the defaults are the published model's, of death in intensive care."""

    model_type = "medhub_ehr_prediction"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("gru", "lstm", "rnn")

    architecture: str = "gru"
    problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None = (
        "multi_label_classification"
    )
    window_hours: float | None = None
    """How far back a record is read; None: as far as 99 of 100 training records reach."""
    step_hours: float | None = None
    """Length of a step, within which values are averaged; 0: each moment is a step of its own. None: the training
    records decide, by how many moments they have."""
    most_steps: int = 256
    """Steps that are read; of longer histories the last ones."""
    most_variables: int = 256
    """Codes that are read, those of most patients."""
    hidden_size: int = 32
    """Width of the recurrent layer."""
    head_size: int = 64
    """Width of the dense layer before the answer."""
    members: int = 12
    """Networks that learn side by side and answer with the mean of their log-odds."""
    share: float = 0.7
    """Share of the variables that each of them reads."""
    dropout: float = 0.5
    """Share of the dense layer's units that a training step leaves out."""
    input_dropout: float = 0.1
    """Share of the numbers that go into the recurrent and the dense layer which a training step leaves out."""
    crop: float = 0.0
    """Share of the training series that end at a random earlier moment; for outcomes that have no fixed horizon."""

    variables: int = 0
    """Codes that are read; the processor sets it."""
    statics: int = 0
    """Numbers that say what does not change; the processor sets it."""
    frequencies: list[float] = field(default_factory=list)
    """How often each outcome happens in the training rows, from which training starts; the processor sets it."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for name in ("window_hours", "step_hours"):
            value = getattr(self, name)
            if value is not None and (value < 0 or (value == 0 and name == "window_hours")):
                raise ConfigError(f"{name} must be above 0, not {value}")
        for name in ("most_steps", "most_variables", "members", "hidden_size", "head_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.share <= 1:
            raise ConfigError(f"share must be above 0 and at most 1, not {self.share}")

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "gru", "hidden_size": 8, "head_size": 16, "members": 2, "share": 1.0,
            "dropout": 0.0, "input_dropout": 0.0, "most_steps": 32,
        }  # fmt: skip
        return cls(**{**smallest, **changes})
