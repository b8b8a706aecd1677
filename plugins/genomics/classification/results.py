"""What the model says of a variant: what it thinks of the sequence without it and with it."""

from __future__ import annotations

from dataclasses import dataclass

from medhub.pictures import percentage
from medhub.results import Prediction


@dataclass(frozen=True, kw_only=True)
class VariantPrediction(Prediction):
    """The effect of a variant: calibrated probabilities without and with it, and how the log-odds change."""

    chromosome: str
    position: int
    """Of the trimmed, left-aligned variant, counted from 1."""
    reference: str
    alternative: str
    label: str
    """The class that the score is about: the second of two, of more the one whose log-odds change most."""
    score: float
    """Change of the log-odds of `label`: above 0 where the variant makes it more likely."""
    reference_probabilities: dict[str, float]
    alternative_probabilities: dict[str, float]

    def title(self) -> str:
        """Say the variant, and how it changes the class's probability."""
        before, after = (
            percentage(probabilities[self.label])
            for probabilities in (self.reference_probabilities, self.alternative_probabilities)
        )
        return f"{self.input}: {self.label} {before} before, {after} after (log-odds {self.score:+.2f})"

    def certainty(self) -> str:
        """Say what the change does not tell; the model has no rule by which it would not decide."""
        return "This is how the model's answer changes with the variant, not whether the variant causes a disease."

    def bars(self) -> dict[str, float]:
        """Return the probability of each class with the variant."""
        return self.alternative_probabilities
