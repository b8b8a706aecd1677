"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, Literal, Self

from medhub.errors import ConfigError, suggest
from medhub.modeling import MedConfig
from medhub.sequences.alphabets import ALPHABETS, Alphabet

TRAINING: dict[str, dict[str, Any]] = {
    "default": {
        "epochs": 12, "batch_size": 32, "learning_rate": 1e-3, "weight_decay": 0.05, "warmup": 0.1,
        "schedule": "cosine", "clip": 1.0, "ema": 0.99,
    },
}  # fmt: skip
"""Settings of a training run, the same for each network."""


class FunctionConfig(MedConfig):
    """Settings of a model of functions; the defaults are the published models'."""

    model_type = "medhub_chem_function"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("gru", "lstm", "rnn")

    architecture: str = "gru"
    problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None = (
        "multi_label_classification"
    )
    alphabet: str | None = None
    """"dna" or "protein"; None: that of the training sequences. Genes are translated for a model of proteins."""
    longest: int = 1024
    """Letters of a sequence that are read; a longer one is read without its middle."""
    embedding_size: int = 32
    """Numbers that stand for a letter."""
    stem_kernels: list[int] = field(default_factory=lambda: [3, 7, 11])
    """Letters that each of the convolutions side by side sees, before the recurrent layers; empty for none."""
    channels: int = 48
    """Motifs that each convolution knows."""
    hidden_size: int = 64
    """Width of the recurrent layers, each direction."""
    layers: int = 1
    """Recurrent layers."""
    distances: int = 4
    """How far apart two letters stand at most whose pairs are counted, as a turn of a helix brings them together."""
    references: int = 4000
    """Training proteins at most that the model keeps, in ten letters for twenty, and aligns each protein with, so that
    the answer knows what its relatives do; 0 for none."""
    head_size: int = 128
    """Width of the dense layer before the output."""
    dropout: float = 0.4
    masking: float = 0.1
    """Share of the letters that a training step hides."""
    members: int = 3
    """Networks that are trained side by side and answer together."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.alphabet is not None and self.alphabet not in ALPHABETS:
            near = suggest(self.alphabet, ALPHABETS)
            raise ConfigError(f"no alphabet {self.alphabet!r}{near} Alphabets: {', '.join(ALPHABETS)}")

    @property
    def letters(self) -> Alphabet:
        """The alphabet of the sequences; before the training sequences are seen, that of the published models."""
        return ALPHABETS[self.alphabet or "protein"]

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "gru", "embedding_size": 8, "stem_kernels": [5], "channels": 8,
            "hidden_size": 12, "head_size": 16, "distances": 2, "references": 16, "dropout": 0.0, "masking": 0.0,
            "members": 2,
        }  # fmt: skip
        return cls(**{**smallest, **changes})
