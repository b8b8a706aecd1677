"""What a prediction returns: the probability of each toxicity, and how far the model's members agree on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from medhub.results import MultiLabelPrediction


@dataclass(frozen=True, kw_only=True)
class ToxicityPrediction(MultiLabelPrediction):
    """A calibrated probability of each toxicity, with the spread of what the model's members say."""

    spread: dict[str, float] = field(default_factory=dict)
    """Standard deviation of the members' probabilities: large where training told them too little to agree
    (Lakshminarayanan et al. 2017). Of a single answer it is 0, and says nothing."""
