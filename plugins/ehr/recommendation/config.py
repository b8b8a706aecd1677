"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, Self

from medhub.errors import ConfigError, suggest
from medhub.modeling import MedConfig

TRAINING: dict[str, dict[str, Any]] = {
    "default": {
        "epochs": 12, "batch_size": 128, "learning_rate": 2e-3, "weight_decay": 0.02, "warmup": 0.1, "ema": 0.99,
    },
}  # fmt: skip
"""Settings of a training run, chosen on the validation part of Diabetes-130."""

OBJECTIVES = ("given", "outcome")


class RecommendationConfig(MedConfig):
    """Settings of a network that recommends drugs; the defaults are those of the published diabetes model."""

    model_type = "medhub_ehr_recommendation"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("gru", "lstm", "rnn")

    architecture: str = "gru"
    problem_type: str | None = None
    embedding_size: int = 64
    """Width to which a visit's codes and values are brought."""
    hidden_size: int = 64
    """Width of a recurrent layer, and of the dense one behind it."""
    layers: int = 1
    dropout: float = 0.3
    """Share of the units that a training step leaves out."""
    input_dropout: float = 0.4
    """Share of a visit's codes and values that a training step leaves out."""
    most_visits: int = 16
    """Visits that are read, the last ones before the coming one and that itself."""
    interaction_table: str | None = None
    """Path of a CSV of interacting drugs, which is read when training begins; None afterwards."""
    interaction_penalty: float = 0.0
    """What an interacting pair, expected in the recommended set, adds to the loss."""

    objective: str | None = None
    """"given" learns what was given; "outcome" which drugs the patient would fare best with, from randomised trials.

    None: "outcome" where the training rows have outcomes. This and what follows is set by the processor.
    """
    visit_size: int = 0
    """Numbers of a visit."""
    statics: int = 0
    """Numbers of what does not change."""
    sets: list[list[int]] = field(default_factory=list)
    """The sets of drugs that may be recommended, by the drugs' numbers."""
    interactions: list[list[int]] = field(default_factory=list)
    """Pairs of drugs that interact, by their numbers."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.objective not in (None, *OBJECTIVES):
            raise ConfigError(f"objective cannot be {self.objective!r}{suggest(self.objective, OBJECTIVES)} "
                              f"Objectives: {', '.join(OBJECTIVES)}")  # fmt: skip
        if self.most_visits < 2:
            raise ConfigError(f"most_visits must be 2 or more, the coming visit and one before, not {self.most_visits}")
        if self.interaction_penalty < 0:
            raise ConfigError(f"interaction_penalty must be 0 or more, not {self.interaction_penalty}")

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "gru", "embedding_size": 16, "hidden_size": 16, "dropout": 0.0,
            "input_dropout": 0.0, "most_visits": 4,
        }  # fmt: skip
        return cls(**{**smallest, **changes})
