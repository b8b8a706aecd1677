"""The settings of the networks, and how they are trained."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, Self

from medhub.errors import ConfigError, suggest
from medhub.modeling import MedConfig
from medhub.sequences.alphabets import ALPHABETS

MODES = ("global", "local")
DECODINGS = ("expected-accuracy", "viterbi")

TRAINING: dict[str, dict[str, Any]] = {
    "default": {
        "epochs": 8, "batch_size": 32, "learning_rate": 2e-3, "weight_decay": 0.01, "warmup": 0.05,
        "schedule": "cosine", "clip": 1.0, "ema": 0.99,
    },
}  # fmt: skip
"""Settings of a training run; "default" holds for all networks."""


class SequenceAlignmentConfig(MedConfig):
    """Settings of an alignment model; the defaults are the published protein aligner's."""

    model_type = "medhub_genomics_alignment"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("lstm", "gru", "rnn")

    architecture: str = "lstm"
    problem_type: str | None = None
    alphabet: str = "protein"
    """"protein" or "dna"; it decides the substitution matrix too."""
    mode: str = "global"
    """"global" aligns both sequences whole (Needleman and Wunsch), "local" their most alike parts (Smith, Waterman)."""
    decoding: str = "expected-accuracy"
    """"expected-accuracy" returns the columns whose probabilities sum to most, "viterbi" the best-scoring alignment."""
    gap_open: float | None = None
    """Cost of a gap beside `gap_extend` for each residue in it, in units of the matrix; None: as usual with it."""
    gap_extend: float | None = None
    embedding_size: int = 64
    stem_kernels: list[int] = field(default_factory=lambda: [3, 7, 11])
    """Widths of the convolutions that stand side by side before the recurrent layers; empty for none."""
    stem_channels: int = 64
    """Of each of these convolutions."""
    hidden_size: int = 192
    """Width of each direction of the recurrent layers."""
    layers: int = 2
    width: int = 64
    """Of the vectors by which two residues are compared."""
    dropout: float = 0.4
    """Share of the network's inner values that a training step leaves out."""
    freeze_reader: bool = False
    """Whether training leaves the reader as it starts, so that what was learnt of many proteins (`--start`) is not
    unlearnt for the sake of a few families; only how residues are compared is learnt then."""
    masking: float = 0.1
    """Share of residues that the network does not get to see in a training step."""
    calibration: list[float] | None = None
    """Slope and offset of the logit of a column's probability (Platt 1999), fitted on the validation pairs."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for name, known in (("alphabet", [*ALPHABETS]), ("mode", MODES), ("decoding", DECODINGS)):
            if (value := getattr(self, name)) not in known:
                raise ConfigError(f"no {name} {value!r}{suggest(value, known)} Known: {', '.join(known)}")

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "lstm", "embedding_size": 8, "hidden_size": 16, "layers": 1, "width": 16,
            "dropout": 0.0, "masking": 0.0, "stem_kernels": [3], "stem_channels": 8,
        }  # fmt: skip
        return cls(**{**smallest, **changes})
