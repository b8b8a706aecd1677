"""The settings of the networks, and how each is trained."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from medhub.modeling import MedConfig

TRAINING: dict[str, dict[str, Any]] = {
    "default": {
        "epochs": 4, "batch_size": 256, "learning_rate": 2e-3, "weight_decay": 0.0, "warmup": 0.02, "clip": 5.0,
        "schedule": "cosine",
    },
}  # fmt: skip
"""Settings of a training run; "default" holds for both networks."""


class OptimizationConfig(MedConfig):
    """Settings of a generative model of molecules; the defaults are the published ones'."""

    model_type = "medhub_chem_optimization"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("vae", "gan")

    architecture: str = "vae"
    problem_type: str | None = None
    vocabulary_size: int = 512
    """Different tokens, the three special ones among them; the processor lowers it where the molecules give fewer."""
    longest: int = 32
    """Tokens at which a molecule ends; the processor sets it to what the training molecules need."""
    embedding_size: int = 64
    encoder_size: int = 128
    """Width of each direction of the recurrent layer that reads a molecule."""
    decoder_size: int = 512
    """Width of the recurrent layer that writes one."""
    latent_size: int = 64
    divergence: float = 0.4
    """Of "vae": weight of the Kullback-Leibler divergence, which draws what is read towards the standard normal."""
    jitter: float = 0.7
    """Of "gan": deviation of the noise that training adds to what is read, so that neighbours decode alike."""
    adversary_size: int = 256
    """Of "gan": width of the generator's and the discriminator's layers."""
    adversary_weight: float = 1.0
    """Of "gan": weight of the generator's loss beside that of reading and writing."""
    penalty: float = 1.0
    """Of "gan": weight of the discriminator's squared gradient at true latents (R1; Mescheder et al. 2018)."""
    reward: float = 0.05
    """Of "gan": weight of the drug-likeness that the property head expects of generated molecules."""
    property_weight: float = 1.0
    """Weight of the property heads' squared error."""
    masking: float = 0.1
    """Share of tokens that the writing network does not get to see in training, so that it heeds the latent."""
    proposals: int = 4
    """Molecules that a prediction returns near the given one."""
    spread: float = 0.5
    """Deviation of the noise that takes a latent to its neighbours', in deviations of the latents."""

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests."""
        smallest = {
            "architecture": architecture or "vae", "vocabulary_size": 48, "embedding_size": 16, "encoder_size": 16,
            "decoder_size": 48, "latent_size": 16, "adversary_size": 16, "masking": 0.0, "proposals": 2,
        }  # fmt: skip
        return cls(**{**smallest, **changes})
