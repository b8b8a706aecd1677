"""Metrics of this task beside the core's: what a threshold on the risk finds, and what acting on it is worth.

Scores and targets are risks and outcomes of shape (examples, outcomes), NaN where an outcome is unknown; figures are
averaged over the outcomes that have one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import Metric, reliability

Array = NDArray[np.floating]

SPECIFICITY = 0.9
THRESHOLDS = np.arange(0.05, 0.51, 0.05)
"""Risks from which on somebody might act: from one false alarm in twenty borne to one in two."""


def sensitivity_at_specificity(risk: Array, outcome: Array, *, specificity: float = SPECIFICITY) -> float:
    """Return the share of outcomes above the lowest threshold that at least `specificity` of the others are below."""
    others = np.sort(risk[outcome == 0])
    allowed = int(np.floor(len(others) * (1 - specificity) + 1e-9))  # so many false alarms
    threshold = others[-1 - allowed] if allowed < len(others) else -np.inf
    return float(np.mean(risk[outcome == 1] > threshold))


def net_benefit(risk: Array, outcome: Array, thresholds: Array = THRESHOLDS) -> Array:
    """Return what acting from each threshold on is worth, as a share of what acting on the truth is (thresholds,).

    The net benefit counts a false alarm as threshold / (1 - threshold) of a find (Vickers and Elkin 2006); divided by
    the outcome's frequency (Kerr et al. 2016) it is 1 for perfect risks, 0 for doing nothing, below that for harm.
    """
    acted = risk[:, None] >= thresholds
    true = (acted & (outcome == 1)[:, None]).mean(axis=0)
    false = (acted & (outcome == 0)[:, None]).mean(axis=0)
    return (true - false * thresholds / (1 - thresholds)) / np.mean(outcome)


def _mean_net_benefit(risk: Array, outcome: Array) -> float:
    return float(net_benefit(risk, outcome).mean())


def _averaged(figure: Callable[[Array, Array], float]) -> Callable[[Array, Array], float]:
    """Make of a figure of one outcome that of several: the mean over those that happened to some and not to all."""

    def average(scores: Array, targets: Array) -> float:
        found = []
        for risk, outcome in zip(scores.T, targets.T, strict=True):
            known = ~np.isnan(outcome)
            if 0 < outcome[known].sum() < known.sum():
                found.append(figure(risk[known], outcome[known]))
        return float(np.mean(found)) if found else np.nan

    return average


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("sensitivity_at_90_specificity", _averaged(sensitivity_at_specificity), best=1.0, chance=0.0),
        Metric("net_benefit", _averaged(_mean_net_benefit), best=1.0),
    )
}
"""`net_benefit` is the mean over THRESHOLDS: the height of the decision curve."""


def _known(scores: NDArray, targets: NDArray) -> tuple[Array, Array]:
    """Return risks and outcomes wherever an outcome is known, of all outcomes together."""
    known = ~np.isnan(targets)
    return scores[known], targets[known]


def _calibration_curve(scores: NDArray, targets: NDArray) -> list[list[str]]:
    return reliability(*_known(scores, targets))


def _decision_curve(scores: NDArray, targets: NDArray) -> list[list[str]]:
    risk, outcome = _known(scores, targets)
    curves = (net_benefit(risk, outcome), net_benefit(np.ones_like(risk), outcome))
    return [["who acts from this risk on", "gains by the network", "by acting on everybody", "by acting on nobody"]] + [
        [f"{threshold:.0%}", f"{told:.3f}", f"{all_of_them:.3f}", "0"]
        for threshold, told, all_of_them in zip(THRESHOLDS, *curves, strict=True)
    ]


TABLES = {
    "Calibration curve: the risks that were told, and how often the outcome came": _calibration_curve,
    "Decision curve: net benefit, as a share of what perfect risks would gain": _decision_curve,
}
