"""How long the patients of groups live: Kaplan and Meier's estimate, and the log-rank test of groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2


def survival_at(days: NDArray[np.floating], died: NDArray[np.bool_], at: float) -> float:
    """Return the share of patients that live at a day, by Kaplan and Meier (1958); NaN if none was followed so far.

    `days` (patients,) are those of the death or the end of follow-up.
    """
    if not len(days) or (days.max() < at and not died[days.argmax()]):
        return float("nan")
    moments, deaths, at_risk = _table(days, died, np.ones((len(days), 1)))
    before = moments <= at
    return float(np.prod(1 - deaths[before, 0] / at_risk[before, 0]))


def log_rank(days: NDArray[np.floating], died: NDArray[np.bool_], groups: NDArray[np.integer]) -> tuple[float, int]:
    """Return the log-rank statistic of groups (patients,), a chi square, and its degrees of freedom (Mantel 1966).

    0 degrees where there is but one group or no death.
    """
    _, number_of = np.unique(groups, return_inverse=True)
    member = np.eye(number_of.max() + 1 if len(groups) else 0)[number_of]
    if member.shape[1] < 2 or not died.any():
        return 0.0, 0
    _, deaths, at_risk = _table(days, died, member)
    dead, alive = deaths.sum(axis=1), at_risk.sum(axis=1)
    shares = at_risk / alive[:, None]
    excess = (deaths - dead[:, None] * shares).sum(axis=0)
    # of the last one at risk nothing is left to chance
    weight = dead * (alive - dead) / np.maximum(alive - 1, 1)
    covariance = np.diag(weight @ shares) - (shares * weight[:, None]).T @ shares
    # the last group's excess follows from the others'
    statistic = excess[:-1] @ np.linalg.pinv(covariance[:-1, :-1]) @ excess[:-1]
    return float(statistic), member.shape[1] - 1


def log_rank_p(days: NDArray[np.floating], died: NDArray[np.bool_], groups: NDArray[np.integer]) -> float:
    """Return the probability of a statistic as large among groups that live equally long; NaN where none is defined."""
    statistic, freedom = log_rank(days, died, groups)
    return float(chi2.sf(statistic, freedom)) if freedom else float("nan")


def _table(
    days: NDArray[np.floating], died: NDArray[np.bool_], member: NDArray[np.floating]
) -> tuple[NDArray, NDArray, NDArray]:
    """Return the days with a death (d,), and for each the deaths and the patients at risk by group, (d, groups)."""
    order = np.argsort(days, kind="stable")
    days, died, member = days[order], died[order], member[order]
    moments, first = np.unique(days, return_index=True)
    deaths = np.add.reduceat(member * died[:, None], first, axis=0)
    at_risk = np.cumsum(member[::-1], axis=0)[::-1][first]
    some = deaths.sum(axis=1) > 0
    return moments[some], deaths[some], at_risk[some]
