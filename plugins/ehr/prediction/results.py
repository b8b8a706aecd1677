"""What a prediction returns: the risk of each outcome, and what the record held that the model could not read."""

from __future__ import annotations

from dataclasses import dataclass, field

from medhub.pictures import percentage
from medhub.results import MultiLabelPrediction


@dataclass(frozen=True, kw_only=True)
class RiskPrediction(MultiLabelPrediction):
    """Calibrated risks by outcome, "yes", "no" or "uncertain" of each, and how much of the record they rest on."""

    index: str
    """The moment that the risk is told for; nothing at or after it was looked at."""
    hours: float
    """How far before that the record was looked at."""
    events: int
    """Events in that time."""
    unknown_events: int
    """Of these, such with a code that the model does not know: they say nothing to it."""
    changed: dict[str, int] = field(default_factory=dict)
    """What was wrong with the events of the file that was read, and how many were changed or left out for it."""

    def title(self) -> str:
        """Say the outcome that is likeliest, and what could not be read."""
        top = max(self.probabilities, key=self.probabilities.__getitem__)
        unread = f" ({self.unknown_events} of {self.events} events unknown to it)" if self.unknown_events else ""
        return f"{top}: {percentage(self.probabilities[top])}{unread}"
