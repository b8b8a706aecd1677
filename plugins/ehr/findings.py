"""What was found wrong with events and what was done about it, counted by reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Findings:
    """How many events were changed or left out, by reason, and where one of each stands in the user's files.

    A place is a file and a row, never a patient, so that findings may be logged.
    """

    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, count: int = 1, *, place: str | None = None) -> None:
        """Count events for a reason; nothing is noted where there are none."""
        if count:
            self.counts[reason] = self.counts.get(reason, 0) + int(count)
            if place is not None:
                self.places.setdefault(reason, place)

    def merge(self, other: Findings) -> None:
        """Add what was found in another part of the same data."""
        for reason, count in other.counts.items():
            self.add(reason, count, place=other.places.get(reason))

    def lines(self) -> list[str]:
        """Return a table as text: count, reason and a place, a line each."""
        if not self.counts:
            return ["nothing was changed or left out"]
        return [f"{count:>12,}  {reason}{self._where(reason)}" for reason, count in self.counts.items()]

    def notes(self) -> tuple[str, ...]:
        """Return a sentence a reason, without places, for a card."""
        return tuple(f"{count:,} events: {reason}." for reason, count in self.counts.items())

    def as_dict(self) -> dict[str, Mapping[str, int | str]]:
        """Return the findings in JSON's types."""
        return {"counts": self.counts, "places": self.places}

    def _where(self, reason: str) -> str:
        return f" (such as {self.places[reason]})" if reason in self.places else ""
