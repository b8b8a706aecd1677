"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, Self

from medhub.errors import ConfigError, suggest
from medhub.modeling import MedConfig
from medhub.sequences.alphabets import ALPHABETS, Alphabet

TRAINING: dict[str, dict[str, Any]] = {
    "default": {
        "epochs": 20, "batch_size": 128, "learning_rate": 2e-3, "weight_decay": 0.05, "warmup": 0.1,
        "schedule": "cosine", "clip": 1.0, "ema": 0.995,
    },
}  # fmt: skip
"""Settings of a training run, the same for each network."""

OVERLAP = 64
"""Letters that two neighbouring windows of a long sequence share, so that no motif is cut in two."""


class SequenceClassificationConfig(MedConfig):
    """Settings of a sequence classifier; the defaults are the published promoter model's."""

    model_type = "medhub_genomics_classification"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("gru", "lstm", "rnn")

    architecture: str = "gru"
    alphabet: str | None = None
    """"dna" or "protein"; None: that of the training sequences."""
    both_strands: bool = False
    """Whether the answer is the mean over a DNA sequence and its reverse complement, as for what has no direction (the
    binding of a factor); never for promoters and splice sites, which are read in one."""
    kmer: int = 1
    """Neighbouring letters that are looked up as one word."""
    embedding_size: int = 16
    """Numbers that stand for a word."""
    stem_kernels: list[int] = field(default_factory=lambda: [9, 5])
    """Letters that each convolution before the recurrent layers sees; empty for none."""
    channels: int = 64
    """Motifs that each convolution knows."""
    hidden_size: int = 64
    """Width of the recurrent layers, each direction."""
    layers: int = 1
    """Recurrent layers."""
    segments: int = 16
    """Equal parts of a sequence whose mean states are told apart, so that it counts where a motif stands; 1 for one
    mean, where it does not."""
    dropout: float = 0.3
    window: int = 1024
    """Letters that are read at once: of longer sequences training takes a random stretch, prediction every one."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.alphabet is not None and self.alphabet not in ALPHABETS:
            near = suggest(self.alphabet, ALPHABETS)
            raise ConfigError(f"no alphabet {self.alphabet!r}{near} Alphabets: {', '.join(ALPHABETS)}")
        if self.window <= OVERLAP:
            raise ConfigError(f"window must be above {OVERLAP}, the letters that two windows share, not {self.window}")

    @property
    def letters(self) -> Alphabet:
        """The alphabet of the sequences; before the training sequences are seen, that of the published model."""
        return ALPHABETS[self.alphabet or "dna"]

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "gru", "stem_kernels": [5], "channels": 16, "hidden_size": 16,
            "embedding_size": 8, "segments": 4, "dropout": 0.0, "window": 128,
        }  # fmt: skip
        return cls(**{**smallest, **changes})
