"""Timing things that compete: in turns, so that what slows the machine down for a while slows all of them down."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Seconds of each round by what was timed."""

    seconds: Mapping[str, list[float]]

    def rate(self, name: str, rows: int) -> float:
        """Return the median of rows a second."""
        return rows / statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> float:
        """Return the median over the rounds of the seconds of one over those of the other."""
        return statistics.median(a / b for a, b in zip(self.seconds[name], self.seconds[other], strict=True))


def take_turns(contestants: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Time every contestant once a round, after a round that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(1 + rounds):
        for name, run in contestants.items():
            before = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - before)
    return Times(seconds)
