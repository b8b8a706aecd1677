"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from medhub.modeling import MedConfig

TRAINING: dict[str, dict[str, Any]] = {
    "dnn": {"epochs": 10, "batch_size": 32, "learning_rate": 5e-4, "weight_decay": 0.01, "warmup": 0.1},
    "mpnn": {"epochs": 12, "batch_size": 32, "learning_rate": 1e-3, "weight_decay": 0.01, "warmup": 0.1},
    "cnn": {"epochs": 20, "batch_size": 32, "learning_rate": 1e-3, "weight_decay": 0.01, "warmup": 0.1, "ema": 0.99},
}
"""Settings of a training run by network, chosen on the validation parts of Tox21."""


class ToxicityConfig(MedConfig):
    """Settings of a toxicity model; the defaults are the published Tox21 model's."""

    model_type = "medhub_chem_toxicity"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("dnn", "cnn", "mpnn")

    architecture: str = "dnn"
    problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None = (
        "multi_label_classification"
    )
    members: int = 4
    """Networks that learn side by side and answer with the mean of their log-odds; how much they differ is told."""
    hidden_size: int = 512
    """Width of the dense layer before the output."""
    dropout: float = 0.7
    """Share of the dense layer's units that a training step leaves out."""
    input_dropout: float = 0.1
    """Share of the input, counts and descriptors or embedded tokens, that a training step leaves out."""

    fingerprint_size: int = 2048
    """Of "dnn" and "mpnn": places into which the counts of substructures are folded."""
    fingerprint_radius: int = 2
    """Of "dnn" and "mpnn": bonds from the middle of a substructure to its rim."""
    descriptors: int = 211
    """Of "dnn" and "mpnn": descriptors of the whole molecule; the processor sets it to as many as RDKit computes."""

    vocabulary_size: int = 0
    """Of "cnn": different tokens of SMILES, padding and the unknown one among them; the processor sets it."""
    spellings: int = 8
    """Of "cnn": ways in which each molecule is written; training takes one at random, prediction the mean of all."""
    embedding_size: int = 64
    channels: int = 128
    """Of "cnn" and "mpnn": numbers that stand for a token, a bond or an atom while the network works."""
    kernel_size: int = 5
    """Neighbouring tokens that a convolution sees; odd."""
    layers: int = 4
    """Of "cnn": convolutions, each looking twice as far as the one before."""
    steps: int = 3
    """Of "mpnn": times that messages are passed on; each brings news of atoms that are a bond farther away."""

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "dnn", "members": 2, "hidden_size": 32, "dropout": 0.0,
            "input_dropout": 0.0, "fingerprint_size": 128, "spellings": 2, "embedding_size": 16, "channels": 16,
            "layers": 2, "steps": 2,
        }  # fmt: skip
        return cls(**{**smallest, **changes})
