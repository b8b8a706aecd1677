"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from medhub.errors import ConfigError, suggest
from medhub.modeling import MedConfig

TRAINING: dict[str, dict[str, Any]] = {
    "autoencoder": {
        "epochs": 40, "batch_size": 256, "learning_rate": 1e-2, "weight_decay": 0.01, "warmup": 0.1,
        "schedule": "cosine", "clip": 1.0,
    },
    "pca": {
        "epochs": 40, "batch_size": 256, "learning_rate": 1e-2, "weight_decay": 0.0, "schedule": "cosine",
        "clip": 1.0,
    },
}  # fmt: skip
"""Settings of a training run by network."""

ENCODERS = ("dense", "gru")
CLUSTERS = ("kmeans", "mixture")
MOST_GROUPS = 8
"""Most groups that are tried."""


class PatientClusteringConfig(MedConfig):
    """Settings of a network that places patients, and of the groups among them."""

    model_type = "medhub_ehr_clustering"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("autoencoder", "pca")

    architecture: str = "autoencoder"
    problem_type: str | None = None
    encoder: str = "dense"
    """Of "autoencoder": "dense" reads a patient's summary, "gru" the series of values from visit to visit."""
    clusters: str = "kmeans"
    """"kmeans" gives each patient to the nearest centre, "mixture" (of Gaussians) to the likeliest group."""
    groups: int | None = None
    """How many; None: the number that the processor finds on the training rows to be stable and well apart."""
    latent_size: int = 8
    """Numbers by which a patient is placed."""
    hidden_size: int = 32
    dropout: float = 0.1
    """Share of the hidden units that a training step leaves out."""
    masking: float = 0.2
    """Share of the known inputs that a training step of "autoencoder" hides: it must rebuild them."""
    pull: float = 10.0
    """Of "autoencoder": weight of the distance from the centre of the group beside the error of rebuilding."""
    step_hours: float | None = None
    """Of "gru": length of a step of time, in which values are averaged; None: each moment with a value is one."""

    inputs: int = 0
    """Length of the summary; the processor sets this and the next two."""
    timeless: int = 0
    """How many of its last numbers stand for no series: age and codes."""
    variables: int = 0
    """Series that "gru" reads."""

    shares: list[float] | None = None
    """Of each group, its share of the validation patients; `calibrate` sets this and the next three."""
    profiles: list[list[float] | None] | None = None
    """Of each group, the mean of each input, in deviations; None for a group of few patients."""
    plane: list[list[float]] | None = None
    """The two directions in the latent space in which the groups lie farthest apart."""
    regions: list[list[float] | None] | None = None
    """Of each group in that plane: mean, standard deviations and correlation of both directions."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for name, known in (("encoder", ENCODERS), ("clusters", CLUSTERS)):
            if (value := getattr(self, name)) not in known:
                raise ConfigError(f"{name} cannot be {value!r}{suggest(value, known)} Choices: {', '.join(known)}")
        if self.groups is not None and not 2 <= self.groups <= MOST_GROUPS:
            raise ConfigError(
                f"groups must lie between 2 and {MOST_GROUPS}, or be None to be chosen, not {self.groups}"
            )

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "autoencoder", "hidden_size": 16, "dropout": 0.0, "masking": 0.0,
        }  # fmt: skip
        return cls(**{**smallest, **changes})

    @property
    def reads_series(self) -> bool:
        """Whether the network reads values from visit to visit."""
        return self.architecture == "autoencoder" and self.encoder == "gru"
