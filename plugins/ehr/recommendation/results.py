"""What a prediction returns: the set of drugs to recommend, a probability for each, and what interacts."""

from __future__ import annotations

from dataclasses import dataclass, field

from medhub.pictures import percentage
from medhub.results import Prediction

from .interactions import Interaction


@dataclass(frozen=True, kw_only=True)
class Recommendation(Prediction):
    """The drugs for the coming visit.

    `probabilities` are those of being given to such a patient; with the objective "outcome", of faring well with the
    best set that the drug is in.
    """

    recommended: tuple[str, ...]
    probabilities: dict[str, float]
    objective: str
    interactions: tuple[Interaction, ...] = ()
    """Pairs among the recommended drugs that the model's interaction table names."""
    with_last: tuple[Interaction, ...] = ()
    """Pairs of a recommended drug and one of the last visit that is not recommended: mind them until it is stopped."""
    visits: int
    """How many visits before the coming one were read."""
    events: int
    unknown_events: int
    """How many of the events have a code that the model does not know."""
    changed: dict[str, int] = field(default_factory=dict)
    """What was wrong with the events that were read, by reason."""

    def title(self) -> str:
        """Say the drugs, and how many interactions there are."""
        said = ", ".join(f"{drug} ({percentage(self.probabilities[drug])})" for drug in self.recommended)
        warning = f"; {len(self.interactions)} interacting" if self.interactions else ""
        return f"{self.input}: {said or 'none of the drugs'}{warning}"

    def certainty(self) -> str:
        """Say what the probabilities mean; the model has no rule by which it would not decide."""
        meaning = (
            "how probably such a patient fares well with the best set that has the drug"
            if self.objective == "outcome"
            else "how probably such a patient was given the drug, not whether it helps"
        )
        return f"A probability says {meaning}. The model always answers, also where it knows little of the patient."

    def bars(self) -> dict[str, float]:
        """Return the probability of each drug."""
        return self.probabilities
