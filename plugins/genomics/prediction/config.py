"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, Self

from medhub.errors import ConfigError, suggest
from medhub.modeling import MedConfig
from medhub.sequences.alphabets import ALPHABETS, Alphabet

# An average over the last two epochs stands for an ensemble; bfloat16 halves the time, on CPUs that know it too.
TRAINING: dict[str, dict[str, Any]] = {
    "default": {
        "epochs": 20, "batch_size": 32, "learning_rate": 2e-3, "weight_decay": 0.01, "warmup": 0.05,
        "schedule": "cosine", "clip": 1.0, "ema": 0.998, "precision": "bf16",
    },
}  # fmt: skip
"""Settings of a training run, the same for every network."""

OBJECTIVES = ("labels", "next")
CONTEXT = 128
"""Positions on either side of a window that are read but not answered there."""


class SequencePredictionConfig(MedConfig):
    """Settings of a network that labels each position; the defaults are the published secondary-structure model's."""

    model_type = "medhub_genomics_prediction"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("lstm", "gru", "rnn")

    architecture: str = "lstm"
    problem_type: str | None = None
    alphabet: str | None = None
    """"protein" or "dna"; None: that of the training sequences."""
    objective: str | None = None
    """"labels" reads a sequence in both directions, "next" only forward, to say at each position what letter follows.

    None: "next" where the labels to learn are the alphabet's letters.
    """
    embedding_size: int = 64
    stem_kernels: list[int] = field(default_factory=lambda: [3, 7, 11])
    """Widths of the convolutions that stand side by side before the recurrent layers; empty for none."""
    stem_channels: int = 64
    """Of each of these convolutions."""
    hidden_size: int = 192
    """Width of a recurrent layer in each direction."""
    layers: int = 2
    dropout: float = 0.4
    """Share of the units that a training step leaves out, before, between and behind the recurrent layers."""
    masking: float = 0.1
    """Share of the letters that a training step replaces by the unknown one."""
    window: int = 2048
    """Positions read at once; longer sequences are answered in overlapping windows, and trained on in random ones."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for name, known in (("alphabet", tuple(ALPHABETS)), ("objective", OBJECTIVES)):
            if (value := getattr(self, name)) not in (None, *known):
                raise ConfigError(f"{name} cannot be {value!r}{suggest(value, known)} Choices: {', '.join(known)}")
        if self.window <= 2 * CONTEXT:
            raise ConfigError(f"window must be above {2 * CONTEXT}, twice what windows overlap, not {self.window}")
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.stem_kernels):
            raise ConfigError(f"stem_kernels must be odd, so that each has a middle, not {self.stem_kernels}")

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "lstm", "embedding_size": 8, "stem_kernels": [3], "stem_channels": 8,
            "hidden_size": 16, "layers": 2, "dropout": 0.0, "masking": 0.0, "window": 2 * CONTEXT + 44,
        }  # fmt: skip
        return cls(**{**smallest, **changes})

    @property
    def letters(self) -> Alphabet:
        """The alphabet of the sequences; before the training sequences are seen, that of the published model."""
        return ALPHABETS[self.alphabet or "protein"]

    @property
    def causal(self) -> bool:
        """Whether a position may be answered only from what stands up to it."""
        return self.objective == "next"
